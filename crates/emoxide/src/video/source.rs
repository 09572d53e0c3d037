//! Where frames come from.

use std::path::{Path, PathBuf};

use super::VideoError;
use crate::image::ENDINGS;

/// Frames a second of a sequence that does not say.
pub const DEFAULT_FPS: f64 = 25.0;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A video file.
    File(PathBuf),
    /// A camera: on Linux a number or a device file, on macOS a number, on Windows a name.
    Camera(String),
    /// Pictures, each shown as long as the others.
    Sequence {
        /// The pictures in order.
        paths: Vec<PathBuf>,
        /// Pictures a second.
        fps: f64,
    },
}

impl Source {
    /// The camera that a text names: `camera:0`, or a device file of Linux.
    pub fn camera(text: &str) -> Option<Self> {
        let name = text.strip_prefix("camera:").or_else(|| text.starts_with("/dev/video").then_some(text));
        name.map(|name| Self::Camera(name.to_owned()))
    }

    /// The pictures of a folder by name, of a pattern such as `frames/%04d.png` by number, or those listed by the caller.
    pub fn sequence(pattern: &Path, fps: f64) -> Result<Self, VideoError> {
        let empty = || VideoError::EmptySequence(pattern.display().to_string());
        let paths = if pattern.is_dir() {
            folder(pattern)?
        } else {
            let name = pattern.file_name().and_then(|name| name.to_str()).ok_or_else(empty)?;
            let parent = pattern.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            numbered(parent, name)?.ok_or_else(empty)?
        };
        Self::pictures(paths, fps).map_err(|error| match error {
            VideoError::EmptySequence(_) => empty(),
            other => other,
        })
    }

    /// These pictures in this order.
    pub fn pictures(paths: Vec<PathBuf>, fps: f64) -> Result<Self, VideoError> {
        if !(fps.is_finite() && fps > 0.0) {
            return Err(VideoError::FrameRate(fps));
        }
        if paths.is_empty() {
            return Err(VideoError::EmptySequence("of no files".to_owned()));
        }
        Ok(Self::Sequence { paths, fps })
    }
}

/// The pictures in a folder, by name.
fn folder(folder: &Path) -> Result<Vec<PathBuf>, VideoError> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The files of a folder whose names fit a printf pattern with one `%d` or `%04d`, by number; `None` where it is no such
/// pattern.
fn numbered(folder: &Path, pattern: &str) -> Result<Option<Vec<PathBuf>>, VideoError> {
    let Some((head, rest)) = pattern.split_once('%') else { return Ok(None) };
    let Some((digits, tail)) = rest.split_once('d') else { return Ok(None) };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || tail.contains('%') {
        return Ok(None);
    }
    let width = digits.parse().unwrap_or(1_usize);
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(number) = name.strip_prefix(head).and_then(|name| name.strip_suffix(tail)) else { continue };
        // `%04d` writes 12 as 0012, and 12345 as it is; `%d` writes no leading zero.
        let padded = number.len() == width || (number.len() > width && !number.starts_with('0'));
        if padded
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = number.parse::<u64>()
        {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(Some(found.into_iter().map(|(_, path)| path).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_in_the_order_of_their_numbers_or_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f1.png", "f2.png", "f10.png", "f02.png", "g1.png", "f3.txt"] {
            fs_err::write(folder.path().join(name), "x").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let Source::Sequence { paths, .. } = Source::sequence(&folder.path().join(pattern), 25.0).unwrap() else {
                panic!("a sequence")
            };
            paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("f%d.png"), ["f1.png", "f2.png", "f10.png"]);
        assert_eq!(names("f%02d.png"), ["f02.png", "f10.png"]);
        assert_eq!(names(""), ["f02.png", "f1.png", "f10.png", "f2.png", "g1.png"]);
        for pattern in ["f%x.png", "h%d.png", "f1.png"] {
            let refused = Source::sequence(&folder.path().join(pattern), 25.0).unwrap_err();
            assert!(matches!(refused, VideoError::EmptySequence(_)), "{pattern}: {refused}");
        }
        let refused = Source::sequence(folder.path(), 0.0).unwrap_err();
        assert!(refused.to_string().contains("above 0"), "{refused}");
    }
}

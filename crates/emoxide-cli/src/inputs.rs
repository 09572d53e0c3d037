//! What the user named, as a list of files: files, folders, globs and `-` for standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Endings that are taken for pictures when a folder is read.
const PICTURES: [&str; 9] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "jfif"];
/// Endings of videos, which this version cannot read.
const VIDEOS: [&str; 7] = ["mp4", "mov", "mkv", "avi", "webm", "m4v", "mpg"];

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file, named as the user would.
    File(PathBuf),
    /// Standard input.
    Standard,
    /// Something that cannot be read, with the reason.
    Bad(String, String),
}

impl Input {
    /// The name shown to the user.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Standard => "-".to_owned(),
            Self::Bad(name, _) => name.clone(),
        }
    }

    /// The bytes, at most `limit` of them and one more, so that the decoder can refuse a file that is too large.
    pub(crate) fn read(&self, limit: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = match self {
            Self::Standard => std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes),
            Self::File(path) if path.is_dir() => return Err("is a folder".to_owned()),
            Self::File(path) => std::fs::OpenOptions::new()
                .read(true)
                .open(path)
                .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)),
            Self::Bad(_, reason) => return Err(reason.clone()),
        };
        read.map(|_| bytes).map_err(|error| error.to_string())
    }
}

/// Expands what was typed. A missing file stays in the list, so that it is named and skipped like any other bad input.
pub(crate) fn expand(arguments: &[String]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if argument == "-" {
            inputs.push(Input::Standard);
        } else if path.is_dir() {
            let before = inputs.len();
            walk(path, &mut inputs)?;
            if inputs.len() == before {
                inputs.push(Input::Bad(argument.clone(), "the folder holds no pictures".to_owned()));
            }
        } else if path.exists() || !argument.contains(['*', '?', '[']) {
            inputs.push(file(path));
        } else {
            let before = inputs.len();
            for entry in glob::glob(argument)? {
                let path = entry?;
                if path.is_file() {
                    inputs.push(file(&path));
                }
            }
            if inputs.len() == before {
                inputs.push(Input::Bad(argument.clone(), "no file matches the pattern".to_owned()));
            }
        }
    }
    if inputs.is_empty() {
        bail!("nothing to read");
    }
    Ok(inputs)
}

fn file(path: &Path) -> Input {
    if has_ending(path, &VIDEOS) {
        let reason = "video files are not read yet; extract frames and name their folder".to_owned();
        return Input::Bad(path.display().to_string(), reason);
    }
    Input::File(path.to_owned())
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| endings.contains(&found.to_string_lossy().to_lowercase().as_str()))
}

fn walk(folder: &Path, inputs: &mut Vec<Input>) -> Result<()> {
    let mut entries = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, inputs)?;
        } else if has_ending(&path, &PICTURES) || has_ending(&path, &VIDEOS) {
            inputs.push(file(&path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_globs_and_missing_files_become_a_sorted_list() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a.jpg", "notes.txt", "clip.mp4"] {
            fs_err::write(folder.path().join(name), "x").unwrap();
        }
        let root = folder.path().display().to_string();
        let names = |arguments: &[String]| -> Vec<String> {
            expand(arguments).unwrap().iter().map(|input| input.name().replace(&root, "")).collect()
        };
        assert_eq!(names(std::slice::from_ref(&root)), ["/a.jpg", "/b.PNG", "/clip.mp4"]);
        assert_eq!(names(&[format!("{root}/*.jpg")]), ["/a.jpg"]);
        assert_eq!(names(&[format!("{root}/none.jpg")]), ["/none.jpg"]);
        assert!(
            matches!(&expand(&[format!("{root}/*.gif")]).unwrap()[0], Input::Bad(_, reason) if reason.contains("pattern"))
        );
        assert!(
            matches!(&expand(&[format!("{root}/clip.mp4")]).unwrap()[0], Input::Bad(_, reason) if reason.contains("video"))
        );
    }
}

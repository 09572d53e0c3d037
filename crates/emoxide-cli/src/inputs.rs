//! What the user named, as a list of files: files, folders, globs, `-` for standard input, and clips.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use emoxide::image::{ENDINGS, Limits, RgbImage, decode};
use emoxide::video::Source;

/// Endings that are taken for videos.
const VIDEOS: [&str; 13] = ["mp4", "mov", "mkv", "avi", "webm", "m4v", "mpg", "mpeg", "ts", "mts", "wmv", "flv", "ogv"];

/// One thing to read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    /// A file, named as the user would.
    File(PathBuf),
    /// Standard input.
    Standard,
    /// Frames that belong together, with their name.
    Clip(String, Source),
    /// Something that cannot be read, with the reason.
    Bad(String, String),
}

impl Input {
    /// The name shown to the user.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Standard => "-".to_owned(),
            Self::Clip(name, _) | Self::Bad(name, _) => name.clone(),
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
            Self::Clip(..) => return Err("is a video; `emoxide predict` alone reads those".to_owned()),
            Self::Bad(_, reason) => return Err(reason.clone()),
        };
        read.map(|_| bytes).map_err(|error| error.to_string())
    }

    /// The picture in it, or why there is none.
    pub(crate) fn picture(&self, limits: &Limits) -> Result<RgbImage, String> {
        decode(&self.read(limits.max_bytes)?, limits).map_err(|error| error.to_string())
    }
}

/// File stems for what is derived from inputs; two inputs of one name do not overwrite each other.
#[derive(Debug, Default)]
pub(crate) struct Stems(HashSet<String>);

impl Stems {
    /// A stem for what is derived from the input of this name, given to no other one.
    pub(crate) fn of(&mut self, input: &str) -> String {
        let stem = Path::new(input).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.filter(|stem| stem != "-").unwrap_or_else(|| "stdin".to_owned());
        let numbered = (2..).map(|count| format!("{stem}-{count}"));
        let free = std::iter::once(stem.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(stem);
        self.0.insert(free.clone());
        free
    }
}

/// Expands what was typed. What cannot be read stays in the list, so that it is named and skipped.
pub(crate) fn expand(arguments: &[String]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        let before = inputs.len();
        if argument == "-" {
            inputs.push(Input::Standard);
        } else if let Some(camera) = Source::camera(argument) {
            inputs.push(Input::Clip(argument.clone(), camera));
        } else if path.is_dir() {
            walk(path, &mut Vec::new(), &mut inputs);
            if inputs.len() == before {
                inputs.push(Input::Bad(argument.clone(), "the folder holds no pictures".to_owned()));
            }
        } else if path.exists() || !argument.contains(['*', '?', '[']) {
            inputs.push(file(path));
        } else {
            match glob::glob(argument) {
                Ok(entries) => inputs.extend(entries.filter_map(|entry| match entry {
                    Ok(path) => path.is_file().then(|| file(&path)),
                    Err(error) => Some(Input::Bad(error.path().display().to_string(), error.error().to_string())),
                })),
                Err(error) => {
                    inputs.push(Input::Bad(argument.clone(), format!("no such file, and no pattern: {error}")));
                }
            }
            if inputs.len() == before {
                inputs.push(Input::Bad(argument.clone(), "no file matches the pattern".to_owned()));
            }
        }
    }
    inputs
}

/// What was typed, each argument one clip: a folder, a glob, or a pattern with a number such as `frames/%04d.png`.
pub(crate) fn sequences(arguments: &[String], fps: f64) -> Vec<Input> {
    let sequence = |argument: &String| {
        let path = Path::new(argument);
        let source = if path.exists() || !argument.contains(['*', '?', '[']) {
            Source::sequence(path, fps).map_err(|error| error.to_string())
        } else {
            let paths = glob::glob(argument).map_err(|error| error.to_string());
            let paths = paths.and_then(|paths| paths.collect::<Result<_, _>>().map_err(|error| error.to_string()));
            paths.and_then(|paths| Source::pictures(paths, fps).map_err(|error| error.to_string()))
        };
        match source {
            Ok(source) => Input::Clip(argument.clone(), source),
            Err(reason) => Input::Bad(argument.clone(), reason),
        }
    };
    arguments.iter().map(sequence).collect()
}

fn file(path: &Path) -> Input {
    if has_ending(path, &VIDEOS) {
        return Input::Clip(path.display().to_string(), Source::File(path.to_owned()));
    }
    Input::File(path.to_owned())
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| endings.contains(&found.to_string_lossy().to_lowercase().as_str()))
}

/// All pictures below a folder, by name. Links are followed, but not back into a folder that is `open` already.
fn walk(folder: &Path, open: &mut Vec<PathBuf>, inputs: &mut Vec<Input>) {
    let (place, paths) = match list(folder) {
        Ok(found) => found,
        Err(error) => return inputs.push(Input::Bad(folder.display().to_string(), error.to_string())),
    };
    if open.contains(&place) {
        return;
    }
    open.push(place);
    for path in paths {
        if path.is_dir() {
            walk(&path, open, inputs);
        } else if has_ending(&path, &ENDINGS) || has_ending(&path, &VIDEOS) {
            inputs.push(file(&path));
        }
    }
    open.pop();
}

/// Where a folder really lies, and what stands in it, by name.
fn list(folder: &Path) -> std::io::Result<(PathBuf, Vec<PathBuf>)> {
    let entries = fs_err::read_dir(folder)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok((fs_err::canonicalize(folder)?, paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice() {
        let mut stems = Stems::default();
        let given = ["cat-2.jpg", "cat.jpg", "b/cat.png", "-"].map(|name| stems.of(name));
        assert_eq!(given, ["cat-2", "cat", "cat-3", "stdin"]);
    }

    #[test]
    fn folders_globs_and_missing_files_become_a_sorted_list() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a.jpg", "notes.txt", "clip.mp4"] {
            fs_err::write(folder.path().join(name), "x").unwrap();
        }
        let root = folder.path().display().to_string();
        let names = |arguments: &[String]| -> Vec<String> {
            expand(arguments).iter().map(|input| input.name().replace(&root, "")).collect()
        };
        assert_eq!(names(std::slice::from_ref(&root)), ["/a.jpg", "/b.PNG", "/clip.mp4"]);
        assert_eq!(names(&[format!("{root}/*.jpg")]), ["/a.jpg"]);
        assert_eq!(names(&[format!("{root}/none.jpg")]), ["/none.jpg"]);
        assert!(matches!(&expand(&[format!("{root}/*.gif")])[0], Input::Bad(_, reason) if reason.contains("pattern")));
        assert!(matches!(&expand(&[format!("{root}/clip.mp4")])[0], Input::Clip(_, Source::File(_))));
        assert_eq!(expand(&["camera:1".to_owned()])[0], Input::Clip("camera:1".into(), Source::Camera("1".into())));
        let pattern = format!("{root}/%d.png");
        assert!(matches!(&sequences(&[pattern], 25.0)[0], Input::Bad(_, reason) if reason.contains("no picture")));
        let Input::Clip(_, Source::Sequence { paths, .. }) = &sequences(&[format!("{root}/[ab].*")], 25.0)[0] else {
            panic!("a sequence")
        };
        assert_eq!(paths.len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_read_and_circles_end() {
        let link = |to: &Path, at: PathBuf| std::os::unix::fs::symlink(to, at).unwrap();
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (folder, elsewhere) = (folder.path(), elsewhere.path());
        fs_err::write(folder.join("a.jpg"), "x").unwrap();
        fs_err::write(elsewhere.join("b.jpg"), "x").unwrap();
        link(elsewhere, folder.join("album"));
        link(folder, folder.join("again"));
        link(folder, elsewhere.join("back"));
        let files = ["a.jpg", "album/b.jpg"].map(|name| Input::File(folder.join(name)));
        assert_eq!(expand(&[folder.display().to_string()]), files);
    }
}

//! Class folders: `DIR/<split>/<class>/<picture>` or `DIR/<class>/<picture>`.

use std::path::{Path, PathBuf};

use emoxide::labels::{Classes, Expression, LabelError};

use super::{DataError, DataSet, Label, Sample, Source, Split};

const WANTED: &str = "class folders: expected folders named after expressions (angry, disgust, happy, …), or such folders \
                      inside train, valid and test";

const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "bmp", "webp", "gif", "tif", "tiff"];

/// Reads one split. Without folders of splits everything is `train` and `all`.
pub(super) fn read(root: &Path, split: Split) -> Result<DataSet, DataError> {
    let splits = split_folders(root)?;
    if splits.is_empty() {
        if !matches!(split, Split::Train | Split::All) {
            let hint = "the folder holds classes but no folder train, valid or test; ask for `all` to use everything";
            return Err(DataError::NoSplit { data: "folder".into(), path: root.into(), split, hint });
        }
        let folders = class_folders(root)?;
        let classes = classes_of(&folders)?;
        return Ok(DataSet { name: "folder".into(), split, samples: samples(root, &folders, &classes)?, classes });
    }
    // The list of classes comes from all splits, so that train and test agree though one of them lacks a class.
    let mut all = Vec::new();
    let mut chosen = Vec::new();
    for (part, path) in &splits {
        let folders = class_folders(path)?;
        if split == Split::All || split == *part {
            chosen.extend(folders.iter().cloned());
        }
        all.extend(folders);
    }
    if chosen.is_empty() {
        let hint = "the folders of splits are named train, valid (val, validation) and test; ask for one that is there, or `all`";
        return Err(DataError::NoSplit { data: "folder".into(), path: root.into(), split, hint });
    }
    let classes = classes_of(&all)?;
    Ok(DataSet { name: "folder".into(), split, samples: samples(root, &chosen, &classes)?, classes })
}

/// The folders of `root` that are named after a split, in the order train, valid, test.
fn split_folders(root: &Path) -> Result<Vec<(Split, PathBuf)>, DataError> {
    let mut found: Vec<(Split, PathBuf)> = folders(root)?
        .into_iter()
        .filter_map(|path| match file_name(&path).parse().ok()? {
            split @ (Split::Train | Split::Valid | Split::Test) => Some((split, path)),
            _ => None,
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The class folders of `root`, sorted by path.
pub(super) fn class_folders(root: &Path) -> Result<Vec<(Expression, PathBuf)>, DataError> {
    let found = folders(root)?
        .into_iter()
        .map(|path| match file_name(&path).parse() {
            Ok(expression) => Ok((expression, path)),
            Err(source) => Err(DataError::ClassFolder { path, source }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(DataError::Missing { path: root.into(), wanted: WANTED });
    }
    for (index, (expression, path)) in found.iter().enumerate() {
        if found[..index].iter().any(|(earlier, _)| earlier == expression) {
            return Err(DataError::ClassFolder { path: path.clone(), source: LabelError::Duplicate(*expression) });
        }
    }
    Ok(found)
}

/// The pictures of class folders, sorted by path within each.
pub(super) fn samples(
    root: &Path,
    folders: &[(Expression, PathBuf)],
    classes: &Classes,
) -> Result<Vec<Sample>, DataError> {
    let mut samples = Vec::new();
    for (expression, folder) in folders {
        let class = classes.index_of(*expression).ok_or(LabelError::UnknownName(expression.to_string()))?;
        for path in pictures(folder)? {
            samples.push(Sample {
                name: relative_name(root, &path),
                source: Source::File(path),
                label: Label::Class(class),
            });
        }
    }
    Ok(samples)
}

/// `path` below `root` with `/` on every system.
pub(super) fn relative_name(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.iter().map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join("/")
}

fn classes_of(folders: &[(Expression, PathBuf)]) -> Result<Classes, DataError> {
    let present = Expression::ALL.into_iter().filter(|name| folders.iter().any(|(class, _)| class == name));
    Ok(Classes::new(present.collect::<Vec<_>>())?)
}

/// Visible folders directly below `root`, sorted.
pub(super) fn folders(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let path = entry?.path();
        // Archivers leave `__MACOSX` and hidden folders behind.
        if path.is_dir() && !file_name(&path).starts_with(['.', '_']) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Pictures directly below `folder`, sorted; other files are passed over.
pub(super) fn pictures(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let known = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()));
        if known && !file_name(&path).starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Last part of a path as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

//! MMAFEDB: class folders from several sources, 48x48.

use std::path::Path;

use super::{DataError, DataSet, Split, folder};

const WANTED: &str = "MMAFEDB: expected train, valid and test with a folder for every expression; it is on Kaggle as \
                      mahmoudima/mma-facial-expression";

/// Reads one split.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    let roots = ["MMAFEDB", ""].map(|folder| path.join(folder));
    let root = roots.into_iter().find(|root| root.join("train").is_dir() || root.join("test").is_dir());
    let root = root.ok_or_else(|| DataError::Missing { path: path.into(), wanted: WANTED })?;
    Ok(DataSet { name: "mma".into(), ..folder::read(&root, split)? })
}

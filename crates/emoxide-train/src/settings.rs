//! Settings in TOML files: inheritance through `base = [...]`, and single keys set from outside.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Why settings could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Not TOML; the message holds line and column.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        message: String,
    },
    /// `base` must be a list of file names.
    #[error("{0}: `base` must be a list of file names")]
    Base(PathBuf),
    /// A file that inherits from itself.
    #[error("{0}: inherits from itself through `base`")]
    Circle(PathBuf),
    /// `--set` without `=`.
    #[error("--set {0}: write it as `section.key=value`")]
    Set(String),
}

/// Reads a file and everything it inherits from; what comes later wins.
pub fn read(path: &Path) -> Result<Table, SettingsError> {
    read_with_bases(path, &mut Vec::new())
}

/// Applies `section.key=value` texts in order. A value is read as TOML and, where it is none, as a string.
pub fn set_all(table: &mut Table, texts: &[String]) -> Result<(), SettingsError> {
    texts.iter().try_for_each(|text| set(table, text))
}

fn read_with_bases(path: &Path, open: &mut Vec<PathBuf>) -> Result<Table, SettingsError> {
    let canonical = fs_err::canonicalize(path)?;
    if open.contains(&canonical) {
        return Err(SettingsError::Circle(path.to_owned()));
    }
    open.push(canonical);
    let text = fs_err::read_to_string(path)?;
    let mut table: Table = toml::from_str(&text)
        .map_err(|error| SettingsError::Syntax { path: path.to_owned(), message: error.to_string() })?;
    let mut merged = Table::new();
    if let Some(bases) = table.remove("base") {
        let bases: Vec<PathBuf> = bases.try_into().map_err(|_| SettingsError::Base(path.to_owned()))?;
        for base in bases {
            let base = path.parent().unwrap_or(Path::new("")).join(base);
            merge(&mut merged, read_with_bases(&base, open)?);
        }
    }
    open.pop();
    merge(&mut merged, table);
    Ok(merged)
}

/// Lays `over` on `under`: tables merge key by key, anything else replaces. A table whose `kind` changes replaces whole,
/// since the settings of one kind mean nothing to another.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if !kind_changes(old, &new) => merge(old, new),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn kind_changes(old: &Table, new: &Table) -> bool {
    matches!((old.get("kind"), new.get("kind")), (Some(old), Some(new)) if old != new)
}

/// Sets one dotted key; the value is read as TOML and, where it is none, as a string.
fn set(table: &mut Table, text: &str) -> Result<(), SettingsError> {
    let (key, value) = text.split_once('=').ok_or_else(|| SettingsError::Set(text.to_owned()))?;
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut layer = Table::new();
    let mut keys: Vec<&str> = key.split('.').collect();
    let last = keys.pop().filter(|last| !last.is_empty()).ok_or_else(|| SettingsError::Set(text.to_owned()))?;
    layer.insert(last.to_owned(), value);
    for key in keys.into_iter().rev() {
        layer = Table::from_iter([(key.to_owned(), Value::Table(layer))]);
    }
    merge(table, layer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn tables_merge_and_other_values_replace() {
        let mut under = table("a = 1\nlist = [1, 2]\n[b]\nc = 2\nd = 3");
        merge(&mut under, table("list = [3]\n[b]\nd = 4"));
        assert_eq!(under, table("a = 1\nlist = [3]\n[b]\nc = 2\nd = 4"));
    }

    #[test]
    fn another_kind_replaces_the_whole_table() {
        let mut under = table("[optimiser]\nkind = \"sgd\"\nmomentum = 0.9");
        merge(&mut under, table("[optimiser]\nkind = \"adam\""));
        assert_eq!(under, table("[optimiser]\nkind = \"adam\""));
    }

    #[test]
    fn overrides_read_toml_values_and_bare_words() {
        let mut under = table("[run]\nseed = 0");
        for text in ["run.seed=7", "run.name=quick", "schedule.shape.kind=cosine", "data.mean=[0.5]"] {
            set(&mut under, text).unwrap();
        }
        let expected = "[run]\nseed = 7\nname = \"quick\"\n[schedule.shape]\nkind = \"cosine\"\n[data]\nmean = [0.5]";
        assert_eq!(under, table(expected));
        assert!(matches!(set(&mut under, "run.seed"), Err(SettingsError::Set(_))));
    }

    #[test]
    fn a_recipe_that_inherits_from_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs_err::write(&path, "base = [\"a.toml\"]").unwrap();
        assert!(matches!(read_with_bases(&path, &mut Vec::new()), Err(SettingsError::Circle(_))));
    }
}

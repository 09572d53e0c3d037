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

/// A value that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}; {wanted}")]
pub struct BadSetting {
    /// Dotted key.
    pub key: &'static str,
    /// What it is.
    pub value: String,
    /// What it has to be.
    pub wanted: &'static str,
}

/// Refuses a value unless `good`.
#[expect(clippy::needless_pass_by_value, reason = "numbers read better without a reference")]
pub fn check(good: bool, key: &'static str, value: impl ToString, wanted: &'static str) -> Result<(), BadSetting> {
    if good { Ok(()) } else { Err(BadSetting { key, value: value.to_string(), wanted }) }
}

/// Reads a file and everything it inherits from; what comes later wins.
pub fn read(path: &Path) -> Result<Table, SettingsError> {
    read_with_bases(path, &mut Vec::new())
}

/// As [`read`], of settings that stand in no file: `path` is what errors call them, and their bases lie beside it.
pub fn inherit(table: Table, path: &Path) -> Result<Table, SettingsError> {
    with_bases(table, path, &mut Vec::new())
}

/// Applies `section.key=value` texts, whose order matters only where a key stands twice. A value is read as TOML and,
/// where it is none, as a string.
pub fn set_all(table: &mut Table, texts: &[String]) -> Result<(), SettingsError> {
    let mut all = Table::new();
    for text in texts {
        merge(&mut all, layer(text)?);
    }
    merge(table, all);
    Ok(())
}

fn read_with_bases(path: &Path, open: &mut Vec<PathBuf>) -> Result<Table, SettingsError> {
    let canonical = fs_err::canonicalize(path)?;
    if open.contains(&canonical) {
        return Err(SettingsError::Circle(path.to_owned()));
    }
    open.push(canonical);
    let merged = with_bases(parse(&fs_err::read_to_string(path)?, path)?, path, open)?;
    open.pop();
    Ok(merged)
}

/// Reads a TOML text; errors say that it is of this file.
pub fn parse(text: &str, path: &Path) -> Result<Table, SettingsError> {
    toml::from_str(text).map_err(|error| SettingsError::Syntax { path: path.to_owned(), message: error.to_string() })
}

/// Settings with what they inherit, from files beside `path`.
fn with_bases(mut table: Table, path: &Path, open: &mut Vec<PathBuf>) -> Result<Table, SettingsError> {
    let mut merged = Table::new();
    if let Some(bases) = table.remove("base") {
        let bases: Vec<PathBuf> = bases.try_into().map_err(|_| SettingsError::Base(path.to_owned()))?;
        for base in bases {
            let base = path.parent().unwrap_or(Path::new("")).join(base);
            merge(&mut merged, read_with_bases(&base, open)?);
        }
    }
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

/// One `section.key=value` as a table.
fn layer(text: &str) -> Result<Table, SettingsError> {
    let refused = || SettingsError::Set(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(refused)?;
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let keys: Vec<&str> = key.split('.').map(str::trim).collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(refused());
    }
    let nested =
        keys.into_iter().rev().fold(value, |value, key| Value::Table(Table::from_iter([(key.to_owned(), value)])));
    match nested {
        Value::Table(table) => Ok(table),
        _ => Err(refused()),
    }
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
        let texts = ["run.seed=7", "run.name=quick", "schedule.shape.kind=cosine", "data.mean=[0.5]"];
        set_all(&mut under, &texts.map(str::to_owned)).unwrap();
        let expected = "[run]\nseed = 7\nname = \"quick\"\n[schedule.shape]\nkind = \"cosine\"\n[data]\nmean = [0.5]";
        assert_eq!(under, table(expected));
        for text in ["run.seed", "=3", "run.=3"] {
            assert!(matches!(set_all(&mut under, &[text.to_owned()]), Err(SettingsError::Set(_))), "{text}");
        }
    }

    #[test]
    fn the_order_of_overrides_does_not_matter() {
        let texts = ["optimiser.weight_decay=0.1", "optimiser.kind=adamw"].map(str::to_owned);
        for texts in [texts.clone(), [texts[1].clone(), texts[0].clone()]] {
            let mut under = table("[optimiser]\nkind = \"sgd\"\nmomentum = 0.9");
            set_all(&mut under, &texts).unwrap();
            assert_eq!(under, table("[optimiser]\nkind = \"adamw\"\nweight_decay = 0.1"));
        }
        let texts = ["shape={kind=\"step\",every=5}", "shape={kind=\"cosine\"}"].map(str::to_owned);
        let mut under = Table::new();
        set_all(&mut under, &texts).unwrap();
        assert_eq!(under, table("[shape]\nkind = \"cosine\""), "the last of two kinds replaces the first whole");
    }

    #[test]
    fn a_recipe_that_inherits_from_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs_err::write(&path, "base = [\"a.toml\"]").unwrap();
        assert!(matches!(read_with_bases(&path, &mut Vec::new()), Err(SettingsError::Circle(_))));
    }
}

use std::io;
use std::path::{Path, PathBuf};

/// A file that is written beside its target and takes its place when it is [kept](Staged::keep), so that a reader never sees half a
/// file; where that does not happen, nothing is left.
#[derive(Debug)]
pub struct Staged {
    beside: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// Writes `bytes` to `target.partial`.
    pub fn new(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut beside = target.as_os_str().to_owned();
        beside.push(".partial");
        let staged = Self { beside: beside.into(), target: target.to_owned() };
        fs_err::write(&staged.beside, bytes)?;
        Ok(staged)
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Puts it in its place.
    pub fn keep(self) -> io::Result<()> {
        fs_err::rename(&self.beside, &self.target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // It is gone where it was kept, and nobody can be told of a failure here.
        let _ = fs_err::remove_file(&self.beside);
    }
}

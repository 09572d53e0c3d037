use std::fs::Permissions;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is written beside its target and takes its place when it is [kept](Staged::keep), so that a reader never sees half a
/// file. Where that does not happen it is removed, unless the process is killed: then a hidden file stays, whose name begins with
/// `.emoxide-`.
#[derive(Debug)]
pub struct Staged {
    beside: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Writes `bytes` beside `target`, or beside the file that `target` links to.
    ///
    /// # Errors
    /// Those of the file system; what is there and no file, such as a device or a folder, is never replaced.
    pub fn new(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut target = target.to_owned();
        if target.exists() {
            target = fs_err::canonicalize(target)?;
            if !target.is_file() {
                return Err(io::Error::other(format!("{} is no file, and is not replaced by one", target.display())));
            }
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut settings = tempfile::Builder::new();
        settings.prefix(".emoxide-");
        if let Some(permissions) = permissions(&target) {
            settings.permissions(permissions);
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", target.display()));
        let mut beside = settings.tempfile_in(folder).map_err(named)?;
        io::Write::write_all(&mut beside, bytes).map_err(named)?;
        Ok(Self { beside, target })
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        self.beside.path()
    }

    /// Puts it in its place.
    pub fn keep(self) -> io::Result<()> {
        let Self { beside, target } = self;
        let kept = beside.persist(&target).map(drop);
        kept.map_err(|failed| io::Error::new(failed.error.kind(), format!("{}: {}", target.display(), failed.error)))
    }
}

/// Those of the file that is replaced, or of a new one.
fn permissions(target: &Path) -> Option<Permissions> {
    let before = fs_err::metadata(target).ok().map(|metadata| metadata.permissions());
    #[cfg(unix)]
    let before = before.or_else(|| Some(std::os::unix::fs::PermissionsExt::from_mode(0o666)));
    before
}

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Writes beside the target and renames, so that a reader never sees half a file; where that fails, nothing is left.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let written = fs_err::write(&beside, bytes).and_then(|()| fs_err::rename(&beside, path));
    if written.is_err() {
        // What has failed already is what is told.
        let _ = fs_err::remove_file(&beside);
    }
    written
}

/// `model.onnx.partial`
fn beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

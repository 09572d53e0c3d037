use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// SHA-256 of a file in hexadecimal, for the record of where weights come from.
pub fn fingerprint(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut fs_err::File::open(path)?, &mut hasher)?;
    Ok(format!("{:x}", hasher.finalize()))
}

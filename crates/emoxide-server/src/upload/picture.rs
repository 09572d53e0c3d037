//! What stands for a picture in a request, and the picture in it.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use axum::body::Bytes;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use emoxide::image::{ImageError, RgbImage, decode};

use crate::budget::Charge;
use crate::error::ApiError;
use crate::service::Service;

/// Base64 as clients write it: with or without the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stands for a picture in a request.
#[derive(Clone, Debug)]
pub(crate) enum Picture {
    /// A file.
    File(Bytes),
    /// Base64, with `data:…;base64,` before it or not; a path or an address, most of which are refused.
    Text(String),
}

impl Service {
    /// The picture, decoded on a thread for it, and its pixels' share of the memory for uploads.
    pub(crate) async fn picture(&self, picture: Picture, deadline: Instant) -> Result<(RgbImage, Charge), ApiError> {
        let limits = self.settings.limits.image();
        let folder = self.folder.clone();
        let mut charge = self.budget.charge();
        let work = move || {
            let bytes = picture.bytes(folder.as_deref(), limits.max_bytes)?;
            let image = decode(&bytes, &limits)?;
            charge.take(image.as_raw().len())?;
            Ok((image, charge))
        };
        self.compute(deadline, work).await?
    }
}

impl Picture {
    fn bytes(&self, folder: Option<&Path>, limit: u64) -> Result<Cow<'_, [u8]>, ApiError> {
        match self {
            Self::File(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Text(text) => from_text(text, folder, limit).map(Cow::Owned),
        }
    }
}

/// Base64 has no full stop and no colon, addresses have `://` and names of pictures nearly always a full stop.
fn from_text(text: &str, folder: Option<&Path>, limit: u64) -> Result<Vec<u8>, ApiError> {
    if let Some(data) = text.strip_prefix("data:") {
        let base64 = data.split_once(";base64,").map(|(_, base64)| base64);
        return from_base64(base64.ok_or_else(|| ApiError::invalid("the data URI", "write data:image/jpeg;base64,…"))?);
    }
    if text.contains("://") {
        return Err(ApiError::Url);
    }
    if !text.contains('.') {
        return from_base64(text);
    }
    from_file(Path::new(text), folder.ok_or(ApiError::Path)?, limit)
}

fn from_base64(text: &str) -> Result<Vec<u8>, ApiError> {
    let invalid = |error| ApiError::invalid("the base64 text", &error);
    if text.contains(['\r', '\n']) {
        return BASE64.decode(text.replace(['\r', '\n'], "")).map_err(invalid);
    }
    BASE64.decode(text).map_err(invalid)
}

/// A file below the folder, wherever links lead; from elsewhere not even its absence is told.
fn from_file(path: &Path, folder: &Path, limit: u64) -> Result<Vec<u8>, ApiError> {
    let place = fs_err::canonicalize(folder.join(path)).map_err(|_| ApiError::NoFile)?;
    if !place.starts_with(folder) || !place.is_file() {
        return Err(ApiError::NoFile);
    }
    let mut bytes = Vec::new();
    let file = fs_err::File::open(&place).map_err(|_| ApiError::NoFile)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|_| ApiError::NoFile)?;
    if bytes.len() as u64 > limit {
        return Err(ImageError::FileTooLarge { bytes: bytes.len() as u64, limit }.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        let read = |text: &str| from_text(text, None, 100);
        for hello in ["aGVsbG8=", "aGVsbG8", "aGVs\r\nbG8=", "data:image/jpeg;base64,aGVsbG8=", "data:;base64,aGVsbG8"]
        {
            assert_eq!(read(hello).unwrap(), b"hello", "{hello}");
        }
        // A JPEG's base64 begins like a path.
        assert_eq!(read("/9j/").unwrap(), [0xff, 0xd8, 0xff]);
        for url in ["http://localhost/a.jpg", "https://a.org", "file:///etc/passwd"] {
            assert_eq!(read(url), Err(ApiError::Url), "{url}");
        }
        for path in ["/etc/hostname.txt", "photo.jpg", "../a.png"] {
            assert_eq!(read(path), Err(ApiError::Path), "{path}");
        }
        for wrong in ["a b", "data:image/jpeg,xyz", "data:", "§"] {
            assert!(matches!(read(wrong), Err(ApiError::Invalid { .. })), "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn paths_lead_into_the_folder_or_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join("pictures");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("in.jpg"), "inside").unwrap();
        fs_err::write(root.path().join("out.jpg"), "outside").unwrap();
        std::os::unix::fs::symlink(root.path().join("out.jpg"), folder.join("link.jpg")).unwrap();
        let read = |path: &str| from_text(path, Some(&folder), 6);
        assert_eq!(read("in.jpg").unwrap(), b"inside");
        assert_eq!(read(folder.join("in.jpg").to_str().unwrap()).unwrap(), b"inside");
        let outside = root.path().join("out.jpg").display().to_string();
        for path in ["../out.jpg", "link.jpg", "none.jpg", ".", &outside, "../pictures-2/a.jpg"] {
            assert_eq!(read(path), Err(ApiError::NoFile), "{path}");
        }
        assert!(matches!(from_text("in.jpg", Some(&folder), 5), Err(ApiError::Image(_))));
    }
}

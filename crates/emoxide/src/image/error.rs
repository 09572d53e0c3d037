//! Why bytes did not become an image.

/// Why bytes did not become an image. The file's name is the caller's to add.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// More bytes than [`Limits::max_bytes`](super::Limits::max_bytes).
    #[error("the file has {bytes} bytes, the limit is {limit}; shrink it or raise the limit")]
    FileTooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The header announces more pixels than [`Limits::max_pixels`](super::Limits::max_pixels).
    #[error("the image has {width}x{height} pixels, the limit is {limit} in all; shrink it or raise the limit")]
    TooManyPixels {
        /// Columns announced.
        width: u32,
        /// Rows announced.
        height: u32,
        /// Pixels allowed.
        limit: u64,
    },
    /// The header announces a longer side than [`Limits::max_side`](super::Limits::max_side).
    #[error("the image has {width}x{height} pixels, the limit is {limit} a side; cut it or raise the limit")]
    SideTooLong {
        /// Columns announced.
        width: u32,
        /// Rows announced.
        height: u32,
        /// Pixels of a side allowed.
        limit: u32,
    },
    /// The first bytes belong to no image format.
    #[error("not an image; JPEG, PNG, WebP, BMP, TIFF and GIF are read")]
    NotAnImage,
    /// An image, of a format that is not read.
    #[error("{format} images are not read; convert to JPEG, PNG, WebP, BMP, TIFF or GIF")]
    UnsupportedFormat {
        /// Name of the format.
        format: String,
    },
    /// A known format in a form that its decoder does not read.
    #[error("this kind of {format} is not read ({reason}); save it again as a plain JPEG or PNG")]
    UnsupportedVariant {
        /// Name of the format.
        format: String,
        /// The decoder's words.
        reason: String,
    },
    /// The file ends before the image does.
    #[error("the {format} file is truncated; copy or download it again")]
    Truncated {
        /// Name of the format.
        format: String,
    },
    /// The file contradicts its format.
    #[error("the {format} file is damaged ({reason})")]
    Malformed {
        /// Name of the format.
        format: String,
        /// The decoder's words.
        reason: String,
    },
}

//! A video: spooled into a file that is gone with it, because ffmpeg has to move about in most of them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header;
use futures_util::{Stream, StreamExt};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::broken;
use crate::error::ApiError;
use crate::service::Service;

/// How many times the limit for other uploads a video may take.
const PATIENCE: u32 = 10;

/// A video in a file.
#[derive(Debug)]
pub(crate) struct Clip {
    /// Name of the file that was sent, or `video`.
    pub(crate) name: String,
    pub(crate) file: NamedTempFile,
}

impl Clip {
    /// Reads the body of a request: a form with a file `video`, or `video/*`.
    pub(crate) async fn read(service: &Service, request: Request) -> Result<Self, ApiError> {
        let limits = &service.settings.limits;
        let patience: Duration = limits.upload_timeout * PATIENCE;
        let read = timeout(patience, read(request, limits.video_bytes));
        read.await.map_err(|_| ApiError::UploadTimeout(patience))?
    }
}

async fn read(request: Request, limit: u64) -> Result<Clip, ApiError> {
    let (head, body) = request.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
    let declared = head.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(ApiError::BodyTooLarge(limit));
    }
    let chunks = body.into_data_stream().map(|chunk| chunk.map_err(|error| ApiError::UploadBroken(error.to_string())));
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.starts_with("video/") {
        return Ok(Clip { name: "video".to_owned(), file: spool(chunks, limit).await? });
    }
    if essence != "multipart/form-data" {
        let found = if essence.is_empty() { "no content type".to_owned() } else { essence };
        return Err(ApiError::MediaType {
            found,
            wanted: "multipart/form-data with a file `video`, or a video as video/*",
        });
    }
    let boundary = multer::parse_boundary(kind).map_err(|error| ApiError::invalid("the content type", &error))?;
    let mut form = multer::Multipart::new(chunks, boundary);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if field.name() == Some("video") {
            let name = field.file_name().filter(|name| !name.is_empty()).unwrap_or("video").to_owned();
            let file = spool(field.map(|chunk| chunk.map_err(broken)), limit).await?;
            return Ok(Clip { name, file });
        }
    }
    Err(ApiError::MissingVideo)
}

/// Writes chunks into a file until they are too many.
async fn spool(chunks: impl Stream<Item = Result<Bytes, ApiError>>, limit: u64) -> Result<NamedTempFile, ApiError> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "a video could not be spooled");
        ApiError::Internal
    };
    let file = NamedTempFile::new().map_err(failed)?;
    let mut sink = tokio::fs::File::from_std(file.reopen().map_err(failed)?);
    let mut total = 0;
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        total += chunk.len() as u64;
        if total > limit {
            return Err(ApiError::BodyTooLarge(limit));
        }
        sink.write_all(&chunk).await.map_err(failed)?;
    }
    sink.flush().await.map_err(failed)?;
    Ok(file)
}

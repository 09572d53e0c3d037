//! Bodies: read within the limits of size, memory and time, whatever their content type.

mod clip;
mod picture;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use crate::budget::Charge;
use crate::error::ApiError;
use crate::service::Service;

pub(crate) use clip::Clip;
pub(crate) use picture::Picture;

/// Parts of a form beside its pictures.
const OPTIONS: usize = 32;

/// Content types that a route reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) json: bool,
    pub(crate) form: bool,
    pub(crate) picture: bool,
    /// All of them in words, for who sent something else.
    pub(crate) words: &'static str,
}

/// A body that has been read.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) content: Content,
    /// What it holds of the memory for uploads, until it is dropped.
    _charge: Arc<Mutex<Charge>>,
}

/// What a body was, by its content type.
#[derive(Debug)]
pub(crate) enum Content {
    /// `application/json`.
    Json(Bytes),
    /// `application/x-www-form-urlencoded`.
    Form(Bytes),
    /// `image/*`.
    Picture(Bytes),
    /// `multipart/form-data`.
    Parts(Vec<Part>),
}

/// A part of a form.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Name of the file, if it is one.
    pub(crate) file: Option<String>,
    pub(crate) bytes: Bytes,
}

impl Upload {
    /// Reads the body of a request. What is refused by its head is not read.
    pub(crate) async fn read(service: &Service, request: Request, reads: Reads) -> Result<Self, ApiError> {
        let limits = &service.settings.limits;
        let (head, body) = request.into_parts();
        let kind = Kind::of(&head.headers, reads)?;
        let declared =
            head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > limits.body_bytes) {
            return Err(ApiError::BodyTooLarge(limits.body_bytes));
        }
        let charge = Arc::new(Mutex::new(service.budget.charge()));
        let chunks = metered(body, limits.body_bytes, Arc::clone(&charge));
        let read = timeout(limits.upload_timeout, kind.read(chunks, limits.batch));
        let content = read.await.map_err(|_| ApiError::UploadTimeout(limits.upload_timeout))??;
        Ok(Self { content, _charge: charge })
    }
}

/// How a body is to be read.
enum Kind {
    Json,
    Form,
    Picture,
    Parts(String),
}

impl Kind {
    fn of(headers: &HeaderMap, reads: Reads) -> Result<Self, ApiError> {
        let found = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
        let essence = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "multipart/form-data" => match multer::parse_boundary(found) {
                Ok(boundary) => Ok(Self::Parts(boundary)),
                Err(error) => Err(ApiError::invalid("the content type", &error)),
            },
            "application/json" if reads.json => Ok(Self::Json),
            "application/x-www-form-urlencoded" if reads.form => Ok(Self::Form),
            kind if reads.picture && kind.starts_with("image/") => Ok(Self::Picture),
            _ => {
                let found = if essence.is_empty() { "no content type".to_owned() } else { essence };
                Err(ApiError::MediaType { found, wanted: reads.words })
            }
        }
    }

    async fn read(
        self,
        chunks: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
        files: usize,
    ) -> Result<Content, ApiError> {
        Ok(match self {
            Self::Json => Content::Json(joined(chunks).await?),
            Self::Form => Content::Form(joined(chunks).await?),
            Self::Picture => Content::Picture(joined(chunks).await?),
            Self::Parts(boundary) => Content::Parts(parts(chunks, boundary, files).await?),
        })
    }
}

/// The chunks of a body until one is too many for it, or for the memory of all.
fn metered(
    body: Body,
    limit: u64,
    charge: Arc<Mutex<Charge>>,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static {
    let mut total = 0;
    body.into_data_stream().map(move |chunk| {
        let chunk = chunk.map_err(|error| ApiError::UploadBroken(error.to_string()))?;
        total += chunk.len() as u64;
        if total > limit {
            return Err(ApiError::BodyTooLarge(limit));
        }
        charge.lock().unwrap_or_else(PoisonError::into_inner).take(chunk.len())?;
        Ok(chunk)
    })
}

async fn joined(chunks: impl Stream<Item = Result<Bytes, ApiError>>) -> Result<Bytes, ApiError> {
    let mut chunks = std::pin::pin!(chunks);
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes.into())
}

/// The parts of a form, with as many files at most.
async fn parts(
    chunks: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
    boundary: String,
    files: usize,
) -> Result<Vec<Part>, ApiError> {
    let mut form = multer::Multipart::new(chunks, boundary);
    let mut parts: Vec<Part> = Vec::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(str::to_owned);
        let bytes = field.bytes().await.map_err(broken)?;
        parts.push(Part { name, file, bytes });
        let count = parts.iter().filter(|part| part.file.is_some()).count();
        if count > files {
            return Err(ApiError::BatchTooLarge(files));
        }
        if parts.len() - count > OPTIONS {
            return Err(ApiError::invalid("the form", &format!("it has more than {OPTIONS} fields beside its files")));
        }
    }
    Ok(parts)
}

/// Our own refusal that the form's reader wraps, or what it found wrong itself.
fn broken(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(inner) => match inner.downcast::<ApiError>() {
            Ok(refusal) => *refusal,
            Err(inner) => ApiError::UploadBroken(inner.to_string()),
        },
        other => ApiError::invalid("the form", &other),
    }
}

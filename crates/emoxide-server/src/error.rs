//! The one shape of every refusal.

use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use emoxide::image::ImageError;
use emoxide::recognizer::WorkerError;
use emoxide::video::VideoError;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a refused client may try again.
const RETRY_SECONDS: u64 = 1;

/// Why a request gets no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// A body, a field or an option that is not what the route takes.
    #[error("{place}: {reason}")]
    Invalid {
        /// Which part of the request.
        place: &'static str,
        /// What is wrong with it and what to send instead.
        reason: String,
    },
    /// A field that must be there.
    #[error("the request has no picture: send `{0}`, as a file of a multipart form or as base64 in JSON")]
    Missing(&'static str),
    /// A form without its file.
    #[error("the request has no video: send it as a file `video` of a multipart form")]
    MissingVideo,
    /// A video that cannot be read, here or at all.
    #[error("{reason}")]
    Video {
        /// What its answer has.
        status: StatusCode,
        /// A word for programs.
        code: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// As many videos as there may be.
    #[error("{0} videos are being looked at, which is the limit; try again later")]
    Videos(usize),
    /// An address where a picture must be.
    #[error("addresses are never fetched; download the picture and send it")]
    Url,
    /// A path on the server where a picture must be.
    #[error(
        "paths are not read here; send the picture itself (a server started with --allow-paths DIR reads files in DIR)"
    )]
    Path,
    /// A path that leads nowhere, or out of the folder that may be read.
    #[error("there is no such file in the folder that may be read")]
    NoFile,
    /// Bytes did not come in time.
    #[error("the upload took longer than {} s; send it faster, or less of it", .0.as_secs_f32())]
    UploadTimeout(Duration),
    /// The connection broke within the body.
    #[error("the upload broke off: {0}")]
    UploadBroken(String),
    /// No token, or a wrong one.
    #[error("a valid token is needed: `Authorization: Bearer …`")]
    Unauthorized,
    /// No such route.
    #[error("there is no {0} here; /openapi.json lists what there is")]
    NotFound(String),
    /// A route that exists, asked otherwise.
    #[error("{0} is not what this route takes; /openapi.json says what does")]
    MethodNotAllowed(String),
    /// A body beyond the limit.
    #[error("the body has more than {0} bytes, which is the limit; send smaller or fewer pictures")]
    BodyTooLarge(u64),
    /// More pictures than a batch may hold.
    #[error("a batch holds {0} pictures at most; send more requests")]
    BatchTooLarge(usize),
    /// A body of a kind that the route does not read.
    #[error("a body of `{found}` is not read here; send {wanted}")]
    MediaType {
        /// The content type that was sent.
        found: String,
        /// What the route reads.
        wanted: &'static str,
    },
    /// Bytes that are no picture, or one that is too large.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No face where one was demanded.
    #[error("no face was found; with enforce_detection=false the whole picture is taken for one")]
    NoFace,
    /// A network without maps of attention.
    #[error("nothing shows where this network looks; kinds of networks that show it: {0}")]
    Unexplained(String),
    /// As many requests of one client as it may have at once.
    #[error("{0} requests of this client are being answered, which is the limit; wait for their answers")]
    ClientBusy(usize),
    /// Uploads and pictures fill the memory that is set aside for them.
    #[error("the memory set aside for uploads is used up; try again later")]
    Memory,
    /// The queue is full, the deadline has passed, or the recogniser failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The server is about to end.
    #[error("the server is stopping")]
    Stopping,
    /// A handler panicked, or gave numbers that are none.
    #[error("the server failed on this request; report it together with the request")]
    Internal,
}

impl ApiError {
    /// Something that is not what the route takes, and what it takes.
    pub(crate) fn invalid(place: &'static str, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Invalid { place, reason: reason.to_string() }
    }

    /// Why a video in this file was not read; the file's path is the server's own affair.
    pub(crate) fn video(error: &VideoError, path: &Path) -> Self {
        let (status, code) = match error {
            VideoError::NoFfmpeg { .. } | VideoError::Report { .. } => (StatusCode::SERVICE_UNAVAILABLE, "no_ffmpeg"),
            VideoError::Unreadable { .. } | VideoError::NoVideoStream => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_a_video")
            }
            VideoError::Damaged { .. } | VideoError::Untimed { .. } => (StatusCode::BAD_REQUEST, "damaged_video"),
            VideoError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "picture_too_large"),
            VideoError::Range { .. } => (StatusCode::BAD_REQUEST, "bad_request"),
            _ => return Self::Internal,
        };
        let reason = error.to_string().replace(&path.display().to_string(), "the video");
        Self::Video { status, code, reason }
    }

    /// A word for programs, and the status that goes with it.
    pub fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Invalid { .. } => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Missing(_) => (StatusCode::BAD_REQUEST, "no_picture"),
            Self::MissingVideo => (StatusCode::BAD_REQUEST, "no_video"),
            Self::Video { status, code, .. } => (*status, code),
            Self::Url => (StatusCode::BAD_REQUEST, "url_refused"),
            Self::Path | Self::NoFile => (StatusCode::BAD_REQUEST, "path_refused"),
            Self::UploadTimeout(_) => (StatusCode::BAD_REQUEST, "upload_timeout"),
            Self::UploadBroken(_) => (StatusCode::BAD_REQUEST, "upload_broken"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BatchTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large"),
            Self::MediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Image(error) => image_code(error),
            Self::NoFace => (StatusCode::UNPROCESSABLE_ENTITY, "no_face"),
            Self::Unexplained(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unexplained"),
            Self::ClientBusy(_) => (StatusCode::TOO_MANY_REQUESTS, "client_busy"),
            Self::Memory => (StatusCode::SERVICE_UNAVAILABLE, "memory"),
            Self::Stopping | Self::Worker(WorkerError::Stopped) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Self::Videos(_) | Self::Worker(WorkerError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Worker(WorkerError::Expired) => (StatusCode::SERVICE_UNAVAILABLE, "deadline"),
            Self::Worker(_) | Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// What stands under `error` in an answer.
    pub(crate) fn body(&self) -> ErrorBody {
        // What a panic said is for the log of the server alone.
        let message = match self {
            Self::Worker(WorkerError::Panicked(_)) => Self::Internal.to_string(),
            other => other.to_string(),
        };
        ErrorBody { code: self.code().1.to_owned(), message }
    }
}

fn image_code(error: &ImageError) -> (StatusCode, &'static str) {
    match error {
        ImageError::FileTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        ImageError::TooManyPixels { .. } | ImageError::SideTooLong { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "picture_too_large")
        }
        ImageError::NotAnImage => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_an_image"),
        ImageError::UnsupportedFormat { .. } | ImageError::UnsupportedVariant { .. } => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_image")
        }
        _ => (StatusCode::BAD_REQUEST, "damaged_image"),
    }
}

/// Every answer that is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    error: ErrorBody,
}

impl ErrorAnswer {
    /// Of an error behind which nothing comes.
    pub(crate) fn of(error: &ApiError) -> Self {
        Self { error: error.body() }
    }
}

/// Why a request, or one picture of it, got no answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A word that stays the same, for programs.
    #[schema(example = "not_an_image")]
    pub(crate) code: String,
    /// What is wrong and what to do, for people.
    pub(crate) message: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _) = self.code();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "a request failed");
        }
        let mut response = (status, axum::Json(ErrorAnswer::of(&self))).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
            }
            _ => {}
        }
        if matches!(self, Self::UploadTimeout(_)) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

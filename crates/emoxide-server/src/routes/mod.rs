//! One file a group of routes.

mod about;
mod analyze;
mod batch;
mod explain;
mod predict;
mod probes;
mod video;

use emoxide::recognizer::{Face, Seen, WorkerError};
use utoipa::IntoResponses;
use utoipa_axum::router::OpenApiRouter;

use crate::State;
use crate::error::{ApiError, ErrorAnswer};
use crate::query::Options;

/// All routes that the OpenAPI document lists.
pub(crate) fn all() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(crate::openapi::document())
        .merge(analyze::routes())
        .merge(predict::routes())
        .merge(batch::routes())
        .merge(explain::routes())
        .merge(video::routes())
        .merge(about::routes())
        .merge(probes::routes())
}

/// Why a picture is not answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the OpenAPI document")]
pub(crate) enum Refusals {
    /// The request is not what the route takes, its picture is damaged, or its upload took too long.
    #[response(status = 400)]
    Bad(#[to_schema] ErrorAnswer),
    /// The server wants a token.
    #[response(status = 401)]
    Unauthorized(#[to_schema] ErrorAnswer),
    /// The body, a picture of it or their number is beyond a limit.
    #[response(status = 413)]
    Large(#[to_schema] ErrorAnswer),
    /// The body is of another type, or no picture that is read.
    #[response(status = 415)]
    Type(#[to_schema] ErrorAnswer),
    /// As many requests of this client are being answered as it may have at once.
    #[response(status = 429)]
    Many(#[to_schema] ErrorAnswer),
    /// The recogniser failed.
    #[response(status = 500)]
    Failed(#[to_schema] ErrorAnswer),
    /// The server has too much to do, or the deadline has passed.
    #[response(status = 503)]
    Busy(#[to_schema] ErrorAnswer),
}

/// Why a question about the server is not answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the OpenAPI document")]
pub(crate) enum Unanswered {
    /// The server wants a token.
    #[response(status = 401)]
    Unauthorized(#[to_schema] ErrorAnswer),
    /// As many requests of this client are being answered as it may have at once.
    #[response(status = 429)]
    Many(#[to_schema] ErrorAnswer),
}

/// The only entry of an answer about one picture, counted; numbers that are none are no answer.
fn only(state: &State, answer: Vec<Result<Seen, WorkerError>>) -> Result<Seen, ApiError> {
    let seen = answer.into_iter().next().ok_or(ApiError::Internal)??;
    checked(state, &seen.faces)?;
    Ok(seen)
}

/// Counts faces that are about to be answered, and refuses probabilities that are no numbers.
fn checked(state: &State, faces: &[Face]) -> Result<(), ApiError> {
    if faces.iter().any(|face| face.probabilities.0.iter().any(|(_, probability)| !probability.is_finite())) {
        return Err(ApiError::Internal);
    }
    state.metrics.pictures.inc();
    state.metrics.faces.inc_by(faces.len() as u64);
    Ok(())
}

/// Calls the faces uncertain that stay below the wanted confidence.
fn doubt(faces: &mut [Face], options: Options) {
    if let Some(min_confidence) = options.min_confidence {
        for face in faces {
            face.dominant_emotion = face.probabilities.dominant(min_confidence);
        }
    }
}

/// Milliseconds since then, for people: without digits that mean nothing.
fn milliseconds(start: std::time::Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1e4).round() / 10.0
}

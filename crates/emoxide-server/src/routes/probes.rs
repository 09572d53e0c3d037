//! What machines ask: whether the server lives, whether it takes requests, and what it has done.

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Unanswered;
use crate::State;
use crate::error::{ApiError, ErrorAnswer};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the server lives.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, description = "It does.", body = String)))]
async fn healthz() -> &'static str {
    "ok"
}

/// Whether the server takes requests.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    security(()),
    responses(
        (status = 200, description = "It does.", body = String),
        (status = 503, description = "It is stopping.", body = ErrorAnswer),
    ),
)]
async fn readyz(Shared(state): Shared<State>) -> Result<&'static str, ApiError> {
    if state.is_stopping() { Err(ApiError::Stopping) } else { Ok("ready") }
}

/// Counters in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses((status = 200, description = "Requests, times, queue, batches, faces.", body = String), Unanswered),
)]
async fn metrics(Shared(state): Shared<State>) -> Result<Response, ApiError> {
    let held = state.settings.limits.memory.saturating_sub(state.budget.left());
    let text = state.metrics.text(state.waiting(), held).map_err(|_| ApiError::Internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

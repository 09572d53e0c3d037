//! What the server says of itself and its model.

use axum::Json;
use axum::extract::State as Shared;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Unanswered;
use crate::State;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(models)).routes(routes!(info))
}

/// The models that answer.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "server",
    responses((status = 200, description = "Names, classes, sizes, licences, measured figures.", body = Value), Unanswered),
)]
async fn models(Shared(state): Shared<State>) -> Json<Value> {
    Json(state.about.models.clone())
}

/// The model's card, classes, preprocessing, detector, device, limits and legal notices.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "server",
    responses((status = 200, description = "What no request changes.", body = Value), Unanswered),
)]
async fn info(Shared(state): Shared<State>) -> Json<Value> {
    Json(state.about.info.clone())
}

//! The web service: pictures over HTTP in, expressions as JSON out.
//!
//! [`Service::start`] puts a recogniser on its own thread, [`app`] makes a router of it, and [`listen`] gives the router
//! connections until it is told to stop. Every group of routes is a file under `routes/`.

mod about;
mod budget;
mod error;
mod guard;
pub mod listen;
pub mod logging;
mod metrics;
mod openapi;
mod page;
mod query;
mod routes;
mod schema;
mod service;
mod settings;
mod upload;

pub use about::Program;
pub use error::ApiError;
pub use guard::Client;
pub use service::{Service, StartError};
pub use settings::{Limits, Origin, OriginError, Settings, Token, TokenError};

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What handlers share.
pub type State = Arc<Service>;

/// The service as a function from requests to answers.
pub fn app(state: State) -> Router {
    let (api, document) = routes::all().split_for_parts();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(state.settings.cors_origins.iter().map(|origin| origin.0.clone())))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, guard::REQUEST_ID])
        .expose_headers([header::RETRY_AFTER, guard::REQUEST_ID]);
    let router = Router::new()
        .merge(api)
        .merge(openapi::route(&document))
        .merge(page::routes())
        .fallback(async |uri: Uri| ApiError::NotFound(uri.path().to_owned()))
        .method_not_allowed_fallback(async |method: Method| ApiError::MethodNotAllowed(method.to_string()))
        .layer(from_fn_with_state(Arc::clone(&state), guard::client))
        .layer(from_fn_with_state(Arc::clone(&state), guard::token))
        .layer(from_fn(guard::read_out));
    let router = if state.settings.cors_origins.is_empty() { router } else { router.layer(cors) };
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&state), guard::observe))
        .with_state(state)
}

/// The answer to a request whose handler panicked; the panic itself is on standard error already.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::Internal.into_response()
}

//! The OpenAPI document, made from the handlers.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use emoxide::recognizer::NOTICES;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

use crate::State;

/// What stands above the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "emoxide",
        license(name = "MIT OR Apache-2.0")
    ),
    security((), ("token" = [])),
    modifiers(&TokenScheme),
)]
struct Head;

/// The token, where the server wants one.
struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The document before any route is in it.
pub(crate) fn document() -> OpenApi {
    let mut document = Head::openapi();
    document.info.description = Some(format!("Expressions of faces. {}", NOTICES.join(" ")));
    document
}

/// The route of the finished document.
pub(crate) fn route(document: &OpenApi) -> Router<State> {
    let text = Bytes::from(document.to_json().expect("a document of plain values can be written"));
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], text.clone());
    Router::new().route("/openapi.json", get(answer))
}

//! The page at `/`: files of `page/dist`, inside the program.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::State;

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// All of them.
const FILES: [File; 1] =
    [File { path: "/", content_type: "text/html; charset=utf-8", bytes: include_bytes!("../page/dist/index.html") }];

/// Nothing from elsewhere, no script or style within the page itself; pictures and videos that the visitor chose are blobs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
                      connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Whether a path is a file of the page.
pub(crate) fn holds(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// A route for every file.
pub(crate) fn routes() -> Router<State> {
    FILES.iter().fold(Router::new(), |router, file| {
        let digest = Sha256::digest(file.bytes);
        let tag = digest.iter().take(16).fold("\"".to_owned(), |tag, byte| format!("{tag}{byte:02x}")) + "\"";
        let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits can stand in a header");
        router.route(file.path, get(async move |headers: HeaderMap| answer(file, tag.clone(), &headers)))
    })
}

fn answer(file: &File, tag: HeaderValue, headers: &HeaderMap) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let known = known.flat_map(|tags| tags.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/").as_bytes() == tag.as_bytes()
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.content_type)], Bytes::from_static(file.bytes)).into_response()
    };
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

//! The page at `/`: the files of `page/static` and `page/dist`, inside the program. `tools/page/build.sh` makes the latter.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use emoxide::face::mtcnn;
use emoxide::zoo;
use sha2::{Digest, Sha256};

use crate::State;

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    /// Whether the bytes are compressed, by gzip, which every browser undoes.
    gzip: bool,
    bytes: &'static [u8],
}

/// A file of `page/`.
macro_rules! file {
    ($path:literal, $content_type:expr, $name:literal) => {
        File {
            path: $path,
            content_type: $content_type,
            gzip: false,
            bytes: include_bytes!(concat!("../page/", $name)),
        }
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All of them; what the browser's own recogniser needs comes last.
static FILES: LazyLock<[File; 15]> = LazyLock::new(|| {
    let tensors = |path, bytes| File { path, content_type: "application/octet-stream", gzip: false, bytes };
    let recogniser = file!("/emoxide_web_bg.wasm", "application/wasm", "dist/emoxide_web_bg.wasm.gz");
    [
        file!("/", "text/html; charset=utf-8", "static/index.html"),
        file!("/style.css", "text/css; charset=utf-8", "static/style.css"),
        file!("/icon.svg", "image/svg+xml", "static/icon.svg"),
        file!("/main.js", SCRIPT, "dist/main.js"),
        file!("/server.js", SCRIPT, "dist/server.js"),
        file!("/local.js", SCRIPT, "dist/local.js"),
        file!("/overlay.js", SCRIPT, "dist/overlay.js"),
        file!("/prediction.js", SCRIPT, "dist/prediction.js"),
        file!("/results.js", SCRIPT, "dist/results.js"),
        file!("/webcam.js", SCRIPT, "dist/webcam.js"),
        file!("/worker.js", SCRIPT, "dist/worker.js"),
        file!("/emoxide_web.js", SCRIPT, "dist/emoxide_web.js"),
        File { gzip: true, ..recogniser },
        tensors("/detector.safetensors", mtcnn::WEIGHTS),
        tensors("/model.safetensors", zoo::embedded()),
    ]
});

/// Nothing from elsewhere, no script or style within the page itself, WebAssembly but no `eval`; pictures and videos that the visitor chose are blobs.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
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
    if file.gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
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

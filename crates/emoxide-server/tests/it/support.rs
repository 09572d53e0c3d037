//! A service on the embedded model, and what asks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emoxide::device::{self, Device};
use emoxide::face::Detector;
use emoxide::image::{self, RgbImage};
use emoxide::recognizer::{Options, Recognizer};
use emoxide::zoo::{self, Model};
use emoxide_server::{Program, Service, Settings, app};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/photos")
}

pub(crate) fn photos_folder() -> PathBuf {
    photos().canonicalize().unwrap()
}

pub(crate) fn file(name: &str) -> Vec<u8> {
    fs_err::read(photos().join(name)).unwrap()
}

pub(crate) fn photo(name: &str) -> RgbImage {
    image::decode(&file(name), &image::Limits::default()).unwrap()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn cpu() -> Device {
    device::open("cpu").unwrap()
}

/// A model behind the detector of its card.
pub(crate) fn recognizer(model: Model) -> Recognizer {
    let detector = Detector::new(&model.card().detector, model.device()).unwrap();
    Recognizer::new(detector, model, Options::default()).unwrap()
}

/// A service on the embedded model.
pub(crate) fn service(settings: Settings) -> Arc<Service> {
    service_of(settings, || recognizer(zoo::open(zoo::DEFAULT, &cpu()).unwrap()))
}

pub(crate) fn service_of(settings: Settings, build: impl FnOnce() -> Recognizer + Send + 'static) -> Arc<Service> {
    let program = Program { device: "cpu".to_owned(), version: "test".to_owned() };
    Service::start(settings, &program, || Ok(build())).unwrap()
}

/// The routes of a service on the embedded model.
pub(crate) fn default_app() -> Router {
    app(service(Settings::default()))
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Status and code of a refusal, which has our shape and no other keys.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let json = self.json();
        let error = &json["error"];
        assert_eq!((json.as_object().unwrap().len(), error.as_object().unwrap().len()), (1, 2), "{json}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        (self.status.as_u16(), error["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> &str {
        self.headers.get(name.into()).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answered {
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    Answered { status: head.status, headers: head.headers, bytes: body.collect().await.unwrap().to_bytes() }
}

pub(crate) async fn get(app: &Router, path: &str) -> Answered {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap()
}

pub(crate) fn json(path: &str, body: &Value) -> Request<Body> {
    post(path, "application/json", body.to_string())
}

/// A part of a form: its name, the name of the file if it is one, its bytes.
pub(crate) type Part<'a> = (&'a str, Option<&'a str>, Vec<u8>);

pub(crate) fn form(path: &str, parts: &[Part<'_>]) -> Request<Body> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        body.extend(format!("--line\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--line--\r\n");
    post(path, "multipart/form-data; boundary=line", body)
}

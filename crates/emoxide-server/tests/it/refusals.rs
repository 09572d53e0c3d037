//! Every refusal has one shape, a status and a code.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use emoxide::zoo::{self, Model};
use emoxide_server::{Limits, Settings, app};
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::support::{
    base64, cpu, default_app, file, form, get, json as json_body, post, recognizer, send, service, service_of,
};

#[tokio::test]
async fn wrong_requests_are_refused_with_a_code() {
    let app = default_app();
    let image = || file("astronaut.jpg");
    let cases: Vec<(Request<Body>, u16, &str)> = vec![
        (post("/v1/predict", "application/json", "{"), 400, "bad_request"),
        (post("/v1/predict", "application/json", "{}"), 400, "bad_request"),
        (json_body("/v1/predict", &json!({ "image": "eA", "colour": 1 })), 400, "bad_request"),
        (json_body("/v1/predict", &json!({ "image": "e A" })), 400, "bad_request"),
        (json_body("/v1/predict", &json!({ "image": "http://a.org/a.jpg" })), 400, "url_refused"),
        (json_body("/v1/predict", &json!({ "image": "a.jpg" })), 400, "path_refused"),
        (json_body("/v1/predict", &json!({ "image": "eA" })), 415, "not_an_image"),
        (form("/v1/predict", &[("other", Some("a.jpg"), image())]), 400, "no_picture"),
        (form("/v1/predict", &[("image", Some("a"), image()), ("image", Some("b"), image())]), 400, "bad_request"),
        (post("/v1/predict", "multipart/form-data", "x"), 400, "bad_request"),
        (post("/v1/predict", "multipart/form-data; boundary=line", "--line\r\nnonsense"), 400, "bad_request"),
        (post("/v1/predict", "text/plain", "x"), 415, "unsupported_media_type"),
        (Request::post("/v1/predict").body(Body::from(image())).unwrap(), 415, "unsupported_media_type"),
        (post("/v1/predict", "application/x-www-form-urlencoded", "image=eA"), 415, "unsupported_media_type"),
        (post("/v1/predict", "image/jpeg", ""), 400, "damaged_image"),
        (post("/v1/predict", "image/jpeg", image()[..5000].to_vec()), 400, "damaged_image"),
        (post("/v1/predict", "image/heic", &b"\0\0\0\x18ftypheic\0\0\0\0"[..]), 415, "unsupported_image"),
        (form("/v1/predict/batch", &[("note", None, b"x".to_vec())]), 400, "no_picture"),
        (json_body("/v1/predict/batch", &json!({ "image": "eA" })), 415, "unsupported_media_type"),
        (json_body("/analyze", &json!({ "img": base64(&image()), "actions": ["mood"] })), 400, "bad_request"),
        (json_body("/analyze", &json!({ "actions": ["emotion"] })), 400, "no_picture"),
        (json_body("/analyze", &json!(["img"])), 400, "bad_request"),
        (form("/analyze", &[("image", Some("a.jpg"), image())]), 400, "bad_request"),
        (post("/analyze", "image/jpeg", image()), 415, "unsupported_media_type"),
        (Request::get("/v1/predict").body(Body::empty()).unwrap(), 405, "method_not_allowed"),
        (Request::post("/healthz").body(Body::empty()).unwrap(), 405, "method_not_allowed"),
        (Request::post("/").body(Body::empty()).unwrap(), 405, "method_not_allowed"),
        (Request::get("/v2/predict").body(Body::empty()).unwrap(), 404, "not_found"),
        (Request::get("/../etc/passwd").body(Body::empty()).unwrap(), 404, "not_found"),
    ];
    for (request, status, code) in cases {
        let asked = format!("{request:?}");
        let answer = send(&app, request).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{asked}: {answer:?}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
        assert_eq!(status == 405, !answer.header(header::ALLOW).is_empty(), "{asked}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let limits = Limits { body_bytes: 100_000, pixels: 300_000, batch: 2, ..Limits::default() };
    let app = app(service(Settings { limits, ..Settings::default() }));
    let declared = Request::post("/v1/predict")
        .header(header::CONTENT_TYPE, "image/jpeg")
        .header(header::CONTENT_LENGTH, 100_001)
        .body(Body::from(vec![0; 100_001]))
        .unwrap();
    assert_eq!(send(&app, declared).await.refusal(), (413, "body_too_large".to_owned()));
    // As many bytes, which nobody announced.
    let chunks = stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1001]))));
    let streamed = post("/v1/predict", "image/jpeg", Body::from_stream(chunks));
    assert_eq!(send(&app, streamed).await.refusal(), (413, "body_too_large".to_owned()));
    let parts = form("/v1/predict", &[("image", Some("a"), vec![0; 100_001])]);
    assert_eq!(send(&app, parts).await.refusal(), (413, "body_too_large".to_owned()));
    // hopper.jpg has 512x600 pixels, astronaut.jpg 512x512.
    assert_eq!(
        send(&app, post("/v1/predict", "image/jpeg", file("hopper.jpg"))).await.refusal(),
        (413, "picture_too_large".to_owned())
    );
    send(&app, post("/v1/predict", "image/jpeg", file("astronaut.jpg"))).await.ok();
    let three = ["a", "b", "c"].map(|name| ("images", Some(name), b"x".to_vec()));
    assert_eq!(send(&app, form("/v1/predict/batch", &three)).await.refusal(), (413, "batch_too_large".to_owned()));
    let fields: Vec<_> = (0..40).map(|_| ("note", None, Vec::new())).collect();
    assert_eq!(send(&app, form("/v1/predict/batch", &fields)).await.refusal(), (400, "bad_request".to_owned()));
}

/// A code, and the settings that lead to it.
type Case = (&'static str, fn(&mut Settings));

#[tokio::test]
async fn a_server_with_too_much_to_do_says_so_at_once() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        app(service(settings))
    };
    let picture = || post("/v1/predict", "image/jpeg", file("astronaut.jpg"));
    let cases: [Case; 4] = [
        ("busy", |settings| settings.batching.queue = 0),
        ("deadline", |settings| settings.limits.deadline = Duration::ZERO),
        // Not the upload, of 84 147 bytes.
        ("memory", |settings| settings.limits.memory = 80_000),
        // The upload, but not its 512x512 pixels.
        ("memory", |settings| settings.limits.memory = 800_000),
    ];
    for (code, change) in cases {
        let app = with(change);
        let answer = send(&app, picture()).await;
        assert_eq!(answer.refusal(), (503, code.to_owned()));
        assert_eq!(answer.header(header::RETRY_AFTER), "1");
        // Nothing is held back, and questions about the server are answered.
        let metrics = String::from_utf8(get(&app, "/metrics").await.bytes.to_vec()).unwrap();
        assert!(metrics.contains("emoxide_upload_bytes 0\n"), "{metrics}");
    }
    let service = service(Settings::default());
    let app = app(std::sync::Arc::clone(&service));
    service.stop();
    assert_eq!(get(&app, "/readyz").await.refusal(), (503, "stopping".to_owned()));
    let answer = send(&app, picture()).await;
    assert_eq!(answer.header(header::CONNECTION), "close");
    answer.ok();
}

#[tokio::test]
async fn uploads_that_take_too_long_or_break_off_are_refused() {
    let limits = Limits { upload_timeout: Duration::from_millis(20), ..Limits::default() };
    let app = app(service(Settings { limits, ..Settings::default() }));
    let begun = || stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"\xff\xd8"))]);
    let endless = post("/v1/predict", "image/jpeg", Body::from_stream(begun().chain(stream::pending())));
    let answer = send(&app, endless).await;
    assert_eq!(answer.refusal(), (400, "upload_timeout".to_owned()));
    assert_eq!(answer.header(header::CONNECTION), "close");
    let cut = stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    let broken = post("/v1/predict", "image/jpeg", Body::from_stream(begun().chain(cut)));
    assert_eq!(send(&app, broken).await.refusal(), (400, "upload_broken".to_owned()));
    let cut = stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    let broken = post("/v1/predict", "multipart/form-data; boundary=line", Body::from_stream(begun().chain(cut)));
    assert_eq!(send(&app, broken).await.refusal(), (400, "upload_broken".to_owned()));
}

#[tokio::test]
async fn a_recogniser_that_fails_fails_one_request() {
    // A card that names too few classes makes every face panic, and nothing else.
    let app = app(service_of(Settings::default(), || {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/default.safetensors");
        let (network, mut card) = emoxide::weights::checkpoint::load(path.as_ref(), &cpu()).unwrap();
        card.classes = emoxide::labels::Classes::seven();
        recognizer(Model::new(&network, card, cpu()))
    }));
    let answer = send(&app, post("/v1/predict", "image/jpeg", file("astronaut.jpg"))).await;
    assert_eq!(answer.refusal(), (500, "internal".to_owned()));
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("one a class"), "what a panic said is not for clients");
    send(&app, post("/v1/predict", "image/jpeg", file("none.jpg"))).await.ok();
    let parts = [("a", Some("a"), file("astronaut.jpg")), ("b", Some("b"), file("none.jpg"))];
    let answer = send(&app, form("/v1/predict/batch", &parts)).await.ok();
    assert_eq!(answer["results"][0]["error"]["code"], "internal");
    assert_eq!(answer["results"][1]["faces"], json!([]));
    assert_eq!(zoo::card(zoo::DEFAULT).unwrap().classes.len(), 8);
}

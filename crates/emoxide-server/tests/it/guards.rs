//! What every request passes: token, origin, identifier, its client's share.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use emoxide_server::{Client, Limits, Origin, Settings, Token, app};
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;

use crate::support::{default_app, file, form, get, post, send, service};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[tokio::test]
async fn a_token_guards_everything_but_probes_and_page() {
    let token = Some(Token::new("open-sesame").unwrap());
    let app = app(service(Settings { token, ..Settings::default() }));
    for open in ["/healthz", "/readyz", "/"] {
        assert_eq!(get(&app, open).await.status, StatusCode::OK, "{open}");
    }
    let with =
        |path: &str, value: &str| Request::get(path).header(header::AUTHORIZATION, value).body(Body::empty()).unwrap();
    for closed in ["/metrics", "/openapi.json", "/v1/info", "/v1/models", "/v1/predict", "/nowhere", "//", "/healthz/"]
    {
        let answer = get(&app, closed).await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{closed}");
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer");
    }
    for wrong in
        ["open-sesame", "Bearer", "Bearer open-sesam", "Bearer open-sesame2", "Basic open-sesame", "Bearer Open-sesame"]
    {
        assert_eq!(send(&app, with("/v1/info", wrong)).await.refusal(), (401, "unauthorized".to_owned()), "{wrong}");
    }
    for right in ["Bearer open-sesame", "bearer  open-sesame"] {
        assert_eq!(send(&app, with("/v1/info", right)).await.status, StatusCode::OK, "{right}");
    }
    let mut picture = post("/v1/predict", "image/jpeg", file("none.jpg"));
    picture.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer open-sesame"));
    send(&app, picture).await.ok();
}

#[tokio::test]
async fn other_origins_may_ask_where_they_are_named() {
    let preflight = |origin: &str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri("/v1/predict")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization")
            .body(Body::empty())
            .unwrap()
    };
    let closed = default_app();
    assert_eq!(send(&closed, preflight("https://a.org")).await.refusal(), (405, "method_not_allowed".to_owned()));

    let origins = ["https://a.org", "https://b.org"].map(|origin| Origin::new(origin).unwrap());
    let token = Some(Token::new("open-sesame").unwrap());
    let open = app(service(Settings { cors_origins: origins.to_vec(), token, ..Settings::default() }));
    for origin in ["https://a.org", "https://b.org"] {
        let answer = send(&open, preflight(origin)).await;
        assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (StatusCode::OK, origin));
        assert!(answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS).contains("authorization"));
    }
    assert_eq!(send(&open, preflight("https://c.org")).await.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
    // A refusal can be read by the page that it is for.
    let refused = Request::get("/v1/info").header(header::ORIGIN, "https://a.org").body(Body::empty()).unwrap();
    let answer = send(&open, refused).await;
    assert_eq!((answer.status.as_u16(), answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (401, "https://a.org"));
}

#[tokio::test]
async fn identifiers_are_taken_over_if_sane_and_made_otherwise() {
    let app = default_app();
    let ask = async |id: &str| {
        let request = Request::get("/healthz").header(REQUEST_ID, id).body(Body::empty()).unwrap();
        send(&app, request).await.header(REQUEST_ID).to_owned()
    };
    let long = "a".repeat(128);
    for sane in ["7f-A_b.3", &long] {
        assert_eq!(ask(sane).await, sane);
    }
    let longer = "a".repeat(129);
    for odd in ["", "a b", "{\"a\":1}", "a/b", &longer] {
        let made = ask(odd).await;
        assert!(made != odd && made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{odd}: {made}");
    }
    let (one, other) = (get(&app, "/nowhere").await, get(&app, "/nowhere").await);
    assert_ne!(one.header(REQUEST_ID), other.header(REQUEST_ID));
}

#[tokio::test]
async fn a_client_has_as_many_requests_at_once_as_it_may() {
    let limits = Limits { client_requests: Some(1), ..Limits::default() };
    let app = app(service(Settings { limits, ..Settings::default() }));
    let from = |address: &str, mut request: Request<Body>| {
        request.extensions_mut().insert(Client(address.parse::<IpAddr>().unwrap()));
        request
    };
    let picture = || post("/v1/predict", "image/jpeg", file("none.jpg"));
    // A body that tells when it is read, and waits.
    let (reading, begun) = oneshot::channel();
    let (release, held) = oneshot::channel::<()>();
    let body = stream::once(async move {
        reading.send(()).unwrap();
        held.await.unwrap();
        Ok::<_, std::io::Error>(Bytes::from(file("none.jpg")))
    });
    let slow = from("10.0.0.1", post("/v1/predict", "image/jpeg", Body::from_stream(body)));
    let first = tokio::spawn({
        let app = app.clone();
        async move { send(&app, slow).await }
    });
    begun.await.unwrap();
    let refused = send(&app, from("10.0.0.1", picture())).await;
    assert_eq!((refused.refusal(), refused.header(header::RETRY_AFTER)), ((429, "client_busy".to_owned()), "1"));
    let probe = from("10.0.0.1", Request::get("/healthz").body(Body::empty()).unwrap());
    assert_eq!(send(&app, probe).await.status, StatusCode::OK);
    send(&app, from("10.0.0.2", picture())).await.ok();
    release.send(()).unwrap();
    first.await.unwrap().ok();
    send(&app, from("10.0.0.1", picture())).await.ok();
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_behind() {
    let limits = Limits { client_requests: Some(1), ..Limits::default() };
    let app = app(service(Settings { limits, ..Settings::default() }));
    let client = Client("10.0.0.1".parse::<IpAddr>().unwrap());
    let (reading, begun) = oneshot::channel();
    let parts = stream::once(async { Ok::<_, std::io::Error>(Bytes::from(vec![0; 50_000])) });
    let wait = stream::once(async move {
        reading.send(()).unwrap();
        std::future::pending().await
    });
    let mut request = post("/v1/predict", "image/jpeg", Body::from_stream(parts.chain(wait)));
    request.extensions_mut().insert(client);
    let gone = tokio::spawn({
        let app = app.clone();
        async move { send(&app, request).await }
    });
    begun.await.unwrap();
    let held = async || String::from_utf8(get(&app, "/metrics").await.bytes.to_vec()).unwrap();
    assert!(held().await.contains("emoxide_upload_bytes 50000\n"));
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert!(held().await.contains("emoxide_upload_bytes 0\n"));
    let mut again = form("/v1/predict", &[("image", Some("none.jpg"), file("none.jpg"))]);
    again.extensions_mut().insert(client);
    send(&app, again).await.ok();
}

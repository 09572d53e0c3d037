//! What the server says of itself, and that it is true.

use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{default_app, file, form, get, post, send};

const ROUTES: [(&str, &str); 10] = [
    ("post", "/analyze"),
    ("post", "/v1/predict"),
    ("post", "/v1/predict/batch"),
    ("post", "/v1/video"),
    ("post", "/v1/explain"),
    ("get", "/v1/models"),
    ("get", "/v1/info"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
];

#[tokio::test]
async fn the_document_lists_every_route_and_its_refusals() {
    let app = default_app();
    let answer = get(&app, "/openapi.json").await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    let document = answer.ok();
    let paths = document["paths"].as_object().unwrap();
    let listed: Vec<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.as_str(), path.as_str()))
        })
        .collect();
    let sorted = |routes: &[(&str, &str)]| {
        let mut routes: Vec<String> = routes.iter().map(|(method, path)| format!("{method} {path}")).collect();
        routes.sort();
        routes
    };
    assert_eq!(sorted(&listed), sorted(&ROUTES));
    for (method, path) in ROUTES {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = Request::builder().method(method.clone()).uri(path).body(axum::body::Body::empty()).unwrap();
        assert_ne!(send(&app, request).await.status, StatusCode::NOT_FOUND, "{path}");
        let responses = document["paths"][path][method.as_str().to_lowercase()]["responses"].as_object().unwrap();
        if method == Method::POST {
            for status in ["200", "400", "401", "413", "415", "429", "503"] {
                assert!(responses.contains_key(status), "{path} {status}");
            }
        }
    }
}

/// The keys that a schema of the document requires, and those that it knows, through references and joined parts.
fn keys(document: &Value, schema: &Value, key: &str) -> Vec<String> {
    if let Some(place) = schema["$ref"].as_str() {
        return keys(document, document.pointer(&place[1..]).unwrap(), key);
    }
    let joined = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| keys(document, part, key));
    let own: Vec<String> = match &schema[key] {
        Value::Object(properties) => properties.keys().cloned().collect(),
        names => names.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect(),
    };
    joined.chain(own).collect()
}

#[tokio::test]
async fn answers_have_the_keys_of_their_schemas() {
    let app = default_app();
    let document = get(&app, "/openapi.json").await.ok();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let check = |value: &Value, name: &str| {
        let found: Vec<&String> = value.as_object().unwrap().keys().collect();
        for required in keys(&document, &schema(name), "required") {
            assert!(found.contains(&&required), "{name}: {required} in {found:?}");
        }
        let known = keys(&document, &schema(name), "properties");
        assert!(!known.is_empty() && found.iter().all(|key| known.contains(key)), "{name}: {found:?} in {known:?}");
    };
    let picture = || post("/v1/predict", "image/jpeg", file("astronaut.jpg"));
    let answer = send(&app, picture()).await.ok();
    check(&answer, "PredictAnswer");
    check(&answer["faces"][0], "Face");
    check(&answer["faces"][0]["box"], "FaceBox");
    let parts = [("a", Some("a.jpg"), file("astronaut.jpg")), ("b", Some("b.jpg"), Vec::new())];
    let answer = send(&app, form("/v1/predict/batch", &parts)).await.ok();
    check(&answer, "BatchAnswer");
    check(&answer["results"][0], "Found");
    check(&answer["results"][1], "Failed");
    check(&answer["results"][1]["error"], "ErrorBody");
    let answer = send(&app, form("/analyze", &[("img", Some("a.jpg"), file("astronaut.jpg"))])).await.ok();
    check(&answer, "Analysis");
    check(&answer["results"][0], "Analysed");
    check(&answer["results"][0]["region"], "Region");
    check(&send(&app, post("/analyze", "text/plain", "")).await.json(), "ErrorAnswer");
}

#[tokio::test]
async fn the_server_says_what_it_is_and_what_it_must_not_be_used_for() {
    let app = default_app();
    let info = get(&app, "/v1/info").await.ok();
    let notices = info["notices"].to_string();
    assert!(notices.contains("Art. 5(1)(f)") && notices.contains("not a feeling"), "{notices}");
    for key in [
        "version",
        "model",
        "classes",
        "preprocess",
        "detector",
        "device",
        "executor",
        "explains",
        "browser",
        "batching",
        "limits",
    ] {
        assert!(!info[key].is_null(), "{key}");
    }
    assert_eq!(
        (&info["detector"]["kind"], &info["executor"], &info["device"]),
        (&json!("mtcnn"), &json!("compiled"), &json!("cpu"))
    );
    let models = get(&app, "/v1/models").await.ok();
    assert_eq!(models["models"][0]["name"], info["model"]["name"]);
    assert_eq!(models["models"][0]["classes"].as_array().unwrap().len(), 8);
    assert_eq!(&get(&app, "/healthz").await.bytes[..], b"ok");
    assert_eq!(&get(&app, "/readyz").await.bytes[..], b"ready");
}

#[tokio::test]
async fn the_page_is_cached_by_its_contents_and_may_load_nothing_from_elsewhere() {
    let app = default_app();
    let page = get(&app, "/").await;
    assert_eq!((page.status, page.header(header::CONTENT_TYPE)), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
    assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(page.header(header::REFERRER_POLICY), "no-referrer");
    let tag = page.header(header::ETAG).to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let request = Request::get("/").header(header::IF_NONE_MATCH, &known).body(axum::body::Body::empty()).unwrap();
        let answer = send(&app, request).await;
        assert_eq!(
            (answer.status, answer.bytes.len(), answer.header(header::ETAG)),
            (StatusCode::NOT_MODIFIED, 0, &*tag),
            "{known}"
        );
    }
    let request = Request::get("/").header(header::IF_NONE_MATCH, "\"other\"").body(axum::body::Body::empty()).unwrap();
    assert_eq!(send(&app, request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn everything_that_the_page_names_is_there() {
    let app = default_app();
    let mut waiting = vec![String::new()];
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        let answer = get(&app, &format!("/{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.header(header::CONTENT_SECURITY_POLICY).is_empty(), "{path}");
        if answer.header(header::CONTENT_TYPE).starts_with("text/") {
            let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
            let named = text.split(['"', '\'', '`']).map(|word| word.trim_start_matches("./"));
            let endings = [".js", ".css", ".svg", ".wasm", ".safetensors"];
            let file = |word: &&str| endings.iter().any(|ending| word.ends_with(ending)) && !word.contains([' ', '/']);
            // The module calls what the scripts give it by this name, of which there is no file.
            waiting.extend(named.filter(file).filter(|name| *name != "emoxide_web_bg.js").map(str::to_owned));
        }
        seen.push(path);
    }
    for wanted in
        ["main.js", "worker.js", "style.css", "emoxide_web_bg.wasm", "detector.safetensors", "model.safetensors"]
    {
        assert!(seen.iter().any(|path| path == wanted), "{wanted} in {seen:?}");
    }
    let module = get(&app, "/emoxide_web_bg.wasm").await;
    assert_eq!(
        (module.header(header::CONTENT_ENCODING), module.header(header::CONTENT_TYPE)),
        ("gzip", "application/wasm")
    );
}

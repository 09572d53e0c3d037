//! DeepFace's clients get what they got there.

use emoxide_server::{Limits, Settings, app};
use serde_json::{Value, json};

use crate::support::{base64, default_app, file, form, json as json_body, photos_folder, post, send, service};

const NAMES: [&str; 8] = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"];

/// A face has DeepFace's shape.
fn assert_shape(face: &Value) {
    let face = face.as_object().unwrap();
    assert!(face.keys().eq(["emotion", "dominant_emotion", "region", "face_confidence"]), "{face:?}");
    let emotion = face["emotion"].as_object().unwrap();
    assert!(emotion.keys().eq(NAMES), "{emotion:?}");
    let total: f64 = emotion.values().map(|value| value.as_f64().unwrap()).sum();
    assert!((total - 100.0).abs() < 1e-3, "{total}");
    let top =
        emotion.iter().max_by(|one, other| one.1.as_f64().unwrap().total_cmp(&other.1.as_f64().unwrap())).unwrap();
    assert_eq!(face["dominant_emotion"], **top.0);
    let region = face["region"].as_object().unwrap();
    assert!(region.keys().eq(["x", "y", "w", "h", "left_eye", "right_eye"]), "{region:?}");
    for side in ["x", "y", "w", "h"] {
        assert!(region[side].is_u64(), "{region:?}");
    }
}

#[tokio::test]
async fn the_documented_call_works_unchanged() {
    let app = default_app();
    // requests.post(url, json={"img": "data:image/jpeg;base64,…", "actions": ["emotion"]})
    let img = format!("data:image/jpeg;base64,{}", base64(&file("astronaut.jpg")));
    let answer = send(&app, json_body("/analyze", &json!({ "img": img, "actions": ["emotion"] }))).await.ok();
    let results = answer["results"].as_array().unwrap();
    assert_eq!((results.len(), &answer["warnings"]), (1, &json!([])));
    assert_shape(&results[0]);
    assert_eq!(results[0]["dominant_emotion"], "happy");
    assert!(results[0]["face_confidence"].as_f64().unwrap() > 0.9);
    // The person's left eye lies to the right in the picture.
    let region = &results[0]["region"];
    let [left, right] = ["left_eye", "right_eye"].map(|eye| region[eye][0].as_i64().unwrap());
    assert!(left > right && region["left_eye"][1].is_i64(), "{region}");
}

#[tokio::test]
async fn forms_and_files_are_taken_too() {
    let app = default_app();
    let bytes = file("astronaut.jpg");
    let encoded = base64(&bytes).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let requests = [
        form("/analyze", &[("img", Some("a.jpg"), bytes.clone()), ("actions", None, b"emotion".to_vec())]),
        form("/analyze", &[("actions", None, b"[\"emotion\"]".to_vec()), ("img", None, base64(&bytes).into_bytes())]),
        post("/analyze", "application/x-www-form-urlencoded", format!("img={encoded}&actions=emotion&align=True")),
    ];
    for request in requests {
        let answer = send(&app, request).await.ok();
        assert_eq!((answer["results"].as_array().unwrap().len(), &answer["warnings"]), (1, &json!([])));
        assert_shape(&answer["results"][0]);
    }
    let few =
        send(&app, json_body("/analyze", &json!({ "img": base64(&file("several.jpg")), "max_faces": 2 }))).await.ok();
    assert_eq!(few["results"].as_array().unwrap().len(), 2);
    let unasked = json!({ "img": base64(&bytes), "actions": "age", "detector_backend": "retinaface", "who": 1 });
    let answer = send(&app, json_body("/analyze", &unasked)).await.ok();
    assert!(answer["results"][0].get("emotion").is_none() && answer["results"][0].get("region").is_some());
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 3, "{answer}");
}

#[tokio::test]
async fn without_a_face_the_picture_is_refused_or_taken_whole() {
    let app = default_app();
    let parts = |word: &str| {
        let enforce = ("enforce_detection", None, word.as_bytes().to_vec());
        form(
            "/analyze",
            &[("img", Some("none.jpg"), file("none.jpg")), ("actions", None, b"emotion".to_vec()), enforce],
        )
    };
    assert_eq!(send(&app, parts("true")).await.refusal(), (422, "no_face".to_owned()));
    let unsaid = json!({ "img": base64(&file("none.jpg")) });
    assert_eq!(send(&app, json_body("/analyze", &unsaid)).await.refusal(), (422, "no_face".to_owned()));
    for no in ["false", "0", "no", "False"] {
        let answer = send(&app, parts(no)).await.ok();
        let face = &answer["results"][0];
        assert_shape(face);
        let whole = json!({ "x": 0, "y": 0, "w": 600, "h": 400, "left_eye": null, "right_eye": null });
        assert_eq!((&face["region"], &face["face_confidence"]), (&whole, &json!(0.0)), "{no}");
    }
    let skip = json!({ "img": base64(&file("astronaut.jpg")), "detector_backend": "skip" });
    let answer = send(&app, json_body("/analyze", &skip)).await.ok();
    assert_eq!(answer["results"][0]["region"]["w"], 512);
}

#[tokio::test]
async fn paths_are_read_in_the_allowed_folder_alone_and_addresses_never() {
    let ask = |img: &str| json_body("/analyze", &json!({ "img": img, "actions": ["emotion"] }));
    let inside = photos_folder().join("astronaut.jpg").display().to_string();
    let closed = default_app();
    let open = app(service(Settings { allow_paths: Some(photos_folder()), ..Settings::default() }));
    for path in [&inside, "astronaut.jpg", "../default.safetensors", "/etc/hostname.txt"] {
        assert_eq!(send(&closed, ask(path)).await.refusal(), (400, "path_refused".to_owned()), "{path}");
    }
    for url in ["http://127.0.0.1:1/a.jpg", "https://example.org/a.jpg", "file:///etc/passwd"] {
        assert_eq!(send(&open, ask(url)).await.refusal(), (400, "url_refused".to_owned()), "{url}");
    }
    for path in [&inside, "astronaut.jpg", "../photos/astronaut.jpg"] {
        assert_shape(&send(&open, ask(path)).await.ok()["results"][0]);
    }
    for path in ["../default.safetensors", "../../Cargo.toml", "nowhere.jpg", "."] {
        assert_eq!(send(&open, ask(path)).await.refusal(), (400, "path_refused".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn faces_beyond_the_server_s_limit_are_named() {
    let limits = Limits { faces: 1, ..Limits::default() };
    let app = app(service(Settings { limits, ..Settings::default() }));
    let body = |most: Value| json!({ "img": base64(&file("several.jpg")), "actions": ["emotion"], "max_faces": most });
    let answer = send(&app, json_body("/analyze", &body(Value::Null))).await.ok();
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    assert!(answer["warnings"][0].as_str().unwrap().starts_with("2 more faces"), "{answer}");
    let answer = send(&app, json_body("/analyze", &body(json!(1)))).await.ok();
    assert_eq!(answer["warnings"], json!([]));
}

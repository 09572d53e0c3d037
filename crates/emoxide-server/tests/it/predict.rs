//! Our own routes: the same numbers as the library, whatever the form of the request.

use std::sync::Arc;

use emoxide::zoo;
use emoxide_server::{Settings, app};
use serde_json::{Value, json};

use crate::support::{
    base64, cpu, default_app, file, form, get, json as json_body, photo, post, recognizer, send, service,
};

/// Every number of an answer's faces is what the library says, within a tolerance.
fn assert_same(faces: &Value, expected: &Value, tolerance: f64, place: &str) {
    match (faces, expected) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            assert!((one - other).abs() <= tolerance * other.abs().max(1.0), "{place}: {one} {other}");
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            one.iter().zip(other).for_each(|(one, other)| assert_same(one, other, tolerance, place));
        }
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{place}: {one:?} {other:?}");
            one.iter().for_each(|(key, one)| assert_same(one, &other[key], tolerance, key));
        }
        (one, other) => assert_eq!(one, other, "{place}"),
    }
}

/// What the library says of a photo.
fn expected(name: &str) -> Value {
    let faces = recognizer(zoo::open(zoo::DEFAULT, &cpu()).unwrap()).recognise(&[photo(name)]).remove(0);
    serde_json::to_value(faces).unwrap()
}

#[tokio::test]
async fn a_picture_has_the_library_s_numbers_in_every_form_of_request() {
    let app = default_app();
    let expected = expected("astronaut.jpg");
    let bytes = file("astronaut.jpg");
    let text = base64(&bytes);
    let requests = [
        (form("/v1/predict", &[("image", Some("a.jpg"), bytes.clone())]), "a.jpg"),
        (form("/v1/predict", &[("note", None, b"x".to_vec()), ("image", None, bytes.clone())]), "image"),
        (post("/v1/predict", "image/jpeg", bytes.clone()), "image"),
        // The bytes say what a picture is, not its content type.
        (post("/v1/predict", "image/png; q=1", bytes), "image"),
        (json_body("/v1/predict", &json!({ "image": text })), "image"),
        (json_body("/v1/predict", &json!({ "image": format!("data:image/jpeg;base64,{text}") })), "image"),
    ];
    for (request, name) in requests {
        let answer = send(&app, request).await.ok();
        assert_same(&answer["faces"], &expected, 1e-6, "faces");
        assert_eq!(
            (&answer["input"], &answer["frame"], &answer["faces_left_out"]),
            (&json!(name), &json!(0), &json!(0))
        );
        assert_eq!((&answer["device"], answer["model"].is_string()), (&json!("cpu"), true));
        assert!(answer["timing_ms"].as_f64().unwrap() > 0.0);
    }
}

#[tokio::test]
async fn options_choose_faces_and_doubt() {
    let app = default_app();
    let ask =
        async |query: &str| send(&app, post(&format!("/v1/predict{query}"), "image/jpeg", file("several.jpg"))).await;
    let all = ask("").await.ok();
    assert_eq!(all["faces"].as_array().unwrap().len(), 3);
    let one = ask("?max_faces=1&min_confidence=1").await.ok();
    assert_eq!((one["faces"].as_array().unwrap().len(), &one["faces_left_out"]), (1, &json!(2)));
    assert_eq!(one["faces"][0]["dominant_emotion"], "uncertain");
    assert_same(&one["faces"][0]["probabilities"], &all["faces"][0]["probabilities"], 1e-5, "probabilities");
    for wrong in ["?max_faces=0", "?max_faces=x", "?min_confidence=2", "?min_confidence=nan", "?colour=red"] {
        assert_eq!(ask(wrong).await.refusal(), (400, "bad_request".to_owned()), "{wrong}");
    }
    let none = send(&app, post("/v1/predict", "image/jpeg", file("none.jpg"))).await.ok();
    assert_eq!(none["faces"], json!([]));
}

#[tokio::test]
async fn a_bad_file_of_a_batch_costs_only_itself() {
    let mut settings = Settings::default();
    settings.batching.pictures = 2;
    let app = app(service(settings));
    let parts = [
        ("images", Some("a.jpg"), file("astronaut.jpg")),
        ("images", Some("words.txt"), b"no picture".to_vec()),
        ("images", Some("cut.jpg"), file("cut.jpg")[..2000].to_vec()),
        ("note", None, b"no file".to_vec()),
        ("other", Some("none.jpg"), file("none.jpg")),
        ("images", Some("hopper.jpg"), file("hopper.jpg")),
    ];
    let answer = send(&app, form("/v1/predict/batch", &parts)).await.ok();
    let results = answer["results"].as_array().unwrap();
    let names: Vec<&str> = results.iter().map(|result| result["input"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.jpg", "words.txt", "cut.jpg", "none.jpg", "hopper.jpg"]);
    for (index, name) in [(0, "astronaut.jpg"), (3, "none.jpg"), (4, "hopper.jpg")] {
        assert_same(&results[index]["faces"], &expected(name), 1e-5, name);
    }
    assert_eq!(results[1]["error"]["code"], "not_an_image");
    assert_eq!(results[2]["error"]["code"], "damaged_image");
    assert!(results[1].get("faces").is_none());
}

#[tokio::test]
async fn requests_that_come_together_are_answered_together_with_the_same_numbers() {
    let mut settings = Settings::default();
    // Three requests fill a batch long before the wait is over.
    (settings.batching.pictures, settings.batching.wait) = (3, std::time::Duration::from_secs(20));
    let app = app(service(settings));
    let names = ["astronaut.jpg", "hopper.jpg", "grey.jpg"];
    let asked = names.map(|name| {
        let app = app.clone();
        tokio::spawn(async move { send(&app, post("/v1/predict", "image/jpeg", file(name))).await.ok() })
    });
    for (asked, name) in asked.into_iter().zip(names) {
        assert_same(&asked.await.unwrap()["faces"], &expected(name), 1e-5, name);
    }
    let metrics = String::from_utf8(get(&app, "/metrics").await.bytes.to_vec()).unwrap();
    for line in [
        "emoxide_batch_pictures_sum 3",
        "emoxide_batch_pictures_count 1",
        "emoxide_faces_total 3",
        "emoxide_pictures_total 3",
        "emoxide_queue_depth 0",
        "emoxide_upload_bytes 0",
        "emoxide_requests_total{route=\"/v1/predict\",status=\"200\"} 3",
        "emoxide_request_seconds_count{route=\"/v1/predict\"} 3",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn faces_that_were_cropped_already_are_answered_whole() {
    use emoxide::face::Detector;
    use emoxide::recognizer::{Options, Recognizer};
    let whole =
        || Recognizer::new(Detector::WholeImage, zoo::open(zoo::DEFAULT, &cpu()).unwrap(), Options::default()).unwrap();
    let service = crate::support::service_of(Settings::default(), whole);
    let app = app(Arc::clone(&service));
    let answer = send(&app, post("/v1/predict", "image/jpeg", file("none.jpg"))).await.ok();
    let expected = serde_json::to_value(whole().recognise(&[photo("none.jpg")]).remove(0)).unwrap();
    assert_same(&answer["faces"], &expected, 1e-6, "faces");
    assert_eq!(answer["faces"][0]["detection_score"], Value::Null);
    let body = json!({ "img": base64(&file("none.jpg")), "actions": ["emotion"], "detector_backend": "opencv" });
    let answer = send(&app, json_body("/analyze", &body)).await.ok();
    assert_eq!(
        (&answer["results"][0]["region"]["w"], &answer["results"][0]["face_confidence"]),
        (&json!(600), &json!(0.0))
    );
    assert!(answer["warnings"][0].as_str().unwrap().contains("no detector"));
    assert_eq!(get(&app, "/v1/info").await.ok()["detector"]["kind"], "whole-image");
}

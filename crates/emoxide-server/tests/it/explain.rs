//! Where a network looks, face by face.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emoxide::models::NetworkConfig;
use emoxide::preprocess::Preprocess;
use emoxide::weights::checkpoint::Card;
use emoxide::zoo::{self, Model};
use emoxide_server::{Settings, app};
use serde_json::json;

use crate::support::{cpu, default_app, file, form, get, post, recognizer, send, service_of};

/// A network with maps, and fresh weights.
fn attentive() -> Model {
    let network: NetworkConfig = serde_json::from_value(json!({
        "kind": "pcm", "input_channels": 1, "branches": 3, "width": 16,
        "base": { "kind": "ir", "stem_width": 16, "widths": [16, 32, 64], "units": [1, 1, 1] },
    }))
    .unwrap();
    let default = zoo::card(zoo::DEFAULT).unwrap();
    let preprocess = Preprocess { width: 48, height: 48, ..default.preprocess };
    let card = Card { name: "untrained".to_owned(), network, preprocess, results: Vec::new(), ..default };
    Model::new(&card.network.init(card.classes.len(), &cpu()), card, cpu())
}

#[tokio::test]
async fn every_face_has_its_maps_as_pictures() {
    let app = app(service_of(Settings::default(), || recognizer(attentive())));
    let info = get(&app, "/v1/info").await.ok();
    assert_eq!((&info["explains"], &info["model"]["name"]), (&json!(true), &json!("untrained")));
    let answer =
        send(&app, form("/v1/explain?max_faces=2", &[("image", Some("s.jpg"), file("several.jpg"))])).await.ok();
    let faces = answer["faces"].as_array().unwrap();
    assert_eq!((faces.len(), &answer["faces_left_out"], &answer["input"]), (2, &json!(1), &json!("s.jpg")));
    for face in faces {
        let maps = face["maps"].as_object().unwrap();
        assert_eq!(maps.len(), 9, "{:?}", maps.keys());
        for map in maps.values() {
            assert!(map["low"].as_f64().unwrap() <= map["high"].as_f64().unwrap());
            let png = STANDARD.decode(map["png"].as_str().unwrap()).unwrap();
            let picture = emoxide::image::decode(&png, &emoxide::image::Limits::default()).unwrap();
            assert_eq!(picture.dimensions(), (48, 48));
        }
    }
    assert!(!answer["maps_left_out"].as_array().unwrap().is_empty());
    let none = send(&app, post("/v1/explain", "image/jpeg", file("none.jpg"))).await.ok();
    assert_eq!((&none["faces"], &none["maps_left_out"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_network_without_maps_says_so() {
    let app = default_app();
    assert_eq!(get(&app, "/v1/info").await.ok()["explains"], json!(false));
    let refused = send(&app, post("/v1/explain", "image/jpeg", file("astronaut.jpg"))).await;
    assert_eq!(refused.refusal(), (422, "unexplained".to_owned()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("pcm"));
}

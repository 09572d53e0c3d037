//! Videos: a line for every frame, with the numbers of the library.

use axum::http::{StatusCode, header};
use emoxide_testing::{ffmpeg, has_ffmpeg};
use serde_json::{Value, json};

use crate::support::{Answered, default_app, form, photos_folder, post, send};

fn lines(answer: &Answered) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/x-ndjson");
    answer
        .bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_frame_of_a_video_is_answered_with_faces_that_keep_their_number() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let photo = photos_folder().join("astronaut.jpg");
    let photo = photo.display();
    ffmpeg(folder.path(), &format!("-loop 1 -framerate 10 -i {photo} -t 0.6 -pix_fmt yuv420p clip.mp4"));
    let clip = fs_err::read(folder.path().join("clip.mp4")).unwrap();
    let app = default_app();
    let whole = lines(&send(&app, form("/v1/video", &[("video", Some("clip.mp4"), clip.clone())])).await);
    assert_eq!(whole.len(), 6);
    for (frame, line) in whole.iter().enumerate() {
        assert_eq!((&line["input"], &line["frame"]), (&json!("clip.mp4"), &json!(frame)));
        assert!((line["timestamp"].as_f64().unwrap() - frame as f64 / 10.0).abs() < 1e-9);
        assert_eq!((line["faces"].as_array().unwrap().len(), &line["faces"][0]["face_id"]), (1, &json!(0)), "{line}");
        assert_eq!(line["faces"][0]["dominant_emotion"], "happiness");
    }
    let query = "/v1/video?skip_frames=1&start=0.15&smooth=0.5&min_confidence=1";
    let part = lines(&send(&app, post(query, "video/mp4", clip.clone())).await);
    let frames: Vec<_> = part.iter().map(|line| (line["input"].clone(), line["frame"].clone())).collect();
    assert_eq!(frames, [(json!("video"), json!(2)), (json!("video"), json!(4))]);
    assert_eq!(part[0]["faces"][0]["dominant_emotion"], "uncertain");

    for query in ["?start=-1", "?start=2&end=1", "?smooth=-1", "?smooth=1&track=false", "?min_confidence=2", "?x=1"] {
        let answer = send(&app, post(&format!("/v1/video{query}"), "video/mp4", clip.clone())).await;
        assert_eq!(answer.refusal(), (400, "bad_request".to_owned()), "{query}");
    }
    let answer = send(&app, post("/v1/video", "video/mp4", "no video")).await;
    assert_eq!(answer.refusal(), (415, "not_a_video".to_owned()));
    assert!(!answer.json().to_string().contains("tmp"), "{:?}", answer.bytes);
}

#[tokio::test]
async fn bodies_without_a_video_are_refused() {
    let app = default_app();
    let answer = send(&app, form("/v1/video", &[("image", Some("a.jpg"), vec![1])])).await;
    assert_eq!(answer.refusal(), (400, "no_video".to_owned()));
    let answer = send(&app, post("/v1/video", "application/json", "{}")).await;
    assert_eq!(answer.refusal(), (415, "unsupported_media_type".to_owned()));
}

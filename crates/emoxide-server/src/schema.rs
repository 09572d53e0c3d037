//! Shapes that other crates write, for the OpenAPI document. A test compares them with what is written.
#![expect(
    dead_code,
    clippy::struct_field_names,
    reason = "they are read by their derived schemas alone, and named as those"
)]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// All faces of one picture.
#[derive(ToSchema)]
pub(crate) struct Prediction {
    /// Name of the picture's file, or `image`.
    input: String,
    /// 0: a picture is no video.
    frame: u64,
    /// Its faces, the largest first unless the model's card says otherwise.
    faces: Vec<Face>,
}

/// All faces of a frame.
#[derive(ToSchema)]
pub(crate) struct FramePrediction {
    /// Name of the video's file, or `video`.
    input: String,
    /// Number of the frame within the video, from 0.
    frame: u64,
    /// When it is shown, in seconds from the video's beginning.
    timestamp: f64,
    /// Its faces, by their numbers.
    faces: Vec<Face>,
}

/// One face and its expression.
#[derive(ToSchema)]
pub(crate) struct Face {
    /// Number of the face within its picture, from 0.
    face_id: u64,
    /// Where it is, in pixels of the picture.
    #[schema(rename = "box")]
    bbox: FaceBox,
    /// The detector's confidence; none where the whole picture was taken for a face.
    #[schema(required = true, minimum = 0, maximum = 1)]
    detection_score: Option<f64>,
    /// Left eye, right eye, nose tip, left and right mouth corner as `[x, y]` in pixels, image-left first.
    #[schema(required = true, value_type = Option<Vec<Vec<f64>>>)]
    landmarks: Option<[[f64; 2]; 5]>,
    /// The most probable expression, or `uncertain`.
    dominant_emotion: String,
    /// Probability of every class by its name; they sum to 1.
    probabilities: BTreeMap<String, f64>,
}

/// A box in pixels, origin at the picture's top left.
#[derive(ToSchema)]
pub(crate) struct FaceBox {
    /// Left edge.
    x: f64,
    /// Top edge.
    y: f64,
    /// Width.
    width: f64,
    /// Height.
    height: f64,
}

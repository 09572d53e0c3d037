//! `POST /analyze`: the emotions of DeepFace's service, in its shape.
//!
//! Reference: serengil/deepface, `api/src/modules/core/routes.py` for requests, `modules/demography.py` and
//! `modules/detection.py` for answers, `models/face_detection/MtCnn.py` for the eyes: its left eye is the person's, which is
//! the right one of a picture.
//!
//! Deviations: no face where one is demanded is 422, not 400; `false`, `0` and `no` in forms are false; neither addresses nor
//! paths are read (paths are with a folder that the server allows); values are not rounded.

mod options;
mod schema;

use axum::Json;
use axum::extract::{Request, State as Shared};
use emoxide::labels::Expression;
use emoxide::recognizer::{Face, Request as Asked, Search, Wanted};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::options::Asking;
use self::schema::{AnalyzeBody, AnalyzeForm};
use super::{Refusals, only};
use crate::State;
use crate::error::{ApiError, ErrorAnswer};
use crate::upload::{Reads, Upload};

const READS: Reads = Reads {
    json: true,
    form: true,
    picture: false,
    words: "multipart/form-data with a file `img`, or its base64 in application/json or application/x-www-form-urlencoded",
};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(analyze))
}

/// The faces of a picture, in DeepFace's shape.
#[derive(Serialize, ToSchema)]
struct Analysis {
    /// One entry a face.
    results: Vec<Analysed>,
    /// What was asked for and is not done.
    warnings: Vec<String>,
}

/// A face, in DeepFace's shape.
#[derive(Serialize, ToSchema)]
struct Analysed {
    /// Percentages by DeepFace's names, which sum to 100; left out where the actions leave out `emotion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, f64>>, nullable = false)]
    emotion: Option<Map<String, Value>>,
    /// The name of the largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    dominant_emotion: Option<&'static str>,
    /// Where the face is.
    region: Region,
    /// The detector's confidence, 0..1; 0 where the whole picture was taken for a face.
    face_confidence: f32,
}

/// A box in whole pixels, with the eyes.
#[derive(Serialize, ToSchema)]
struct Region {
    /// Left edge.
    x: u32,
    /// Top edge.
    y: u32,
    /// Width.
    w: u32,
    /// Height.
    h: u32,
    /// The person's left eye, to the right in the picture; none where the whole picture was taken for a face.
    #[schema(required = true, value_type = Option<Vec<i32>>)]
    left_eye: Option<[i32; 2]>,
    /// The person's right eye.
    #[schema(required = true, value_type = Option<Vec<i32>>)]
    right_eye: Option<[i32; 2]>,
}

/// The emotions of all faces in a picture, as DeepFace's service gives them.
#[utoipa::path(
    post,
    path = "/analyze",
    tag = "expressions",
    request_body(content(
        (AnalyzeBody = "application/json"),
        (AnalyzeForm = "multipart/form-data"),
        (AnalyzeBody = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Its faces.", body = Analysis),
        (status = 422, description = "There is no face in it, and `enforce_detection` was not false.", body = ErrorAnswer),
        Refusals,
    ),
)]
async fn analyze(Shared(state): Shared<State>, request: Request) -> Result<Json<Analysis>, ApiError> {
    let upload = Upload::read(&state, request, READS).await?;
    let asking = Asking::new(&upload.content, state.about.detector)?;
    let deadline = state.deadline();
    let _place = state.place()?;
    let (image, _charge) = state.picture(asking.picture, deadline).await?;
    let limit = state.settings.limits.faces;
    let wanted = Wanted { search: asking.search, faces: asking.faces.map_or(limit, |most| most.min(limit)) };
    let answer = state.see(Asked { images: vec![image], wanted, deadline: Some(deadline) }).await?;
    let seen = only(&state, answer)?;
    if seen.faces.is_empty() && asking.search == Search::Detector {
        return Err(ApiError::NoFace);
    }
    let mut warnings = asking.warnings;
    if seen.left_out > 0 && asking.faces.is_none_or(|most| most > limit) {
        warnings.push(format!("{} more faces are left out: this server answers {limit} at most", seen.left_out));
    }
    Ok(Json(Analysis { results: seen.faces.iter().map(|face| analysed(face, asking.emotion)).collect(), warnings }))
}

fn analysed(face: &Face, emotion: bool) -> Analysed {
    let percentages =
        || face.probabilities.0.iter().map(|(name, p)| (adjective(*name).to_owned(), Value::from(100.0 * p)));
    let whole = |value: f32| value.round() as u32;
    let point = |[x, y]: [f32; 2]| [x.round() as i32, y.round() as i32];
    Analysed {
        emotion: emotion.then(|| percentages().collect()),
        dominant_emotion: face.probabilities.top().filter(|_| emotion).map(|(name, _)| adjective(name)),
        region: Region {
            x: whole(face.bbox.x),
            y: whole(face.bbox.y),
            w: whole(face.bbox.width),
            h: whole(face.bbox.height),
            left_eye: face.landmarks.map(|landmarks| point(landmarks[1])),
            right_eye: face.landmarks.map(|landmarks| point(landmarks[0])),
        },
        face_confidence: face.detection_score.unwrap_or(0.0),
    }
}

/// DeepFace's name of an expression; it has none for contempt.
fn adjective(name: Expression) -> &'static str {
    match name {
        Expression::Anger => "angry",
        Expression::Disgust => "disgust",
        Expression::Fear => "fear",
        Expression::Happiness => "happy",
        Expression::Sadness => "sad",
        Expression::Surprise => "surprise",
        Expression::Neutral => "neutral",
        Expression::Contempt => "contempt",
    }
}

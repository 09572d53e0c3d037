//! `POST /v1/predict/batch`: many pictures, each with its own result.

use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use emoxide::recognizer::{Prediction, Request as Asked, Search, Seen, Wanted};
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Refusals, checked, doubt, milliseconds};
use crate::State;
use crate::error::{ApiError, ErrorBody};
use crate::query::{Checked, Options};
use crate::schema;
use crate::upload::{Content, Picture, Reads, Upload};

const READS: Reads =
    Reads { json: false, form: false, picture: false, words: "multipart/form-data with a file for every picture" };

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(batch))
}

/// Pictures in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document; forms are read part by part")]
struct BatchForm {
    /// The pictures' files; the field's name does not matter.
    #[schema(value_type = Vec<String>, format = Binary)]
    images: Vec<Vec<u8>>,
}

/// The faces of some pictures.
#[derive(Serialize, ToSchema)]
struct BatchAnswer {
    /// One entry a picture, in their order.
    results: Vec<Entry>,
    /// The model's name.
    model: String,
    /// Where it computes.
    device: String,
    /// Milliseconds from the end of the upload to this answer.
    timing_ms: f64,
}

/// What became of a picture.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Entry {
    /// It was read.
    Faces(Found),
    /// It was not.
    Failed(Failed),
}

/// The faces of a picture.
#[derive(Serialize, ToSchema)]
struct Found {
    #[serde(flatten)]
    #[schema(value_type = schema::Prediction)]
    prediction: Prediction,
    /// Faces that the detector found beyond the number that was allowed.
    faces_left_out: usize,
}

/// A picture without an answer.
#[derive(Serialize, ToSchema)]
struct Failed {
    /// Name of the picture's file.
    input: String,
    /// Why it has no answer.
    error: ErrorBody,
}

/// The expressions of all faces in many pictures; a bad one costs only its own answer.
#[utoipa::path(
    post,
    path = "/v1/predict/batch",
    tag = "expressions",
    params(Options),
    request_body(content((BatchForm = "multipart/form-data"))),
    responses((status = 200, description = "A result for every picture.", body = BatchAnswer), Refusals),
)]
async fn batch(
    Shared(state): Shared<State>,
    Checked(options): Checked<Options>,
    request: Request,
) -> Result<Json<BatchAnswer>, ApiError> {
    let upload = Upload::read(&state, request, READS).await?;
    let start = Instant::now();
    let Content::Parts(parts) = &upload.content else { return Err(ApiError::Missing("images")) };
    let files: Vec<_> = parts.iter().filter_map(|part| Some((part.file.as_deref()?, &part.bytes))).collect();
    if files.is_empty() {
        return Err(ApiError::Missing("images"));
    }
    let deadline = state.deadline();
    let _place = state.place()?;
    let wanted = Wanted { search: Search::Detector, faces: options.faces(state.settings.limits.faces) };
    let mut results = Vec::with_capacity(files.len());
    // Batch by batch, so that other requests have their turn between them.
    for files in files.chunks(state.settings.batching.pictures.max(1)) {
        let decoded = files.iter().map(|(_, bytes)| state.picture(Picture::File(Bytes::clone(bytes)), deadline));
        let (mut images, mut sizes) = (Vec::new(), Vec::new());
        for decoded in join_all(decoded).await {
            sizes.push(decoded.map(|(image, charge)| {
                let size = image.dimensions();
                images.push(image);
                (size, charge)
            }));
        }
        let answer = if images.is_empty() {
            Vec::new()
        } else {
            state.see(Asked { images, wanted, deadline: Some(deadline) }).await?
        };
        let mut answer = answer.into_iter();
        for ((name, _), size) in files.iter().zip(sizes) {
            let found = size.and_then(|((width, height), _charge)| {
                let Seen { mut faces, left_out } = answer.next().ok_or(ApiError::Internal)??;
                checked(&state, &faces)?;
                doubt(&mut faces, options);
                let prediction =
                    Prediction { input: (*name).to_owned(), frame: 0, timestamp: None, width, height, faces };
                Ok(Found { prediction, faces_left_out: left_out })
            });
            results.push(match found {
                Ok(found) => Entry::Faces(found),
                Err(error) => Entry::Failed(Failed { input: (*name).to_owned(), error: error.body() }),
            });
        }
    }
    Ok(Json(BatchAnswer {
        results,
        model: state.about.model.clone(),
        device: state.about.device.clone(),
        timing_ms: milliseconds(start),
    }))
}

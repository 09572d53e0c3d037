//! `POST /v1/predict`: one picture, in our own shape.

use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State as Shared};
use emoxide::recognizer::{Prediction, Request as Asked, Search, Seen, Wanted};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Refusals, doubt, milliseconds, only};
use crate::State;
use crate::error::ApiError;
use crate::query::{Checked, Options};
use crate::schema;
use crate::upload::{Content, Picture, Reads, Upload};

/// Bodies with one picture.
pub(super) const READS: Reads = Reads {
    json: true,
    form: false,
    picture: true,
    words: "multipart/form-data with a file `image`, a picture as image/*, or application/json with its base64",
};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(predict))
}

/// A picture in JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PictureBody {
    /// The picture's file in base64, with `data:…;base64,` before it or not.
    image: String,
}

/// A picture in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document; forms are read part by part")]
pub(super) struct PictureForm {
    /// The picture's file.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
}

/// The faces of a picture.
#[derive(Serialize, ToSchema)]
pub(super) struct PredictAnswer {
    #[serde(flatten)]
    #[schema(value_type = schema::Prediction)]
    prediction: Prediction,
    /// Faces that the detector found beyond the number that was allowed.
    faces_left_out: usize,
    /// The model's name.
    model: String,
    /// Where it computes.
    device: String,
    /// Milliseconds from the end of the upload to this answer.
    timing_ms: f64,
}

/// The expressions of all faces in a picture.
#[utoipa::path(
    post,
    path = "/v1/predict",
    tag = "expressions",
    params(Options),
    request_body(content((PictureForm = "multipart/form-data"), (PictureBody = "application/json"), (Vec<u8> = "image/*"))),
    responses((status = 200, description = "Its faces; none is an answer too.", body = PredictAnswer), Refusals),
)]
async fn predict(
    Shared(state): Shared<State>,
    Checked(options): Checked<Options>,
    request: Request,
) -> Result<Json<PredictAnswer>, ApiError> {
    let upload = Upload::read(&state, request, READS).await?;
    let start = Instant::now();
    let (input, picture) = one(&upload.content)?;
    let deadline = state.deadline();
    let _place = state.place()?;
    let (image, _charge) = state.picture(picture, deadline).await?;
    let (width, height) = image.dimensions();
    let wanted = Wanted { search: Search::Detector, faces: options.faces(state.settings.limits.faces) };
    let answer = state.see(Asked { images: vec![image], wanted, deadline: Some(deadline) }).await?;
    let Seen { mut faces, left_out } = only(&state, answer)?;
    doubt(&mut faces, options);
    Ok(Json(PredictAnswer {
        prediction: Prediction { input, frame: 0, timestamp: None, width, height, faces },
        faces_left_out: left_out,
        model: state.about.model.clone(),
        device: state.about.device.clone(),
        timing_ms: milliseconds(start),
    }))
}

/// The one picture of a body, and its name.
pub(super) fn one(content: &Content) -> Result<(String, Picture), ApiError> {
    match content {
        Content::Picture(bytes) => Ok(("image".to_owned(), Picture::File(bytes.clone()))),
        Content::Json(bytes) => {
            let body: PictureBody =
                serde_json::from_slice(bytes).map_err(|error| ApiError::invalid("the JSON body", &error))?;
            Ok(("image".to_owned(), Picture::Text(body.image)))
        }
        Content::Parts(parts) => {
            let mut images = parts.iter().filter(|part| part.name == "image");
            let image = images.next().ok_or(ApiError::Missing("image"))?;
            if images.next().is_some() {
                return Err(ApiError::invalid(
                    "the form",
                    "it has several files `image`; /v1/predict/batch takes many",
                ));
            }
            let name = image.file.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "image".to_owned());
            Ok((name, Picture::File(image.bytes.clone())))
        }
        Content::Form(_) => Err(ApiError::Missing("image")),
    }
}

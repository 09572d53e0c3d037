//! `POST /v1/explain`: where the network looks in the faces of a picture.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State as Shared};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emoxide::explain::{LeftOut, Map, looked_at, overlay};
use emoxide::image::RgbImage;
use emoxide::recognizer::{Face, Recognizer};
use image::ImageFormat;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::predict::{PictureBody, PictureForm, READS, one};
use super::{Refusals, checked, doubt, milliseconds};
use crate::State;
use crate::error::{ApiError, ErrorAnswer};
use crate::query::{Checked, Options};
use crate::schema;
use crate::upload::Upload;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Where the network looks in the faces of a picture.
#[derive(Serialize, ToSchema)]
struct ExplainAnswer {
    /// Name of the picture's file, or `image`.
    input: String,
    /// Its faces, with maps.
    faces: Vec<Explained>,
    /// Faces that the detector found beyond the number that was allowed.
    faces_left_out: usize,
    /// Maps of the network that say nothing of places in the picture.
    maps_left_out: Vec<MapLeftOut>,
    /// The model's name.
    model: String,
    /// Where it computes.
    device: String,
    /// Milliseconds from the end of the upload to this answer.
    timing_ms: f64,
}

/// A face and where the network looks in it.
#[derive(Serialize, ToSchema)]
struct Explained {
    #[serde(flatten)]
    #[schema(value_type = schema::Face)]
    face: Face,
    /// Maps by name.
    maps: BTreeMap<String, MapPicture>,
}

/// A map over its face.
#[derive(Serialize, ToSchema)]
struct MapPicture {
    /// Lowest value, which is dark.
    low: f32,
    /// Highest value, which is bright.
    high: f32,
    /// A PNG in base64: the face as the network is given it, in grey, with the map in colour.
    png: String,
}

/// A map that is not shown.
#[derive(Serialize, ToSchema)]
struct MapLeftOut {
    /// Its name.
    name: String,
    /// Why.
    reason: String,
}

/// Where the network looks in the faces of a picture. Slower than other routes, and one at a time.
#[utoipa::path(
    post,
    path = "/v1/explain",
    tag = "expressions",
    params(Options),
    request_body(content((PictureForm = "multipart/form-data"), (PictureBody = "application/json"), (Vec<u8> = "image/*"))),
    responses(
        (status = 200, description = "Its faces with maps; no face is an answer too.", body = ExplainAnswer),
        (status = 422, description = "The network has no maps that lie as the picture does.", body = ErrorAnswer),
        Refusals,
    ),
)]
async fn explain(
    Shared(state): Shared<State>,
    Checked(options): Checked<Options>,
    request: Request,
) -> Result<Json<ExplainAnswer>, ApiError> {
    let upload = Upload::read(&state, request, READS).await?;
    let start = Instant::now();
    let (input, picture) = one(&upload.content)?;
    if let Some(kinds) = &state.about.unexplained {
        return Err(ApiError::Unexplained(kinds.clone()));
    }
    let deadline = state.deadline();
    let _place = state.place()?;
    let (image, _charge) = state.picture(picture, deadline).await?;
    let most = options.faces(state.settings.limits.faces);
    let Looked { mut faces, maps, faces_left_out } =
        state.alone(deadline, move |recognizer| look(recognizer, image, most)).await?;
    checked(&state, &faces)?;
    doubt(&mut faces, options);
    let draw = move || draw(faces, &maps);
    let (faces, maps_left_out) = state.compute(deadline, draw).await??;
    Ok(Json(ExplainAnswer {
        input,
        faces,
        faces_left_out,
        maps_left_out,
        model: state.about.model.clone(),
        device: state.about.device.clone(),
        timing_ms: milliseconds(start),
    }))
}

/// Faces with what the network looks at in each.
struct Looked {
    faces: Vec<Face>,
    maps: Vec<(RgbImage, Vec<Map>, Vec<LeftOut>)>,
    faces_left_out: usize,
}

/// On the recogniser's thread.
fn look(recognizer: &Recognizer, image: RgbImage, most: usize) -> Looked {
    let images = [image];
    let mut crops = recognizer.crops(&images);
    let faces_left_out = crops.len().saturating_sub(most);
    crops.truncate(most);
    let faces = recognizer.recognise_crops(&images, &crops).concat();
    let look = |crop: emoxide::recognizer::Crop| {
        let (maps, left_out) = looked_at(recognizer.model(), &crop.image);
        (crop.image, maps.concat(), left_out)
    };
    Looked { faces, maps: crops.into_iter().map(look).collect(), faces_left_out }
}

/// The maps over their faces, and what of the first face's maps is not shown: it is the same for all.
fn draw(
    faces: Vec<Face>,
    maps: &[(RgbImage, Vec<Map>, Vec<LeftOut>)],
) -> Result<(Vec<Explained>, Vec<MapLeftOut>), ApiError> {
    let left_out = maps.first().map_or(&[][..], |(_, _, left_out)| left_out);
    let left_out =
        left_out.iter().map(|one| MapLeftOut { name: one.name.clone(), reason: one.reason.to_string() }).collect();
    let mut explained = Vec::new();
    for (face, (crop, maps, _)) in faces.into_iter().zip(maps) {
        let mut drawn = BTreeMap::new();
        for map in maps {
            let (low, high) = map.range();
            let png = STANDARD.encode(png(&overlay(crop, map))?);
            drawn.insert(map.name.clone(), MapPicture { low, high, png });
        }
        explained.push(Explained { face, maps: drawn });
    }
    Ok((explained, left_out))
}

fn png(image: &RgbImage) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(|_| ApiError::Internal)?;
    Ok(bytes.into_inner())
}

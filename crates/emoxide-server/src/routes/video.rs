//! `POST /v1/video`: a video, answered frame by frame.

use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use emoxide::image::RgbImage;
use emoxide::recognizer::{Face, Request as Asked, Wanted, WorkerError};
use emoxide::video::{Analysis, FollowOptions, Follower, Frames, Selection, Source, TrackerConfig};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Refusals, checked, doubt};
use crate::State;
use crate::error::{ApiError, ErrorAnswer};
use crate::query::{Checked, Options, probability};
use crate::schema;
use crate::upload::Clip;

/// Lines that wait for the client.
const AHEAD: usize = 32;
/// Pause before frames are offered again to a recogniser with a full queue, and lines to a client that is slow.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(video))
}

/// A video in a form.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "for the OpenAPI document; forms are read part by part")]
struct VideoForm {
    /// The video's file.
    #[schema(value_type = String, format = Binary)]
    video: Vec<u8>,
}

/// What may be asked of a video.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct VideoOptions {
    /// Call an expression `uncertain` where its probability is lower.
    #[param(minimum = 0, maximum = 1)]
    #[serde(default, deserialize_with = "probability")]
    min_confidence: Option<f32>,
    /// Classify so many faces of a frame at most, the largest first; never more than the server's own limit.
    #[param(minimum = 1, value_type = Option<u32>)]
    #[serde(default)]
    max_faces: Option<std::num::NonZeroU32>,
    /// Leave out so many frames behind each one that is used.
    #[serde(default)]
    #[param(value_type = Option<u32>)]
    skip_frames: u32,
    /// Begin at this second.
    #[serde(default)]
    #[param(minimum = 0, value_type = Option<f64>)]
    start: f64,
    /// End before this second.
    #[serde(default)]
    #[param(minimum = 0)]
    end: Option<f64>,
    /// Time constant in seconds over which each face's probabilities are smoothed.
    #[serde(default)]
    #[param(minimum = 0)]
    smooth: Option<f64>,
    /// Follow faces, so that `face_id` stays the same from frame to frame; without, it counts the faces of each frame.
    #[serde(default = "yes")]
    #[param(value_type = Option<bool>)]
    track: bool,
}

fn yes() -> bool {
    true
}

/// The expressions of all faces in a video: a line of JSON for every frame, as soon as it is looked at. Where a video turns out
/// to be damaged after some frames, the last line is an error.
#[utoipa::path(
    post,
    path = "/v1/video",
    tag = "expressions",
    params(VideoOptions),
    request_body(content((VideoForm = "multipart/form-data"), (Vec<u8> = "video/*"))),
    responses(
        (status = 200, description = "A line for every frame.", content_type = "application/x-ndjson", body = schema::FramePrediction),
        Refusals,
    ),
)]
async fn video(
    Shared(state): Shared<State>,
    Checked(options): Checked<VideoOptions>,
    request: Request,
) -> Result<Response, ApiError> {
    let place = state.video_place()?;
    let follower = Follower::new(&FollowOptions {
        tracker: options.track.then(|| TrackerConfig::following(&state.about.detector_config)),
        smooth: options.smooth,
        min_confidence: 0.0,
    })
    .map_err(|error| ApiError::invalid("the query", &error))?;
    let selection = Selection { start: options.start, end: options.end, skip: options.skip_frames as usize, first: 0 };
    let clip = Clip::read(&state, request).await?;
    let (lines, mut answer) = mpsc::channel(AHEAD);
    let job = Job { state, options, follower, selection, clip, lines, _place: place };
    tokio::task::spawn_blocking(move || job.run());
    // The first frame, or why there is none, decides the status.
    let first = answer.recv().await.transpose()?;
    let rest = stream::unfold(answer, async |mut answer| {
        let line: Result<Bytes, ApiError> = answer.recv().await?;
        Some((line.unwrap_or_else(|error| line_of(&ErrorAnswer::of(&error))), answer))
    });
    let body = stream::iter(first).chain(rest).map(Ok::<_, std::convert::Infallible>);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

/// What is done on a thread that may wait.
struct Job {
    state: State,
    options: VideoOptions,
    follower: Follower,
    selection: Selection,
    clip: Clip,
    lines: mpsc::Sender<Result<Bytes, ApiError>>,
    _place: OwnedSemaphorePermit,
}

impl Job {
    fn run(self) {
        let Self { state, options, follower, selection, clip, lines, _place: _kept } = self;
        let patience = state.settings.limits.write_timeout;
        // A client that has gone, or no longer reads, ends the work.
        let send = |line| sent(&lines, line, patience);
        let source = Source::File(clip.file.path().to_owned());
        let frames = match Frames::open(&source, selection, state.settings.limits.image()) {
            Ok(frames) => frames,
            Err(error) => {
                send(Err(ApiError::video(&error, clip.file.path())));
                return;
            }
        };
        let limits = Options { min_confidence: options.min_confidence, max_faces: options.max_faces };
        let wanted = Wanted { search: follower.search(), faces: limits.faces(state.settings.limits.faces) };
        let recognise = |images: &[RgbImage]| recognise(&state, images, wanted);
        let batch = state.settings.batching.pictures;
        for shown in Analysis::new(clip.name, frames, recognise, follower, batch) {
            let line = match shown {
                Ok(Ok(mut shown)) => {
                    doubt(&mut shown.prediction.faces, limits);
                    Ok(line_of(&shown.prediction))
                }
                Ok(Err(error)) => Err(ApiError::video(&error, clip.file.path())),
                Err(error) => Err(error),
            };
            let last = line.is_err();
            if !send(line) || last {
                return;
            }
        }
    }
}

/// Whether the client takes a line in this time.
fn sent(lines: &mpsc::Sender<Result<Bytes, ApiError>>, mut line: Result<Bytes, ApiError>, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        line = match lines.try_send(line) {
            Ok(()) => return true,
            Err(TrySendError::Full(line)) if Instant::now() < end => line,
            Err(_) => return false,
        };
        sleep(PAUSE);
    }
}

/// The faces of some frames. Other requests go on beside them: frames wait for a place in the queue.
fn recognise(state: &State, images: &[RgbImage], wanted: Wanted) -> Result<Vec<Vec<Face>>, ApiError> {
    let deadline: Instant = state.deadline();
    loop {
        let asked = Asked { images: images.to_vec(), wanted, deadline: Some(deadline) };
        match state.see_waiting(asked, deadline) {
            Err(ApiError::Worker(WorkerError::Busy)) if Instant::now() < deadline => sleep(PAUSE),
            Err(error) => return Err(error),
            Ok(answer) => {
                let found = answer.into_iter().map(|seen| {
                    let faces = seen?.faces;
                    checked(state, &faces)?;
                    Ok(faces)
                });
                return found.collect();
            }
        }
    }
}

/// A line of NDJSON.
fn line_of(value: &impl serde::Serialize) -> Bytes {
    let mut line = serde_json::to_vec(value).expect("plain values can be written");
    line.push(b'\n');
    line.into()
}

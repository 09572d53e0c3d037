//! Options behind the question mark.

use std::num::NonZeroU32;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::error::ApiError;

/// A query that is what the route takes.
pub(crate) struct Checked<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Checked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|error| ApiError::invalid("the query", &error.body_text()))
    }
}

/// What may be asked of a picture.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Call an expression `uncertain` where its probability is lower.
    #[param(minimum = 0, maximum = 1)]
    #[serde(default, deserialize_with = "probability")]
    pub(crate) min_confidence: Option<f32>,
    /// Classify so many faces at most, the largest first; never more than the server's own limit.
    #[param(minimum = 1, value_type = Option<u32>)]
    #[serde(default)]
    pub(crate) max_faces: Option<NonZeroU32>,
}

impl Options {
    /// Faces to classify at most, within the server's limit.
    pub(crate) fn faces(&self, limit: usize) -> usize {
        self.max_faces.map_or(limit, |most| limit.min(most.get() as usize))
    }
}

pub(crate) fn probability<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
    let value = f32::deserialize(deserializer)?;
    if !(0.0..=1.0).contains(&value) {
        return Err(serde::de::Error::custom(format!("{value} is no probability between 0 and 1")));
    }
    Ok(Some(value))
}

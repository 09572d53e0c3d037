use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::geometry::BoundingBox;
use crate::image::RgbImage;
use crate::labels::Expression;

/// A box in pixels of the original picture, origin at its top left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl FaceBox {
    /// The part of a box that lies in the picture; without a box, the whole picture.
    pub(super) fn within(image: &RgbImage, bbox: Option<&BoundingBox>) -> Self {
        let (width, height) = image.dimensions();
        let BoundingBox { left: x, top: y, right, bottom } = match bbox {
            Some(bbox) => bbox.clamped(width, height),
            None => BoundingBox::new(0.0, 0.0, width as f32, height as f32),
        };
        Self { x, y, width: right - x, height: bottom - y }
    }
}

/// What is written where no expression is likely enough.
pub(super) const UNCERTAIN: &str = "uncertain";

/// One face and its expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Number of the face within its picture, from 0, in the detector's order: the largest first, unless its settings say
    /// otherwise. Where a clip's faces are followed from frame to frame, the number of the face within the clip.
    pub face_id: usize,
    /// Where it is, clamped to the picture.
    #[serde(rename = "box")]
    pub bbox: FaceBox,
    /// The detector's confidence, 0..1; `None` where the whole picture was taken for a face.
    pub detection_score: Option<f32>,
    /// Left eye, right eye, nose tip, left and right mouth corner in pixels, image-left first.
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// The most probable expression; `None` (JSON: "uncertain") where it stays below the minimum confidence.
    #[serde(serialize_with = "or_uncertain", deserialize_with = "unless_uncertain")]
    pub dominant_emotion: Option<Expression>,
    /// Probability of every class; they sum to 1.
    pub probabilities: Probabilities,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference to the field"
)]
fn or_uncertain<S: Serializer>(expression: &Option<Expression>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(expression.map_or(UNCERTAIN, Expression::name))
}

fn unless_uncertain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Expression>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name == UNCERTAIN { Ok(None) } else { name.parse().map(Some).map_err(serde::de::Error::custom) }
}

/// Probabilities by name, in the model's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Probabilities(pub Vec<(Expression, f32)>);

impl Probabilities {
    /// Probability of one expression; `None` where the model lacks the class.
    pub fn get(&self, expression: Expression) -> Option<f32> {
        self.0.iter().find(|(name, _)| *name == expression).map(|(_, probability)| *probability)
    }

    /// The most probable expression and its probability.
    pub fn top(&self) -> Option<(Expression, f32)> {
        self.0.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The most probable expression, unless its probability stays below this one.
    pub fn dominant(&self, min_confidence: f32) -> Option<Expression> {
        self.top().filter(|(_, probability)| *probability >= min_confidence).map(|(name, _)| name)
    }
}

impl Serialize for Probabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, probability) in &self.0 {
            map.serialize_entry(name, probability)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Probabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Probabilities;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("probabilities by the names of expressions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Probabilities, A::Error> {
                let mut found = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    found.push(entry);
                }
                Ok(Probabilities(found))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// What was found in a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Its faces, in the detector's order.
    pub faces: Vec<Face>,
    /// How many more the detector found than were wanted.
    pub left_out: usize,
}

/// All faces of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Name of the picture as it was given.
    pub input: String,
    /// Frame of a video or 0.
    pub frame: usize,
    /// When a video shows it, in seconds from its beginning; `None` for a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    /// Width of the picture in pixels.
    #[serde(skip)]
    pub width: u32,
    /// Height of the picture in pixels.
    #[serde(skip)]
    pub height: u32,
    /// Its faces, by their numbers.
    pub faces: Vec<Face>,
}

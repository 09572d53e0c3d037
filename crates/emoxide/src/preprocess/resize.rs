use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::{Filter, RgbImage, centre};

/// A picture is cut to at most this many times its shorter side before its shorter side is set, so that a strip of a
/// picture cannot become one that fills the memory. The middle that a network sees is far from the ends.
const LONGEST: u32 = 32;

/// The size that a whole picture takes before the input is cut out of its middle; `{ width = 230, height = 230 }` or
/// `{ shorter = 256 }`. Pixels are mixed as [`Preprocess::filter`](super::Preprocess::filter) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub enum Resize {
    /// This size, whatever the shape of the picture; pixels.
    Exact {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The shorter side becomes so many pixels, the longer one follows with its fraction cut off: torchvision's `Resize` of
    /// one number.
    Shorter(u32),
}

impl Resize {
    /// Width and height in pixels that a picture of these sides takes.
    pub fn of(self, width: u32, height: u32) -> (u32, u32) {
        let longer = |side: u32, long: u32, short: u32| {
            let pixels = u64::from(side) * u64::from(long) / u64::from(short.max(1));
            u32::try_from(pixels).unwrap_or(u32::MAX)
        };
        match self {
            Self::Exact { width, height } => (width, height),
            Self::Shorter(side) if width <= height => (side, longer(side, height, width)),
            Self::Shorter(side) => (longer(side, width, height), side),
        }
    }

    /// Whether a window of `width` x `height` pixels fits into every picture of this size.
    pub(super) fn holds(self, width: u32, height: u32) -> bool {
        let (across, down) = match self {
            Self::Exact { width, height } => (width, height),
            Self::Shorter(side) => (side, side),
        };
        (width..=4096).contains(&across) && (height..=4096).contains(&down)
    }

    /// The whole picture in this size.
    pub(super) fn apply(self, image: &RgbImage, filter: Filter) -> RgbImage {
        let (width, height) = image.dimensions();
        let longest = width.min(height).saturating_mul(LONGEST);
        if matches!(self, Self::Shorter(_)) && width.max(height) > longest {
            return self.apply(&centre(image, width.min(longest), height.min(longest)), filter);
        }
        let (width, height) = self.of(width, height);
        crate::image::resize(image, width, height, filter)
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { width, height } => write!(formatter, "{width}x{height}"),
            Self::Shorter(side) => write!(formatter, "{side} (the shorter side)"),
        }
    }
}

/// The keys as a recipe has them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shorter: Option<u32>,
}

impl TryFrom<Keys> for Resize {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        match keys {
            Keys { width: Some(width), height: Some(height), shorter: None } => Ok(Self::Exact { width, height }),
            Keys { width: None, height: None, shorter: Some(side) } => Ok(Self::Shorter(side)),
            _ => Err("preprocess.resize takes `width` and `height`, or `shorter` alone"),
        }
    }
}

impl From<Resize> for Keys {
    fn from(resize: Resize) -> Self {
        match resize {
            Resize::Exact { width, height } => Self { width: Some(width), height: Some(height), shorter: None },
            Resize::Shorter(side) => Self { width: None, height: None, shorter: Some(side) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_follows_with_its_fraction_cut_off() {
        assert_eq!(Resize::Shorter(256).of(100, 100), (256, 256));
        assert_eq!(Resize::Shorter(256).of(100, 151), (256, 386)); // 386.56
        assert_eq!(Resize::Shorter(31).of(50, 37), (41, 31)); // 41.89
        assert_eq!(Resize::Exact { width: 230, height: 220 }.of(48, 48), (230, 220));
    }

    #[test]
    fn a_strip_of_a_picture_stays_small() {
        let strip = RgbImage::new(20_000, 1);
        assert_eq!(Resize::Shorter(8).apply(&strip, Filter::PillowBilinear).dimensions(), (256, 8));
    }

    #[test]
    fn the_keys_are_those_of_one_way_or_the_other() {
        let read = |text: &str| serde_json::from_str::<Resize>(text).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"shorter": 256}"#), Ok(Resize::Shorter(256)));
        let exact = Resize::Exact { width: 230, height: 224 };
        assert_eq!(read(r#"{"width": 230, "height": 224}"#), Ok(exact));
        assert_eq!(serde_json::to_string(&exact).unwrap(), r#"{"width":230,"height":224}"#);
        for text in ["{}", r#"{"width": 3}"#, r#"{"width": 3, "height": 3, "shorter": 3}"#] {
            assert!(read(text).unwrap_err().contains("or `shorter` alone"), "{text}");
        }
        assert!(read(r#"{"longer": 3}"#).unwrap_err().contains("unknown field `longer`"));
    }
}

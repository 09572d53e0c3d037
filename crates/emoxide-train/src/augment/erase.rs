//! Random erasing of the normalised input: torchvision's `RandomErasing` (Zhong et al., 2017).

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::AugmentError;
use super::crop::Window;
use super::random::{check_probability, check_range, happens, normal_pair, uniform};

/// Places that are tried before the input is left alone.
const TRIES: usize = 10;

/// Overwrites a random rectangle in all channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Erasing {
    /// Probability.
    pub probability: f64,
    /// Range of the share of the area, uniform.
    pub scale: [f64; 2],
    /// Range of height over width.
    pub ratio: [f64; 2],
    /// How height over width is drawn from its range.
    pub ratio_draw: RatioDraw,
    /// What is written.
    pub fill: EraseFill,
}

impl Default for Erasing {
    fn default() -> Self {
        Self {
            probability: 0.5,
            scale: [0.02, 0.33],
            ratio: [0.3, 3.3],
            ratio_draw: RatioDraw::default(),
            fill: EraseFill::default(),
        }
    }
}

/// How a ratio of sides is drawn from its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatioDraw {
    /// Uniformly in its logarithm, so that upright and lying rectangles are as frequent: torchvision.
    #[default]
    LogUniform,
    /// Uniformly, which prefers upright ones: mmcls and `PaddleClas`, in which `TransFER` and `APViT` were trained.
    Uniform,
}

impl RatioDraw {
    fn draw(self, range: [f64; 2], random: &mut impl Rng) -> f64 {
        match self {
            Self::LogUniform => uniform(range.map(f64::ln), random).exp(),
            Self::Uniform => uniform(range, random),
        }
    }
}

/// What is written into an erased rectangle, in normalised units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EraseFill {
    /// One number; 0 is the mean colour.
    Constant(f32),
    /// Independent draws from the standard normal distribution.
    Normal,
}

impl Default for EraseFill {
    fn default() -> Self {
        Self::Constant(0.0)
    }
}

impl Erasing {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_probability("erasing", self.probability)?;
        check_range("erasing", "scale", self.scale, 0.0..=1.0, "a rising pair from 0 to 1")?;
        check_range("erasing", "ratio", self.ratio, 1e-3..=1e3, "a rising pair of positive numbers")
    }

    /// Draws a rectangle that is smaller than the input in both directions; `None` if ten tries find none.
    pub fn draw(&self, rows: usize, cols: usize, random: &mut impl Rng) -> Option<Window> {
        let area = (rows * cols) as f64;
        for _ in 0..TRIES {
            let target = area * uniform(self.scale, random);
            let ratio = self.ratio_draw.draw(self.ratio, random);
            let height = (target * ratio).sqrt().round_ties_even() as usize;
            let width = (target / ratio).sqrt().round_ties_even() as usize;
            if height < rows && width < cols {
                let top = random.random_range(0..=rows - height) as u32;
                let left = random.random_range(0..=cols - width) as u32;
                return Some(Window { left, top, width: width as u32, height: height as u32 });
            }
        }
        None
    }

    /// Erases, or not. `values` holds `[channels, rows, cols]`.
    ///
    /// # Panics
    /// If `values` is not as long as its shape says.
    pub fn apply(&self, values: &mut [f32], [channels, rows, cols]: [usize; 3], random: &mut impl Rng) {
        assert_eq!(values.len(), channels * rows * cols, "the input holds as many values as its shape says");
        if !happens(self.probability, random) {
            return;
        }
        let Some(place) = self.draw(rows, cols, random) else { return };
        let first = place.left as usize;
        let columns = first..first + place.width as usize;
        for channel in values.chunks_exact_mut(rows * cols) {
            for row in channel.chunks_exact_mut(cols).skip(place.top as usize).take(place.height as usize) {
                self.fill.write(&mut row[columns.clone()], random);
            }
        }
    }
}

impl EraseFill {
    fn write(self, values: &mut [f32], random: &mut impl Rng) {
        match self {
            Self::Constant(constant) => values.fill(constant),
            Self::Normal => {
                for pair in values.chunks_mut(2) {
                    pair.iter_mut().zip(normal_pair(random)).for_each(|(value, noise)| *value = noise as f32);
                }
            }
        }
    }
}

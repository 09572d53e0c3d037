//! The VGG of the FER2013 comparison: four stages of two convolutions with batch normalisation, three linear layers.
//!
//! Paper: Lee's comparison on FER2013 (CS577 project), its text; the notebook of that name holds another network. The text
//! follows Simonyan and Zisserman, arXiv 1409.1556. No code was published, so the parameter names are ours.
//! Not in the text: the biases of the convolutions, the dropout, its rate, and `pool`, which spares most of the first
//! linear layer.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::{
    Classifier, ConfigError, Features, check, check_channels, check_image_size, check_rate, check_width, check_widths,
};
use crate::nn::{ConvNorm, Dropout, DropoutConfig, Linear, adaptive_average_pool, linear, max_pool2d};

/// Stages, each of which halves the map.
const STAGES: usize = 4;
/// Side of the pooled map at most.
const LARGEST_POOL: usize = 32;

/// Shape of a [`Vgg`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VggConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Side of the square input in pixels; without `pool` it fixes the size of the first linear layer.
    pub image_size: usize,
    /// Width of each of the four stages.
    pub widths: Vec<usize>,
    /// Width between the three linear layers, of which the embedding is the last.
    pub hidden: usize,
    /// Share that training drops behind each of the first two linear layers, in `[0, 1)`.
    pub dropout: f64,
    /// Side of the map that the first linear layer sees, made by adaptive average pooling. Absent: it sees the whole map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<usize>,
}

impl Default for VggConfig {
    /// As in the text.
    fn default() -> Self {
        Self {
            input_channels: 1,
            image_size: 224,
            widths: vec![64, 128, 256, 512],
            hidden: 4096,
            dropout: 0.5,
            pool: None,
        }
    }
}

impl VggConfig {
    /// Pixels of the shorter side that leave something behind the last stage.
    pub(super) const SMALLEST_IMAGE: usize = 1 << STAGES;

    /// The default, pooled to 7x7 before the first linear layer.
    pub fn pooled() -> Self {
        Self { pool: Some(7), ..Self::default() }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, image_size, widths, hidden, dropout, pool } = self;
        check_channels(*input_channels)?;
        check_image_size(*image_size, Self::SMALLEST_IMAGE)?;
        check(widths.len() == STAGES, "widths", || format!("{} stages, must be {STAGES}", widths.len()))?;
        check_widths(widths, "widths")?;
        check_width(*hidden, "hidden")?;
        check_rate(*dropout, "dropout")?;
        let Some(pool) = pool else { return Ok(()) };
        check((1..=LARGEST_POOL).contains(pool), "pool", || format!("is {pool}, may be 1 to {LARGEST_POOL}"))
    }

    /// Side of the input, where the network takes no other.
    pub(super) fn fixed_size(&self) -> Option<usize> {
        if self.pool.is_some() { None } else { Some(self.image_size) }
    }

    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> Vgg {
        let mut inputs = self.input_channels;
        let mut features = Vec::new();
        for &width in &self.widths {
            features.push((ConvNorm::new(inputs, width, true, device), ConvNorm::new(width, width, true, device)));
            inputs = width;
        }
        let side = self.pool.unwrap_or(self.image_size >> STAGES);
        Vgg {
            features,
            classifier: (
                linear(inputs * side * side, self.hidden, device),
                linear(self.hidden, self.hidden, device),
                linear(self.hidden, classes, device),
            ),
            dropout: DropoutConfig::new(self.dropout).init(),
            pool: self.pool,
        }
    }
}

/// A network of eight convolutions and three linear layers; made by [`VggConfig::init`].
#[derive(Module, Debug)]
pub struct Vgg {
    features: Vec<(ConvNorm, ConvNorm)>,
    classifier: (Linear, Linear, Linear),
    dropout: Dropout,
    pool: Option<usize>,
}

impl Classifier for Vgg {
    fn features(&self, images: Tensor<4>) -> Features {
        let map = self
            .features
            .iter()
            .fold(images, |x, (first, second)| max_pool2d(second.forward(first.forward(x)), 2, 2, 0));
        Features { map, token: None }
    }

    /// # Panics
    /// If the network does not pool and the images did not have its size.
    fn embed(&self, features: Features) -> Tensor<2> {
        let (first, second, _) = &self.classifier;
        let map = match self.pool {
            Some(side) => adaptive_average_pool(features.map, side),
            None => features.map,
        };
        let flat: Tensor<2> = map.flatten(1, 3);
        let [inputs, _] = first.weight.shape().dims();
        assert_shape!(flat, [_, inputs]);
        relu(second.forward(self.dropout.forward(relu(first.forward(flat)))))
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.classifier.2.forward(self.dropout.forward(embedding))
    }
}

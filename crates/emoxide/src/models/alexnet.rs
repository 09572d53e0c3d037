//! `AlexNet`, in one column and without local response normalisation.
//!
//! Paper: Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv 1404.5997. Reference:
//! torchvision 0.15, `alexnet`; the parameter names are its names.
//! Deviations from the reference: input channels and all widths are free.

use burn::module::Module;
use burn::nn::Relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Classifier, ConfigError, Features, check, check_channels, check_rate, check_width, check_widths};
use crate::nn::{Conv2d, Conv2dConfig, Dropout, DropoutConfig, Linear, adaptive_average_pool, linear, max_pool2d};

/// Side of the map that the linear layers see.
const SIDE: usize = 6;

/// Shape of an [`AlexNet`]. The default is torchvision's for grey images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlexNetConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Channels behind each of the five convolutions.
    pub widths: Vec<usize>,
    /// Width between the three linear layers, of which the embedding is the last.
    pub hidden: usize,
    /// Share that training drops before each of the first two linear layers, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for AlexNetConfig {
    fn default() -> Self {
        Self { input_channels: 1, widths: vec![64, 192, 384, 256, 256], hidden: 4096, dropout: 0.5 }
    }
}

impl AlexNetConfig {
    /// Pixels of the shorter side that leave something behind the last pool.
    pub(super) const SMALLEST_IMAGE: usize = 63;

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, widths, hidden, dropout } = self;
        check_channels(*input_channels)?;
        check(widths.len() == 5, "widths", || format!("{} convolutions, must be 5", widths.len()))?;
        check_widths(widths, "widths")?;
        check_width(*hidden, "hidden")?;
        check_rate(*dropout, "dropout")
    }

    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> AlexNet {
        let mut inputs = self.input_channels;
        let mut features = Vec::new();
        for (index, &width) in self.widths.iter().enumerate() {
            let conv = match index {
                0 => Conv2dConfig::new(inputs, width, 11).with_stride(4).with_padding(2),
                1 => Conv2dConfig::new(inputs, width, 5),
                _ => Conv2dConfig::new(inputs, width, 3),
            };
            features.push(Layer::Conv(conv.with_bias(true).with_uniform_init().init(device)));
            features.push(Layer::Relu(Relu));
            if matches!(index, 0 | 1 | 4) {
                features.push(Layer::Pool(Pool {}));
            }
            inputs = width;
        }
        let dropout = || DropoutConfig::new(self.dropout).init();
        AlexNet {
            features,
            classifier: (
                dropout(),
                linear(inputs * SIDE * SIDE, self.hidden, device),
                Relu,
                dropout(),
                linear(self.hidden, self.hidden, device),
                Relu,
                linear(self.hidden, classes, device),
            ),
        }
    }
}

/// One of the layers that the reference numbers through.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has few of them; boxing would only add a level")]
enum Layer {
    Conv(Conv2d),
    Relu(Relu),
    Pool(Pool),
}

/// The largest of 3x3 values, at every second place.
#[derive(Module, Debug)]
struct Pool {}

impl Layer {
    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows', cols']`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Relu(relu) => relu.forward(x),
            Self::Pool(_) => max_pool2d(x, 3, 2, 0),
        }
    }
}

/// A network of five convolutions and three linear layers; made by [`AlexNetConfig::init`].
#[derive(Module, Debug)]
pub struct AlexNet {
    features: Vec<Layer>,
    classifier: (Dropout, Linear, Relu, Dropout, Linear, Relu, Linear),
}

impl Classifier for AlexNet {
    fn features(&self, images: Tensor<4>) -> Features {
        let map = self.features.iter().fold(images, |x, layer| layer.forward(x));
        Features { map, token: None }
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        let (first_dropout, first, first_relu, dropout, linear, relu, _) = &self.classifier;
        let flat = adaptive_average_pool(features.map, SIDE).flatten(1, 3);
        let x = first_relu.forward(first.forward(first_dropout.forward(flat)));
        relu.forward(linear.forward(dropout.forward(x)))
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.classifier.6.forward(embedding)
    }
}

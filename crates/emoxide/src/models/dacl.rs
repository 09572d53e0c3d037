//! Deep attentive centre loss: a residual network, and beside it an attention network that says how much each number of
//! the embedding counts in the sparse centre loss. Logits do not depend on it.
//!
//! Paper: Farzaneh and Qi, Facial Expression Recognition in the Wild via Deep Attentive Center Loss, WACV 2021. Reference:
//! amirhfarzaneh/dacl, whose names the parameters have, but for the trunk (below). Checkpoint of the trunk: MS-Celeb-1M
//! `resnet18_msceleb.pth`, as `base_model`.
//! Deviations from the reference: the trunk's parameters stand below `base_model`, not at the top; all sizes are free.

use burn::module::Module;
use burn::nn::{Initializer, Relu, Tanh};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::{
    Classifier, ConfigError, ConvInit, Features, Outputs, ResNet, TrunkConfig, check_channels, check_image_size,
    check_widths,
};
use crate::nn::{BatchNorm, Linear, global_average_pool, linear};

/// Shape of a [`Dacl`]. The default is the reference's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaclConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Side of the square input in pixels; it fixes the first layer of the attention network.
    pub image_size: usize,
    /// The trunk.
    pub base: TrunkConfig,
    /// Widths behind the first three layers of the attention network.
    pub attention_widths: [usize; 3],
}

impl Default for DaclConfig {
    fn default() -> Self {
        Self { input_channels: 3, image_size: 224, base: TrunkConfig::default(), attention_widths: [3584, 512, 64] }
    }
}

impl DaclConfig {
    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, image_size, base, attention_widths } = self;
        check_channels(*input_channels)?;
        check_image_size(*image_size, 1)?;
        base.validate()?;
        check_widths(attention_widths, "attention_widths")
    }

    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> Dacl {
        let channels = self.base.channels();
        let side = self.base.map_side(self.image_size);
        let [first, second, third] = self.attention_widths;
        let norm = |width| BatchNorm::new(width, device);
        Dacl {
            base_model: self.base.init(self.input_channels, ConvInit::Kaiming, device),
            attention: (
                kaiming(channels * side * side, first, device),
                norm(first),
                Relu,
                kaiming(first, second, device),
                norm(second),
                Relu,
                kaiming(second, third, device),
                norm(third),
                Tanh,
            ),
            attention_heads: kaiming(third, 2 * channels, device),
            fc: linear(channels, classes, device),
        }
    }
}

/// A linear layer with Kaiming normal weights, fan-in, gain of the rectifier: standard deviation `√(2 / inputs)`; bias 0.
fn kaiming(inputs: usize, outputs: usize, device: &Device) -> Linear {
    let normal = Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false };
    Linear {
        weight: normal.init_with([inputs, outputs], Some(inputs), Some(outputs), device),
        bias: Some(Initializer::Zeros.init([outputs], device)),
    }
}

/// A residual network and an attention network; made by [`DaclConfig::init`].
#[derive(Module, Debug)]
pub struct Dacl {
    base_model: ResNet,
    attention: (Linear, BatchNorm, Relu, Linear, BatchNorm, Relu, Linear, BatchNorm, Tanh),
    attention_heads: Linear,
    fc: Linear,
}

impl Dacl {
    /// The trunk's map → how much each number of the embedding counts, `[batch, channels]` in `(0, 1)`.
    ///
    /// # Panics
    /// If the images did not have the network's size.
    fn attend(&self, map: Tensor<4>) -> Tensor<2> {
        let (first, first_norm, _, second, second_norm, _, third, third_norm, tanh) = &self.attention;
        let [batch, channels, ..] = map.dims();
        let flat: Tensor<2> = map.flatten(1, 3);
        let [inputs, _] = first.weight.shape().dims();
        assert_shape!(flat, [_, inputs]);
        let x = first_norm.forward_relu(first.forward(flat));
        let x = second_norm.forward_relu(second.forward(x));
        let x = tanh.forward(third_norm.forward(third.forward(x)));
        // Two numbers for each of the embedding: it counts not, it counts.
        let pairs = softmax(self.attention_heads.forward(x).reshape([batch, channels, 2]), 2);
        pairs.narrow(2, 1, 1).squeeze_dim(2)
    }

    /// `features`: how much each number of the embedding counts, `[batch, 1, 1, channels]`.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let counts = self.attend(self.features(images).map);
        let [batch, channels] = counts.dims();
        vec![("features".to_owned(), counts.reshape([batch, 1, 1, channels]))]
    }
}

impl Classifier for Dacl {
    fn features(&self, images: Tensor<4>) -> Features {
        self.base_model.features(images)
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        global_average_pool(features.map)
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.fc.forward(embedding)
    }

    fn outputs(&self, images: Tensor<4>) -> Outputs {
        let features = self.features(images);
        let attention = self.attend(features.map.clone());
        let embedding = self.embed(features);
        Outputs { logits: self.classify(embedding.clone()), embedding, attention: Some(attention), parallel: None }
    }
}

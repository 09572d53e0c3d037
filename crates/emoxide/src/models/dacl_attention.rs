//! The comparison's "DACL": attention over what a residual trunk sees, and cross-entropy alone.
//!
//! Paper: Lee's comparison on FER2013 (CS577 project) after DACL, which is [`Dacl`](super::Dacl) here. Reference: its
//! notebook; the parameter names are its names. Checkpoint of the trunk: torchvision `resnet18`, as `base_model`.
//! The notebook attends to the pooled map, which is one position: its share is always 1, so the network is a trunk with a
//! linear layer carried around, and `attention.conv1` never learns.
//! Deviations from the reference: all sizes are free, and attention may see the map before it is pooled, which the text
//! describes. (The notebook's code would then mix up positions and channels.)

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::{
    Classifier, ConfigError, ConvInit, Features, ResNet, TrunkConfig, check_channels, check_image_size, check_width,
};
use crate::nn::{Conv2d, Conv2dConfig, Linear, adaptive_average_pool, global_average_pool, linear};

/// What a [`DaclAttention`] attends to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grid {
    /// The mean over the map, one position: the notebook.
    #[default]
    Pooled,
    /// Every position of the map.
    Map,
}

/// What the classifier of a [`DaclAttention`] sees. Of a pooled map, which is one position, both are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapHead {
    /// All of the map.
    #[default]
    Flatten,
    /// The mean over the map.
    Mean,
}

/// Shape of a [`DaclAttention`]. The default is the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaclAttentionConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Side of the square input in pixels; it fixes the classifier's size where that sees all of the map.
    pub image_size: usize,
    /// The trunk.
    pub base: TrunkConfig,
    /// Width of queries and keys.
    pub attention_width: usize,
    /// What is attended to.
    pub grid: Grid,
    /// What the classifier sees.
    pub head: MapHead,
}

impl Default for DaclAttentionConfig {
    fn default() -> Self {
        Self {
            input_channels: 1,
            image_size: 224,
            base: TrunkConfig::default(),
            attention_width: 64,
            grid: Grid::Pooled,
            head: MapHead::Flatten,
        }
    }
}

impl DaclAttentionConfig {
    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, image_size, base, attention_width, grid: _, head: _ } = self;
        check_channels(*input_channels)?;
        check_image_size(*image_size, 1)?;
        base.validate()?;
        check_width(*attention_width, "attention_width")
    }

    /// Side of the input, where the network takes no other.
    pub(super) fn fixed_size(&self) -> Option<usize> {
        ((self.grid, self.head) == (Grid::Map, MapHead::Flatten)).then_some(self.image_size)
    }

    /// Length of the embedding.
    pub fn embedding(&self) -> usize {
        let side = self.fixed_size().map_or(1, |image| self.base.map_side(image));
        self.base.channels() * side * side
    }

    /// A network with fresh weights; they are drawn at first use. All convolutions but those of the trunk's stages have
    /// PyTorch's default weights, as the notebook replaces the first one.
    pub fn init(&self, classes: usize, device: &Device) -> DaclAttention {
        let channels = self.base.channels();
        let conv = |outputs| Conv2dConfig::new(channels, outputs, 1).with_bias(true).with_uniform_init().init(device);
        DaclAttention {
            base_model: self.base.init(self.input_channels, ConvInit::Uniform, device),
            attention: Attention { conv1: conv(self.attention_width), conv2: conv(channels) },
            fc: linear(self.embedding(), classes, device),
            grid: self.grid,
            head: self.head,
        }
    }
}

/// Attention of positions to each other, unscaled; queries and keys are the same.
#[derive(Module, Debug)]
struct Attention {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl Attention {
    /// `[batch, channels, rows, cols]` → the same shape, and for every position the shares of all positions,
    /// `[batch, positions, positions]`.
    fn forward(&self, map: Tensor<4>) -> (Tensor<4>, Tensor<3>) {
        let keys: Tensor<3> = self.conv1.forward(map.clone()).flatten(2, 3);
        let values: Tensor<3> = self.conv2.forward(map.clone()).flatten(2, 3);
        let shares = softmax(keys.clone().swap_dims(1, 2).matmul(keys), 2);
        let seen = shares.clone().matmul(values.swap_dims(1, 2)).swap_dims(1, 2).reshape(map.dims());
        (map + seen, shares)
    }
}

/// A residual trunk and attention; made by [`DaclAttentionConfig::init`].
#[derive(Module, Debug)]
pub struct DaclAttention {
    base_model: ResNet,
    attention: Attention,
    fc: Linear,
    #[module(skip)]
    grid: Grid,
    #[module(skip)]
    head: MapHead,
}

impl DaclAttention {
    /// The map that is attended to.
    fn grid(&self, features: Features) -> Tensor<4> {
        match self.grid {
            Grid::Pooled => adaptive_average_pool(features.map, 1),
            Grid::Map => features.map,
        }
    }

    /// `map`: for every position the shares of all places, `[batch, positions, rows, cols]`.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let grid = self.grid(self.features(images));
        let [batch, _, rows, cols] = grid.dims();
        let (_, shares) = self.attention.forward(grid);
        vec![("map".to_owned(), shares.reshape([batch, rows * cols, rows, cols]))]
    }
}

impl Classifier for DaclAttention {
    fn features(&self, images: Tensor<4>) -> Features {
        self.base_model.features(images)
    }

    /// # Panics
    /// If the classifier sees all of the map and the images did not have the network's size.
    fn embed(&self, features: Features) -> Tensor<2> {
        let (map, _) = self.attention.forward(self.grid(features));
        let embedding = match self.head {
            MapHead::Flatten => map.flatten(1, 3),
            MapHead::Mean => global_average_pool(map),
        };
        let [inputs, _] = self.fc.weight.shape().dims();
        assert_shape!(embedding, [_, inputs]);
        embedding
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.fc.forward(embedding)
    }
}

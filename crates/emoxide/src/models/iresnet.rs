//! The improved residual trunk of `InsightFace`, which is another one than face.evoLVe's ([`Ir`](super::Ir)): a norm behind
//! the first convolution of every unit, and a convolution around the first unit of every stage.
//!
//! Paper: ArcFace, arXiv 1801.07698. Reference: deepinsight/insightface, `iresnet50`, whose names the parameters have.
//! Deviations from the reference: number and width of stages are free; norm, linear layer and norm behind the map, which
//! face recognition trains, are left out.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::pcm::FaceTrunkConfig;
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig, PRelu};

/// Norm, convolution, norm, slope, convolution, norm; the input is carried around them. No activation after the sum.
#[derive(Module, Debug)]
struct Unit {
    bn1: BatchNorm,
    conv1: Conv2d,
    bn2: BatchNorm,
    prelu: PRelu,
    conv2: Conv2d,
    bn3: BatchNorm,
    /// In the first unit of every stage.
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Unit {
    fn new(inputs: usize, outputs: usize, stride: usize, device: &Device) -> Self {
        let conv = |inputs, kernel, stride| Conv2dConfig::new(inputs, outputs, kernel).with_stride(stride).init(device);
        let around = stride != 1 || inputs != outputs;
        Self {
            bn1: BatchNorm::new(inputs, device),
            conv1: conv(inputs, 3, 1),
            bn2: BatchNorm::new(outputs, device),
            prelu: PRelu::new(outputs, device),
            conv2: conv(outputs, 3, stride),
            bn3: BatchNorm::new(outputs, device),
            downsample: around.then(|| (conv(inputs, 1, stride), BatchNorm::new(outputs, device))),
        }
    }

    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows / stride, cols / stride]`, sizes rounded up
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.bn2.forward(self.conv1.forward(self.bn1.forward(input.clone())));
        let x = self.conv2.forward(self.prelu.forward(x));
        let carried = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(input)),
            None => input,
        };
        self.bn3.forward_add(x, carried)
    }
}

/// The trunk of `InsightFace`; made by [`Iresnet::new`].
#[derive(Module, Debug)]
pub(super) struct Iresnet {
    conv1: Conv2d,
    bn1: BatchNorm,
    prelu: PRelu,
    layer1: Vec<Unit>,
    layer2: Vec<Unit>,
    layer3: Vec<Unit>,
    layer4: Vec<Unit>,
}

impl Iresnet {
    /// A trunk with fresh weights; they are drawn at first use. One to four stages, each of which halves the map.
    pub(super) fn new(config: &FaceTrunkConfig, input_channels: usize, device: &Device) -> Self {
        let mut inputs = config.stem_width;
        let mut stage = |index: usize| -> Vec<Unit> {
            let (Some(&width), Some(&count)) = (config.widths.get(index), config.units.get(index)) else {
                return Vec::new();
            };
            let mut unit = |place: usize| {
                let unit = Unit::new(inputs, width, if place == 0 { 2 } else { 1 }, device);
                inputs = width;
                unit
            };
            (0..count).map(&mut unit).collect()
        };
        Self {
            conv1: Conv2dConfig::new(input_channels, config.stem_width, 3).init(device),
            bn1: BatchNorm::new(config.stem_width, device),
            prelu: PRelu::new(config.stem_width, device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }

    /// Images `[batch, channels, rows, cols]` → the map behind every stage.
    pub(super) fn stages(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = self.prelu.forward(self.bn1.forward(self.conv1.forward(images)));
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let behind = |stage: &Vec<Unit>| {
            x = stage.iter().fold(x.clone(), |x, unit| unit.forward(x));
            x.clone()
        };
        stages.into_iter().filter(|stage| !stage.is_empty()).map(behind).collect()
    }
}

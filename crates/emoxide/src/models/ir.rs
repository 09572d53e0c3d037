//! Improved residual networks ("IR"), the usual face-recognition backbones.
//!
//! Paper: ArcFace, arXiv 1801.07698. Reference: ZhaoJ9014/face.evoLVe, `IR_18` and `IR_50`; the parameter names are its
//! names. Checkpoint: `backbone_ir50_ms1m_epoch120.pth` (MS-Celeb-1M, with the face head).
//! Deviations from the reference: number and width of stages are free, and behind the trunk, or behind the face head,
//! stands a linear classifier `fc`.

use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::{Classifier, ConfigError, DEEPEST, Features, LARGEST_IMAGE, WIDEST, check};
use crate::nn::{
    BatchNorm, Conv2d, Conv2dConfig, Dropout, DropoutConfig, Linear, PRelu, global_average_pool, linear, max_pool2d,
};

/// The head that face recognition trains on the trunk: norm, dropout, a linear layer over all places, norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceHead {
    /// Side of the square input in pixels; it fixes the size of the linear layer.
    pub image_size: usize,
    /// Length of the embedding.
    pub embedding: usize,
    /// Share of the map that training drops before the linear layer, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for FaceHead {
    /// As in the released weights: 112 pixels, 512 numbers, dropout 0.5.
    fn default() -> Self {
        Self { image_size: 112, embedding: 512, dropout: 0.5 }
    }
}

/// Shape of an [`Ir`]. The default is IR-50 without the face head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IrConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Channels behind the stem.
    pub stem_width: usize,
    /// Width of each stage; every stage halves the map.
    pub widths: Vec<usize>,
    /// Units in each stage.
    pub units: Vec<usize>,
    /// The face-recognition head. Without it the embedding is the mean over the map.
    pub face_head: Option<FaceHead>,
    /// Whether a linear classifier stands on the embedding. Without it the logits are the embedding.
    pub classifier: bool,
    /// Share of the embedding that training drops before the classifier, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for IrConfig {
    fn default() -> Self {
        Self::ir50()
    }
}

impl IrConfig {
    /// IR-18: two units a stage.
    pub fn ir18() -> Self {
        Self { units: vec![2, 2, 2, 2], ..Self::ir50() }
    }

    /// IR-50.
    pub fn ir50() -> Self {
        Self {
            input_channels: 3,
            stem_width: 64,
            widths: vec![64, 128, 256, 512],
            units: vec![3, 4, 14, 3],
            face_head: None,
            classifier: true,
            dropout: 0.0,
        }
    }

    /// IR-50 up to its third stage, as `TransFER` and `APViT` use it.
    pub fn ir50_three_stages() -> Self {
        Self { widths: vec![64, 128, 256], units: vec![3, 4, 14], ..Self::ir50() }
    }

    /// Adds the face-recognition head.
    #[must_use]
    pub fn with_face_head(self, head: FaceHead) -> Self {
        Self { face_head: Some(head), ..self }
    }

    /// Adds or removes the classifier.
    #[must_use]
    pub fn with_classifier(self, classifier: bool) -> Self {
        Self { classifier, ..self }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, stem_width, widths, units, face_head, dropout, .. } = self;
        check(matches!(input_channels, 1 | 3), "input_channels", || format!("is {input_channels}, may be 1 or 3"))?;
        let width = 1..=WIDEST;
        check(width.contains(stem_width), "stem_width", || format!("is {stem_width}, may be 1 to {WIDEST}"))?;
        check((1..=4).contains(&widths.len()), "widths", || format!("{} stages, may be 1 to 4", widths.len()))?;
        check(widths.iter().all(|count| width.contains(count)), "widths", || {
            format!("is {widths:?}, a stage may have 1 to {WIDEST}")
        })?;
        check(units.len() == widths.len(), "units", || {
            format!("{} stages, but `widths` has {}", units.len(), widths.len())
        })?;
        check(units.iter().all(|count| (1..=DEEPEST).contains(count)), "units", || {
            format!("is {units:?}, a stage may have 1 to {DEEPEST}")
        })?;
        check((0.0..1.0).contains(dropout), "dropout", || format!("is {dropout}, may be 0 up to but not 1"))?;
        let Some(FaceHead { image_size, embedding, dropout }) = face_head else { return Ok(()) };
        check((1..=LARGEST_IMAGE).contains(image_size), "face_head.image_size", || {
            format!("is {image_size}, may be 1 to {LARGEST_IMAGE}")
        })?;
        let factor = 1 << widths.len();
        check(image_size % factor == 0, "face_head.image_size", || {
            format!("is {image_size}, must be a multiple of {factor}, by which the stages shrink the image")
        })?;
        check(width.contains(embedding), "face_head.embedding", || format!("is {embedding}, may be 1 to {WIDEST}"))?;
        check((0.0..1.0).contains(dropout), "face_head.dropout", || format!("is {dropout}, may be 0 up to but not 1"))
    }

    /// Length of the embedding.
    pub fn embedding(&self) -> usize {
        self.face_head.as_ref().map_or(self.map_channels(), |head| head.embedding)
    }

    fn map_channels(&self) -> usize {
        self.widths.last().copied().unwrap_or(self.stem_width)
    }

    /// A network with fresh weights; they are drawn at first use. Without a classifier, `classes` has no effect.
    pub fn init(&self, classes: usize, device: &Device) -> Ir {
        let mut inputs = self.stem_width;
        let mut body = Vec::new();
        for (&width, &count) in self.widths.iter().zip(&self.units) {
            for index in 0..count {
                body.push(Unit::new(inputs, width, if index == 0 { 2 } else { 1 }, device));
                inputs = width;
            }
        }
        let output_layer = self.face_head.as_ref().map(|head| {
            let channels = self.map_channels();
            let side = head.image_size >> self.widths.len();
            (
                BatchNorm::new(channels, device),
                DropoutConfig::new(head.dropout).init(),
                Flatten {},
                linear(channels * side * side, head.embedding, device),
                BatchNorm::new(head.embedding, device),
            )
        });
        Ir {
            input_layer: (
                Conv2dConfig::new(self.input_channels, self.stem_width, 3).init(device),
                BatchNorm::new(self.stem_width, device),
                PRelu::new(self.stem_width, device),
            ),
            body,
            output_layer,
            dropout: DropoutConfig::new(self.dropout).init(),
            fc: self.classifier.then(|| linear(self.embedding(), classes, device)),
        }
    }
}

/// Norm, convolution, slope, convolution, norm; the input is carried around them. No activation after the sum.
#[derive(Module, Debug)]
struct Unit {
    res_layer: (BatchNorm, Conv2d, PRelu, Conv2d, BatchNorm),
    /// Where the number of channels changes; elsewhere the carried input is only subsampled.
    shortcut_layer: Option<(Conv2d, BatchNorm)>,
    stride: usize,
}

impl Unit {
    fn new(inputs: usize, outputs: usize, stride: usize, device: &Device) -> Self {
        let conv = |inputs, kernel, stride| Conv2dConfig::new(inputs, outputs, kernel).with_stride(stride).init(device);
        Self {
            res_layer: (
                BatchNorm::new(inputs, device),
                conv(inputs, 3, 1),
                PRelu::new(outputs, device),
                conv(outputs, 3, stride),
                BatchNorm::new(outputs, device),
            ),
            shortcut_layer: (inputs != outputs).then(|| (conv(inputs, 1, stride), BatchNorm::new(outputs, device))),
            stride,
        }
    }

    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows / stride, cols / stride]`, sizes rounded up
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (norm_in, conv_in, slopes, conv_out, norm_out) = &self.res_layer;
        let x = slopes.forward(conv_in.forward(norm_in.forward(input.clone())));
        let x = conv_out.forward(x);
        let carried = match &self.shortcut_layer {
            Some((conv, norm)) => norm.forward(conv.forward(input)),
            None if self.stride > 1 => max_pool2d(input, 1, self.stride, 0),
            None => input,
        };
        norm_out.forward_add(x, carried)
    }
}

/// Holds its place in the reference's numbering of the head.
#[derive(Module, Debug)]
struct Flatten {}

impl Flatten {
    /// `[batch, channels, rows, cols]` → `[batch, channels * rows * cols]`
    fn forward(map: Tensor<4>) -> Tensor<2> {
        map.flatten(1, 3)
    }
}

/// An improved residual network; made by [`IrConfig::init`].
#[derive(Module, Debug)]
pub struct Ir {
    input_layer: (Conv2d, BatchNorm, PRelu),
    body: Vec<Unit>,
    output_layer: Option<(BatchNorm, Dropout, Flatten, Linear, BatchNorm)>,
    dropout: Dropout,
    fc: Option<Linear>,
}

impl Ir {
    fn stem(&self, images: Tensor<4>) -> Tensor<4> {
        let (conv, norm, slopes) = &self.input_layer;
        slopes.forward(norm.forward(conv.forward(images)))
    }

    /// Images `[batch, channels, rows, cols]` → the map behind every stage; `units` are those of each stage.
    pub(super) fn stages(&self, images: Tensor<4>, units: &[usize]) -> Vec<Tensor<4>> {
        let (mut x, mut body) = (self.stem(images), self.body.iter());
        let behind = |&count: &usize| {
            x = body.by_ref().take(count).fold(x.clone(), |x, unit| unit.forward(x));
            x.clone()
        };
        units.iter().map(behind).collect()
    }
}

impl Classifier for Ir {
    fn features(&self, images: Tensor<4>) -> Features {
        let map = self.body.iter().fold(self.stem(images), |x, unit| unit.forward(x));
        Features { map, token: None }
    }

    /// # Panics
    /// If the network has a face head and the images did not have its size.
    fn embed(&self, features: Features) -> Tensor<2> {
        let Some((norm_in, dropout, _, linear, norm_out)) = &self.output_layer else {
            return global_average_pool(features.map);
        };
        let flat = Flatten::forward(dropout.forward(norm_in.forward(features.map)));
        let [inputs, _] = linear.weight.shape().dims();
        assert_shape!(flat, [_, inputs]);
        norm_out.forward(linear.forward(flat))
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        match &self.fc {
            Some(fc) => fc.forward(self.dropout.forward(embedding)),
            None => embedding,
        }
    }
}

//! What the tests of networks share.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, bridge};
use emoxide::models::{FaceHead, IrConfig, Network, NetworkConfig, ParameterName};
use emoxide::weights::{Head, import};
use emoxide_testing::{Values, portable};

/// The IR network of three stages that `tools/reference/pth_files.py` and `paddle_files.py` write: with a face head for
/// images of 16 pixels and no classifier, or with a classifier alone.
pub(crate) fn ir(face_head: bool) -> NetworkConfig {
    let trunk = IrConfig { stem_width: 4, widths: vec![4, 4, 6], units: vec![2, 1, 2], ..IrConfig::ir50() };
    let face = FaceHead { image_size: 16, embedding: 5, dropout: 0.0 };
    NetworkConfig::Ir(if face_head { trunk.with_face_head(face).with_classifier(false) } else { trunk })
}

/// Names and shapes as PyTorch has them.
pub(crate) fn keys(network: &Network) -> BTreeMap<String, Vec<usize>> {
    let tensors = network.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor.shape.to_vec())).collect()
}

/// Every tensor by PyTorch's name, in PyTorch's layout.
pub(crate) fn tensors(network: &Network) -> BTreeMap<String, Vec<f32>> {
    let tensors = network.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    let values = |tensor| bridge::into_data(tensor).unwrap().convert::<f32>().try_into_vec::<f32>().unwrap();
    tensors.into_iter().map(|tensor| (tensor.name.clone(), values(tensor))).collect()
}

/// A network with the weights of `tools/reference/portable.py`, by way of a file.
pub(crate) fn portable_network(config: &NetworkConfig, classes: usize, device: &Device) -> Network {
    named_network(config, classes, str::to_owned, device)
}

/// The same, each parameter with the weights of another name.
pub(crate) fn named_network(
    config: &NetworkConfig,
    classes: usize,
    other: impl Fn(&str) -> String,
    device: &Device,
) -> Network {
    let keys = keys(&config.init(classes, device));
    let bytes = |name: &str, shape: &[usize]| -> Vec<u8> {
        portable::weight(&other(name), shape).into_iter().flat_map(f32::to_le_bytes).collect()
    };
    let values: BTreeMap<_, _> = keys.iter().map(|(name, shape)| (name, bytes(name, shape))).collect();
    let views = keys.iter().map(|(name, shape)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), &values[name]);
        (name, view.expect("as many bytes as the shape says"))
    });
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().expect("a temporary file");
    fs_err::write(file.path(), safetensors::serialize(views, None).expect("serialises")).expect("writes");
    import(file.path(), config, classes, None, Head::Keep, device).expect("imports")
}

/// Values by PyTorch's name and in PyTorch's layout: of the parameters' gradients, or of the running statistics.
pub(crate) struct Gather<'a> {
    name: ParameterName,
    linear: bool,
    gradients: &'a Gradients,
    pub(crate) gradient: BTreeMap<String, Option<Vec<f32>>>,
    pub(crate) statistic: BTreeMap<String, Vec<f32>>,
}

impl<'a> Gather<'a> {
    pub(crate) fn from(network: &Network, gradients: &'a Gradients) -> Self {
        let empty = BTreeMap::new;
        let mut gather = Self {
            name: ParameterName::default(),
            linear: false,
            gradients,
            gradient: empty(),
            statistic: BTreeMap::new(),
        };
        network.visit(&mut gather);
        gather
    }
}

impl ModuleVisitor for Gather<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.name.enter(name, container);
        self.linear = container == "Struct:Linear";
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.name.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.name.joined();
        if name.contains("running_") {
            self.statistic.insert(name, param.val().values());
            return;
        }
        let gradient = param.val().grad(self.gradients);
        let transposed = |gradient: Tensor<D>| if self.linear && D == 2 { gradient.swap_dims(0, 1) } else { gradient };
        self.gradient.insert(name, gradient.map(transposed).map(Values::values));
    }
}

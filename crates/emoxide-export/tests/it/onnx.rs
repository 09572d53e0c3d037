use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use emoxide::preprocess::Preprocess;
use emoxide::zoo;
use emoxide_export::onnx::proto::{ModelProto, ValueInfoProto};
use emoxide_export::onnx::{self, INPUT, LOGITS, OPSET, PROBABILITIES, Precision};
use emoxide_export::{ExportError, Staged};
use prost::Message;

use crate::networks::cases;
use crate::support::model;

/// The axes of an input or output; the batch is called by its name.
fn axes(value: &ValueInfoProto) -> Vec<String> {
    let tensor = value.r#type.clone().unwrap().tensor_type.unwrap();
    assert_eq!(tensor.elem_type, Some(1), "32-bit floats");
    let size = |axis: &onnx::proto::DimensionProto| match (&axis.dim_param, axis.dim_value) {
        (Some(name), None) => name.clone(),
        (None, Some(size)) => size.to_string(),
        other => panic!("an axis of {other:?}"),
    };
    tensor.shape.unwrap().dim.iter().map(size).collect()
}

/// Fails unless every node reads what stands before it, and all names are unique and used.
fn assert_sound(name: &str, model: &ModelProto) {
    let graph = model.graph.as_ref().unwrap();
    let constants = graph.initializer.iter().map(|tensor| tensor.name.clone().unwrap());
    let mut known: BTreeSet<String> = constants.chain([INPUT.to_owned()]).collect();
    assert_eq!(known.len(), graph.initializer.len() + 1, "{name}: names of constants are unique");
    let mut read = BTreeSet::new();
    for node in &graph.node {
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            assert!(known.contains(input), "{name}: {:?} reads `{input}`", node.name);
            read.insert(input.clone());
        }
        for output in &node.output {
            assert!(known.insert(output.clone()), "{name}: `{output}` is computed twice");
        }
    }
    for constant in &graph.initializer {
        let constant = constant.name.as_ref().unwrap();
        assert!(read.contains(constant), "{name}: `{constant}` is not used");
    }
    for output in [LOGITS, PROBABILITIES] {
        assert!(known.contains(output), "{name}: {output}");
    }
}

#[test]
fn every_network_becomes_a_sound_graph_for_any_batch() {
    for case in cases() {
        let model = model(&case);
        for precision in [Precision::Float32, Precision::Float16] {
            let exported = onnx::export(&model, precision).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let bytes = onnx::encode(&exported).unwrap();
            let read = ModelProto::decode(bytes.as_slice()).unwrap();
            assert_eq!(read, exported, "{}", case.name);
            assert_sound(case.name, &read);
            let graph = read.graph.unwrap();
            let [rows, cols] = case.size.map(|size| size.to_string());
            let channels = case.config.channels().to_string();
            assert_eq!(axes(&graph.input[0]), ["batch", &channels, &rows, &cols], "{}", case.name);
            assert_eq!(graph.output.iter().map(axes).collect::<Vec<_>>(), [["batch", "7"]; 2], "{}", case.name);
            let wanted = if precision == Precision::Float32 { 1 } else { 10 };
            // Whole numbers aside, and what divides the logits.
            let kinds: BTreeMap<i32, usize> = graph.initializer.iter().fold(BTreeMap::new(), |mut kinds, tensor| {
                *kinds.entry(tensor.data_type.unwrap()).or_default() += 1;
                kinds
            });
            let single = kinds.get(&1).copied().unwrap_or_default();
            assert!(kinds.contains_key(&wanted) && (wanted == 1 || single == 1), "{}: {kinds:?}", case.name);
        }
    }
}

#[test]
fn the_file_says_how_to_use_it() {
    let model = zoo::open(zoo::DEFAULT, &Device::flex()).unwrap();
    let exported = onnx::export(&model, Precision::Float32).unwrap();
    assert_eq!((exported.ir_version, exported.opset_import[0].version), (Some(8), Some(OPSET)));
    let said: BTreeMap<String, serde_json::Value> = exported
        .metadata_props
        .iter()
        .map(|entry| (entry.key.clone().unwrap(), serde_json::from_str(entry.value.as_ref().unwrap()).unwrap()))
        .collect();
    let card = model.card();
    assert_eq!(said["emoxide.format"], "1");
    assert_eq!(said["emoxide.name"], card.name);
    assert_eq!(said["emoxide.classes"], serde_json::to_value(&card.classes).unwrap());
    let preprocess: Preprocess = serde_json::from_value(said["emoxide.preprocess"].clone()).unwrap();
    assert_eq!(preprocess, card.preprocess);
    // As the checkpoint has it, not as the nearest number of 64 bits.
    assert_eq!(said["emoxide.preprocess"]["mean"][0], 0.508);
    assert_eq!(said["emoxide.alignment"]["kind"], "five-point");
    assert_eq!(said["emoxide.detector"]["kind"], "mtcnn");
    assert_eq!(said["emoxide.network"]["kind"], "resnet");
    assert_eq!(said["emoxide.licence"]["weights"], card.licence.weights);
    assert_eq!(said["emoxide.opset"], OPSET);
    assert_eq!(said["emoxide.mirror"], true);
    let names: BTreeSet<String> =
        exported.graph.unwrap().initializer.into_iter().map(|tensor| tensor.name.unwrap()).collect();
    for name in ["conv1.weight", "layer1.0.bn1.running_var", "fc.bias"] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
}

/// Multiplies everything by a million.
struct Large;

impl ModuleMapper for Large {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| values * 1e6)
    }
}

#[test]
fn what_half_precision_cannot_say_is_refused() {
    let case = cases().into_iter().find(|case| case.name == "resnet-compact").unwrap();
    let model = model(&case);
    let card = model.card().clone();
    let large = model.network().clone().map(&mut Large);
    let model = zoo::Model::new(&large, card, Device::flex());
    let error = onnx::export(&model, Precision::Float16).unwrap_err();
    assert!(matches!(error, ExportError::Overflow { .. }), "{error}");
    assert!(onnx::export(&model, Precision::Float32).is_ok());
}

#[test]
fn what_is_not_kept_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.onnx");
    fs_err::write(&target, "old").unwrap();
    let staged = Staged::new(&target, b"new").unwrap();
    assert_eq!(fs_err::read(staged.path()).unwrap(), b"new");
    drop(staged);
    assert_eq!(fs_err::read(&target).unwrap(), b"old");
    Staged::new(&target, b"new").unwrap().keep().unwrap();
    assert_eq!(fs_err::read(&target).unwrap(), b"new");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    assert!(Staged::new(&folder.path().join("no/model.onnx"), b"new").is_err());
}

//! MTCNN against facenet-pytorch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use emoxide::face::mtcnn::{self, FaceOrder, MtcnnNetworks};
use emoxide::face::{Detection, Detector, DetectorConfig, MtcnnConfig, MtcnnError};
use emoxide::geometry::BoundingBox;
use emoxide::image::{Filter, Limits, RgbImage, decode, resize};
use serde::Deserialize;

use super::{detector, fixture, photo, root};

#[derive(Deserialize)]
struct Face {
    r#box: [f32; 4],
    score: f32,
    landmarks: [[f32; 2]; 5],
}

/// Photo -> preset -> faces.
type Reference = BTreeMap<String, BTreeMap<String, Vec<Face>>>;

fn presets() -> [(&'static str, MtcnnConfig); 2] {
    [("facenet-pytorch", MtcnnConfig::facenet_pytorch()), ("face-evolve", MtcnnConfig::face_evolve())]
}

/// Largest differences of boxes and landmarks in pixels and of scores.
#[derive(Default, Debug)]
struct Largest {
    edge: f32,
    point: f32,
    score: f32,
}

impl Largest {
    fn add(&mut self, face: &Detection, expected: &Face) {
        let BoundingBox { left, top, right, bottom } = face.bbox;
        for (one, other) in [left, top, right, bottom].iter().zip(expected.r#box) {
            self.edge = self.edge.max((one - other).abs());
        }
        for (one, other) in face.landmarks.0.as_flattened().iter().zip(expected.landmarks.as_flattened()) {
            self.point = self.point.max((one - other).abs());
        }
        self.score = self.score.max((face.score - expected.score).abs());
    }
}

fn compare(folder: &Path, reference: &Reference) {
    let mut overall = Largest::default();
    let mut faces = 0;
    for (preset, config) in presets() {
        let detector = detector().with_config(config).unwrap();
        for (name, expected) in reference {
            let expected = &expected[preset];
            let image = decode(&fs_err::read(folder.join(name)).unwrap(), &Limits::default()).unwrap();
            let found = detector.detect(std::slice::from_ref(&image)).remove(0);
            assert_eq!(found.len(), expected.len(), "{name}, {preset}: {found:?}");
            let mut largest = Largest::default();
            for expected in expected {
                // The order may differ where scores or sizes are close: the face is the one at the same place.
                let [left, top, right, bottom] = expected.r#box;
                let place = BoundingBox::new(left, top, right, bottom);
                let overlap = |face: &&Detection| face.bbox.intersection_over_union(&place);
                let face = found.iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b))).unwrap();
                largest.add(face, expected);
                overall.add(face, expected);
            }
            eprintln!("{preset} {name}: {} faces, {largest:?}", found.len());
            faces += found.len();
        }
    }
    eprintln!("{} images, {faces} faces: {overall:?}", reference.len());
    assert!(overall.edge <= 1.5 && overall.point <= 1.5 && overall.score <= 0.01, "{overall:?}");
}

#[test]
fn finds_the_same_faces_as_facenet_pytorch() {
    let reference: Reference = serde_json::from_slice(&fixture("mtcnn.json")).unwrap();
    assert!(reference.len() >= 10);
    compare(&root().join("assets/photos"), &reference);
}

#[test]
fn finds_the_same_faces_on_other_images() {
    let Ok(folder) = std::env::var("EMOXIDE_MTCNN_FOLDER") else {
        eprintln!("SKIPPED: EMOXIDE_MTCNN_FOLDER names no folder made by tools/reference/mtcnn.py");
        return;
    };
    let folder = PathBuf::from(folder);
    compare(&folder, &serde_json::from_slice(&fs_err::read(folder.join("mtcnn.json")).unwrap()).unwrap());
}

#[test]
fn networks_agree_with_pytorch() {
    let device = Device::flex();
    let networks = MtcnnNetworks::load(mtcnn::WEIGHTS, &device).unwrap();
    let bytes = fixture("mtcnn_networks.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = |name: &str| {
        let view = tensors.tensor(name).unwrap();
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        TensorData::new(values, view.shape().to_vec())
    };
    let close = |name: &str, actual: TensorData| {
        assert_eq!(actual.shape(), data(name).shape(), "{name}");
        actual.assert_approx_eq::<f32>(&data(name), Tolerance::rel_abs(1e-3, 1e-4));
    };
    let input = |name: &str| Tensor::<4>::from_data(data(name), &device);

    let output = networks.pnet.forward(input("pnet.input"));
    close("pnet.scores", output.scores.into_data());
    close("pnet.offsets", output.offsets.into_data());
    let output = networks.rnet.forward(input("rnet.input"));
    close("rnet.scores", output.scores.into_data());
    close("rnet.offsets", output.offsets.into_data());
    let output = networks.onet.forward(input("onet.input"));
    close("onet.scores", output.scores.into_data());
    close("onet.offsets", output.offsets.into_data());
    close("onet.points", output.points.into_data());
}

#[test]
fn weights_are_loaded_completely_or_refused() {
    let device = Device::flex();
    let tensors = safetensors::SafeTensors::deserialize(mtcnn::WEIGHTS).unwrap();
    let without = |left_out: &str| {
        let views = tensors.tensors().into_iter().filter(|(name, _)| name != left_out);
        safetensors::serialize(views, None).unwrap()
    };
    let load = |bytes: &[u8]| MtcnnNetworks::load(bytes, &device).unwrap_err();

    let error = load(&without("onet.dense6_3.bias"));
    assert_eq!(error, MtcnnError::Missing { count: 1, first: "onet.dense6_3.bias".to_owned() });

    let mut views = tensors.tensors();
    let (_, extra) = views[0].clone();
    views.push(("rnet.extra".to_owned(), extra));
    let error = load(&safetensors::serialize(views, None).unwrap());
    assert_eq!(error, MtcnnError::Unused { count: 1, first: "rnet.extra".to_owned() });

    let mut views = tensors.tensors();
    let other = tensors.tensor("pnet.conv2.bias").unwrap();
    views.iter_mut().find(|(name, _)| name == "pnet.conv1.bias").unwrap().1 = other;
    assert!(matches!(load(&safetensors::serialize(views, None).unwrap()), MtcnnError::Unfit(_)));

    let odd = |dtype, bytes: &[u8]| {
        let view = safetensors::tensor::TensorView::new(dtype, vec![10], bytes).unwrap();
        let mut views = tensors.tensors();
        views.iter_mut().find(|(name, _)| name == "pnet.conv1.bias").unwrap().1 = view;
        load(&safetensors::serialize(views, None).unwrap()).to_string()
    };
    let half = odd(safetensors::Dtype::F16, &[0; 20]);
    assert!(half.contains("`pnet.conv1.bias` holds F16"), "{half}");
    let infinite = odd(safetensors::Dtype::F32, &f32::INFINITY.to_le_bytes().repeat(10));
    assert!(infinite.contains("`pnet.conv1.bias` holds values that are not finite"), "{infinite}");

    assert!(matches!(load(b"not weights"), MtcnnError::Unreadable(_)));
    assert!(matches!(load(b""), MtcnnError::Unreadable(_)));
}

#[test]
fn settings_out_of_range_are_refused_and_read_from_json() {
    for config in [
        MtcnnConfig { min_face: 9, ..MtcnnConfig::default() },
        MtcnnConfig { factor: 0.96, ..MtcnnConfig::default() },
        MtcnnConfig { factor: f64::NAN, ..MtcnnConfig::default() },
        MtcnnConfig { thresholds: [0.6, 1.7, 0.7], ..MtcnnConfig::default() },
    ] {
        let error = Detector::new(&DetectorConfig::Mtcnn(config), &Device::flex()).unwrap_err();
        assert!(matches!(error, MtcnnError::Setting(_)), "{error:?}");
    }
    let config: DetectorConfig = serde_json::from_str(r#"{"kind": "mtcnn", "min_face": 40}"#).unwrap();
    assert_eq!(config, DetectorConfig::Mtcnn(MtcnnConfig { min_face: 40, ..MtcnnConfig::default() }));
    assert_eq!(serde_json::to_string(&DetectorConfig::WholeImage {}).unwrap(), r#"{"kind":"whole-image"}"#);
    assert!(serde_json::from_str::<DetectorConfig>(r#"{"kind": "mtcnn", "minface": 40}"#).is_err());
    assert!(serde_json::from_str::<DetectorConfig>(r#"{"kind": "whole-image", "min_face": 40}"#).is_err());
}

#[test]
fn a_batch_of_different_sizes_gives_what_each_image_gives_alone() {
    let detector = detector();
    let images = ["several.jpg", "none.jpg", "small.jpg", "tilted.jpg"].map(photo);
    let together = detector.detect(&images);
    for (image, faces) in images.iter().zip(&together) {
        let alone = detector.detect(std::slice::from_ref(image)).remove(0);
        assert_eq!(alone.len(), faces.len());
        for (one, other) in alone.iter().zip(faces) {
            assert!(one.bbox.intersection_over_union(&other.bbox) > 0.999, "{one:?} {other:?}");
            assert!((one.score - other.score).abs() < 1e-4);
        }
    }
    assert!(detector.detect(&[]).is_empty());
}

#[test]
fn images_too_small_for_a_face_have_none() {
    let images = [(0, 0), (1, 1), (11, 400), (19, 19), (20, 20), (21, 3000)].map(|(w, h)| RgbImage::new(w, h));
    assert!(detector().detect(&images).iter().all(Vec::is_empty));
}

#[test]
fn the_order_is_by_size_or_by_score() {
    let image = photo("several.jpg");
    let by_size = detector().detect(std::slice::from_ref(&image)).remove(0);
    assert!(by_size.is_sorted_by(|one, other| one.bbox.area() >= other.bbox.area()));
    let best = MtcnnConfig { order: FaceOrder::Best, ..MtcnnConfig::default() };
    let by_score = detector().with_config(best).unwrap().detect(&[image]).remove(0);
    assert!(by_score.is_sorted_by(|one, other| one.score >= other.score));
    assert_eq!(by_size.len(), by_score.len());
}

#[test]
fn a_limit_on_levels_keeps_large_faces() {
    let image = resize(&photo("several.jpg"), 2880, 1440, Filter::PillowBilinear);
    let limited = MtcnnConfig { longest_level: Some(600), ..MtcnnConfig::default() };
    let faces = detector().with_config(limited).unwrap().detect(&[image]).remove(0);
    assert_eq!(faces.len(), 3);
}

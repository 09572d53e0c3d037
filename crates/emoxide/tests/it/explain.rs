//! Where networks of all families look.

use std::collections::BTreeSet;

use burn::tensor::Device;
use emoxide::explain::{KINDS, Map, maps};
use emoxide::image::RgbImage;
use emoxide::models::{AttentionAxes, NetworkConfig};
use emoxide::preprocess::{Channels, Preprocess};
use emoxide::weights::checkpoint::Card;
use emoxide::zoo::{self, Attention, Model};

use crate::networks::cases;

/// A model of such a network with fresh weights, on pictures of `[rows, cols]`.
fn model(config: &NetworkConfig, [rows, cols]: [usize; 2]) -> Model {
    let device = Device::flex();
    let (channels, count) = if config.channels() == 1 { (Channels::Grey, 1) } else { (Channels::Rgb, 3) };
    let (mean, std) = (vec![0.5; count], vec![0.5; count]);
    let preprocess =
        Preprocess { width: cols as u32, height: rows as u32, channels, mean, std, ..Preprocess::imagenet(8) };
    let card = Card { network: config.clone(), preprocess, ..zoo::card(zoo::DEFAULT).unwrap() };
    let network = config.init(card.classes.len(), &device);
    Model::new(&network, card, device)
}

/// The sums of each map.
fn sums(found: &[Map]) -> Vec<f32> {
    found.iter().map(|map| map.values.iter().sum()).collect()
}

#[test]
fn every_map_of_attention_is_shown_or_left_out() {
    let mut shown = BTreeSet::new();
    for case in cases() {
        let model = model(&case.config, case.size);
        let [height, width] = case.size.map(|side| side as u32);
        let faces =
            [0, 1].map(|face| RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * y + 90 * face) as u8; 3])));
        let all = model.attention(&faces);
        let one = model.attention(&faces[1..]);
        assert_eq!(all.len(), one.len(), "{}", case.name);
        for (attention, alone) in all.iter().zip(&one) {
            let Attention { name, axes, shape: [_, count, rows, cols], .. } = attention;
            let name = format!("{}: {name}", case.name);
            match maps(attention, 1) {
                Err(left_out) => println!("{name} is left out: {}", left_out.reason),
                Ok(found) => {
                    println!("{name}: {} of {}x{}", found.len(), found[0].rows, found[0].cols);
                    shown.insert(serde_json::to_value(&case.config).unwrap()["kind"].as_str().unwrap().to_owned());
                    let wanted = if *axes == AttentionAxes::Picture { *count } else { 1 };
                    assert_eq!(found.len(), wanted, "{name}");
                    for (map, alone) in found.iter().zip(maps(alone, 0).unwrap()) {
                        assert_eq!(map.values.len(), map.rows * map.cols, "{name}");
                        assert!(map.values.iter().all(|value| (0.0..=1.0).contains(value)), "{name}");
                        let near = |(one, other): (&f32, &f32)| (one - other).abs() < 1e-4;
                        assert!(map.values.iter().zip(&alone.values).all(near), "{name} of a batch and alone");
                    }
                    match axes {
                        AttentionAxes::Places => approx::assert_relative_eq!(sums(&found)[0], 1.0, epsilon = 1e-4),
                        // What is missing, the class token gives itself.
                        AttentionAxes::ClassToken => {
                            assert_eq!(found[0].values.len() + 1, *cols, "{name}");
                            assert!(sums(&found)[0] < 1.0, "{name}");
                        }
                        _ => assert_eq!((found[0].rows, found[0].cols), (*rows, *cols), "{name}"),
                    }
                }
            }
        }
    }
    assert!(shown.iter().map(String::as_str).eq(KINDS.map(|(kind, _)| kind).into_iter().collect::<BTreeSet<_>>()));
}

#[test]
fn no_faces_have_no_maps() {
    let case = cases().into_iter().find(|case| case.name.starts_with("pcm")).unwrap();
    assert_eq!(model(&case.config, case.size).attention(&[]), []);
}

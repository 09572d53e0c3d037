//! What the frozen part of a network has said of pictures, for those that come again.

use burn::tensor::{Tensor, TensorData};
use emoxide::models::Network;
use quick_cache::unsync::Cache;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::recipe::Recipe;

/// What tells one input of the network from another: SHA-256 over its values.
pub(super) type Key = [u8; 32];

/// The keys of inputs of `length` values each.
pub(super) fn keys(images: &[f32], length: usize) -> Vec<Key> {
    let key = |image: &[f32]| Sha256::digest(bytemuck::cast_slice(image)).into();
    images.par_chunks_exact(length).map(key).collect()
}

/// Features by input. Inputs are told apart by what they hold, so that random changes to the pictures need no thought:
/// where all pictures change every time, nothing is found again and only memory is lost.
pub(super) struct FrozenCache {
    features: Cache<Key, Box<[f32]>>,
}

impl FrozenCache {
    /// Nothing where the recipe asks for none.
    pub(super) fn of(recipe: &Recipe) -> Option<Self> {
        let bytes = recipe.run.frozen_cache? << 20;
        let each = size_of::<Key>() + recipe.network.config.embedding() * size_of::<f32>();
        Some(Self { features: Cache::new((bytes / each).max(1)) })
    }

    /// The frozen features of `images`, `[batch, width]`; only those of unknown inputs are computed.
    pub(super) fn look(&mut self, network: &Network, images: &Tensor<4>, keys: &[Key]) -> Tensor<2> {
        let mut found: Vec<Option<Box<[f32]>>> = keys.iter().map(|key| self.features.get(key).cloned()).collect();
        let mut unknown: Vec<usize> = (0..keys.len()).filter(|&place| found[place].is_none()).collect();
        // Features are the same to the bit whatever else is in a batch, but not without anything else: a matrix of one
        // row is multiplied in another order. Batches of training hold two pictures at least.
        if let [only] = unknown[..] {
            unknown.push((only + 1) % keys.len());
        }
        let device = images.device();
        if !unknown.is_empty() {
            let places = TensorData::from(unknown.iter().map(|&place| place as i64).collect::<Vec<_>>().as_slice());
            let images = images.clone().select(0, Tensor::from_data(places, &device));
            let seen = network.frozen_features(images).expect("a recipe with a cache has a frozen part");
            let width = seen.dims()[1];
            let values: Vec<f32> = seen.into_data().try_into_vec().expect("features are single precision");
            for (&place, row) in unknown.iter().zip(values.chunks_exact(width)) {
                self.features.insert(keys[place], row.into());
                found[place] = Some(row.into());
            }
        }
        let rows: Vec<f32> = found.iter().flatten().flat_map(|row| row.iter().copied()).collect();
        let shape = [keys.len(), rows.len() / keys.len()];
        Tensor::from_data(TensorData::new(rows, shape), &device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use emoxide::models::{CafeConfig, FeatureMask, NetworkConfig};
    use emoxide_testing::portable;

    use super::*;

    /// The tower of the paper, two blocks deep, and 5 pictures in two batches that share one.
    #[test]
    fn a_picture_is_seen_once_and_its_features_are_those_of_any_batch() {
        let device = Device::flex();
        let mut config = CafeConfig { mask: FeatureMask::Probe, ..CafeConfig::default() };
        config.clip.depth = 2;
        let length = 3 * 224 * 224;
        let network = NetworkConfig::Cafe(config).init(7, &device);
        let values = portable::values("images", 5 * length);
        let batch = |places: std::ops::Range<usize>| {
            let values = &values[places.start * length..places.end * length];
            let shape = [places.len(), 3, 224, 224];
            (Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device), keys(values, length))
        };
        let mut cache = FrozenCache { features: Cache::new(10) };
        let mut look = |places| {
            let (images, keys) = batch(places);
            let seen = cache.look(&network, &images, &keys);
            (bits(seen), bits(network.frozen_features(images).unwrap()), cache.features.len())
        };
        for (places, known) in [(0..3, 3), (2..4, 4), (1..5, 5), (0..5, 5)] {
            let (seen, afresh, count) = look(places.clone());
            assert!(seen == afresh, "{places:?}: the features differ");
            assert_eq!(count, known);
        }
        // Pictures that come twice in one batch.
        let (images, keys) = batch(0..1);
        let twice = cache.look(&network, &Tensor::cat(vec![images.clone(), images], 0), &[keys[0], keys[0]]);
        let twice = bits(twice);
        assert!(twice.len() == 2 * 512 && twice[..512] == twice[512..]);
    }

    fn bits(features: Tensor<2>) -> Vec<u32> {
        let values: Vec<f32> = features.into_data().try_into_vec().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }
}

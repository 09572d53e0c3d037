//! The second and the third stage: crops of candidates from all images in common batches.

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

use super::networks::{OutputNet, RefineNet};
use super::{crop_window, normalised};
use crate::face::Detection;
use crate::geometry::{BoundingBox, Landmarks, Overlap, non_maximum_suppression};
use crate::image::area_rows;

/// Overlap above which the lesser of two refined boxes goes.
const REFINED_OVERLAP: f32 = 0.7;

/// Crops in one batch: enough to keep the cores busy, 35 MiB for the third network's widest activation.
const BATCH: usize = 128;

/// A box that may hold a face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Index of its image.
    pub(super) image: usize,
    pub(super) bbox: BoundingBox,
    pub(super) score: f32,
}

/// Non-maximum suppression of items of one image, best first.
pub(super) fn keep<T>(items: Vec<T>, candidate: impl Fn(&T) -> &Candidate, overlap: f32) -> Vec<T> {
    let boxes: Vec<_> = items.iter().map(|item| candidate(item).bbox).collect();
    let scores: Vec<_> = items.iter().map(|item| candidate(item).score).collect();
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    non_maximum_suppression(&boxes, &scores, overlap, Overlap::Union)
        .into_iter()
        .filter_map(|index| items[index].take())
        .collect()
}

/// Second stage: scores anew, suppresses within each image, applies offsets, makes square.
///
/// Candidates come, and go, image by image.
pub(super) fn refine(
    network: &RefineNet,
    images: &[RgbImage],
    candidates: Vec<Candidate>,
    threshold: f32,
    device: &Device,
) -> Vec<Candidate> {
    let mut passed: Vec<(Candidate, [f32; 4])> = Vec::new();
    for batch in visible(images, candidates).chunks(BATCH) {
        let output = network.forward(crops(images, batch, RefineNet::SIDE, device));
        let scores = rows::<2>(output.scores);
        let offsets = rows::<4>(output.offsets);
        for ((candidate, [_, score]), offsets) in batch.iter().zip(scores).zip(offsets) {
            if score > threshold {
                passed.push((Candidate { score, ..*candidate }, offsets));
            }
        }
    }
    passed
        .chunk_by(|(one, _), (other, _)| one.image == other.image)
        .flat_map(|of_image| keep(of_image.to_vec(), |(candidate, _)| candidate, REFINED_OVERLAP))
        .map(|(candidate, offsets)| Candidate { bbox: moved(&candidate.bbox, offsets).squared(), ..candidate })
        .collect()
}

/// Third stage: scores anew, finds landmarks, applies offsets. Gives the image's index with each face.
pub(super) fn finish(
    network: &OutputNet,
    images: &[RgbImage],
    candidates: Vec<Candidate>,
    threshold: f32,
    device: &Device,
) -> Vec<(usize, Detection)> {
    let mut faces = Vec::new();
    for batch in visible(images, candidates).chunks(BATCH) {
        let output = network.forward(crops(images, batch, OutputNet::SIDE, device));
        let scores = rows::<2>(output.scores);
        let offsets = rows::<4>(output.offsets);
        let points = rows::<10>(output.points);
        for (((candidate, [_, score]), offsets), points) in batch.iter().zip(scores).zip(offsets).zip(points) {
            if score > threshold {
                let landmarks = landmarks(&candidate.bbox, points);
                faces.push((candidate.image, Detection { bbox: moved(&candidate.bbox, offsets), score, landmarks }));
            }
        }
    }
    faces
}

/// The candidates that share a pixel with their image.
fn visible(images: &[RgbImage], mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| crop_window(&candidate.bbox, &images[candidate.image]).is_some());
    candidates
}

/// Cuts and area-resizes: `[batch, 3, side, side]` in -1..1.
fn crops(images: &[RgbImage], batch: &[Candidate], side: usize, device: &Device) -> Tensor<4> {
    let plane = side * side;
    let mut values = vec![0.0; batch.len() * 3 * plane];
    for (candidate, planes) in batch.iter().zip(values.chunks_exact_mut(3 * plane)) {
        let image = &images[candidate.image];
        let window = crop_window(&candidate.bbox, image).expect("only visible candidates are cropped");
        area_rows(image, window, [side, side], 0..side, |row, means| {
            for (column, mean) in means.iter().enumerate() {
                for (channel, &value) in mean.iter().enumerate() {
                    planes[channel * plane + row * side + column] = normalised(value);
                }
            }
        });
    }
    Tensor::from_data(TensorData::new(values, [batch.len(), 3, side, side]), device)
}

fn rows<const WIDTH: usize>(tensor: Tensor<2>) -> Vec<[f32; WIDTH]> {
    let values = tensor.try_into_vec_as::<f32>().expect("a float tensor is read as floats");
    values.as_chunks().0.to_vec()
}

/// The box moved by offsets in units of its sides, which count one pixel more than the edges' distance.
fn moved(bbox: &BoundingBox, [left, top, right, bottom]: [f32; 4]) -> BoundingBox {
    let (width, height) = (bbox.width() + 1.0, bbox.height() + 1.0);
    BoundingBox::new(
        bbox.left + left * width,
        bbox.top + top * height,
        bbox.right + right * width,
        bbox.bottom + bottom * height,
    )
}

/// Five x and five y in units of the box's sides to pixels of the image, counted from 0.
fn landmarks(bbox: &BoundingBox, points: [f32; 10]) -> Landmarks {
    let (width, height) = (bbox.width() + 1.0, bbox.height() + 1.0);
    Landmarks(
        [0, 1, 2, 3, 4]
            .map(|point| [width * points[point] + bbox.left - 1.0, height * points[point + 5] + bbox.top - 1.0]),
    )
}

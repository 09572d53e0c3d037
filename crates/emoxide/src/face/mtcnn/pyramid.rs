//! The first stage: proposals on an image pyramid.

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

use super::cascade::{Candidate, keep};
use super::networks::ProposalNet;
use super::{MtcnnConfig, normalised};
use crate::geometry::BoundingBox;
use crate::image::{Window, area_rows};

/// Overlap above which the lesser of two boxes goes: within a level, and between levels.
const LEVEL_OVERLAP: f32 = 0.5;
const PYRAMID_OVERLAP: f32 = 0.7;

/// Input pixels of one strip. Its widest activation has ten channels: 10 MiB, and up to 30 MiB for levels more than 21,000
/// pixels wide, whose strips cannot be lower than a cell ([`Limits::max_side`](crate::image::Limits) bounds the width).
const STRIP_PIXELS: usize = 1 << 18;

/// A proposal before its offsets are applied.
struct Proposal {
    cell: Candidate,
    offsets: [f32; 4],
}

/// The candidates of one image: all levels, suppressed within and between levels, offsets applied, made square.
pub(super) fn propose(
    network: &ProposalNet,
    image: &RgbImage,
    index: usize,
    config: &MtcnnConfig,
    device: &Device,
) -> Vec<Candidate> {
    let mut proposals = Vec::new();
    for scale in scales(image, config) {
        let level = level_proposals(network, image, index, scale, config.thresholds[0], device);
        proposals.extend(keep(level, |proposal| &proposal.cell, LEVEL_OVERLAP));
    }
    keep(proposals, |proposal| &proposal.cell, PYRAMID_OVERLAP)
        .into_iter()
        .map(|Proposal { cell, offsets: [left, top, right, bottom] }| {
            let BoundingBox { left: x1, top: y1, right: x2, bottom: y2 } = cell.bbox;
            let (width, height) = (x2 - x1, y2 - y1);
            let moved =
                BoundingBox::new(x1 + left * width, y1 + top * height, x2 + right * width, y2 + bottom * height);
            Candidate { bbox: moved.squared(), ..cell }
        })
        .collect()
}

/// Scales of the pyramid, largest first: the smallest face fills a cell, then smaller while the image holds a cell.
fn scales(image: &RgbImage, config: &MtcnnConfig) -> Vec<f64> {
    let (shorter, longer) = (image.width().min(image.height()), image.width().max(image.height()));
    let cell = ProposalNet::CELL as f64;
    let mut scale = cell / f64::from(config.min_face);
    let mut side = f64::from(shorter) * scale;
    let mut scales = Vec::new();
    while side >= cell {
        if config.longest_level.is_none_or(|limit| f64::from(longer) * scale <= f64::from(limit)) {
            scales.push(scale);
        }
        scale *= config.factor;
        side *= config.factor;
    }
    scales
}

/// What the network proposes on one level, row by row.
fn level_proposals(
    network: &ProposalNet,
    image: &RgbImage,
    index: usize,
    scale: f64,
    threshold: f32,
    device: &Device,
) -> Vec<Proposal> {
    let [cols, rows] = [image.width(), image.height()].map(|side| (f64::from(side) * scale + 1.0) as usize);
    if cols < ProposalNet::CELL || rows < ProposalNet::CELL {
        return Vec::new();
    }
    let cell_cols = ProposalNet::cells(cols);
    let cell_rows = ProposalNet::cells(rows);
    // Neighbouring cells share all but two rows of what they see, so strips overlap by the rest.
    let overlap = ProposalNet::CELL - ProposalNet::STRIDE;
    let strip = ((STRIP_PIXELS / cols).saturating_sub(overlap) / ProposalNet::STRIDE).max(1);

    let mut proposals = Vec::new();
    for first in (0..cell_rows).step_by(strip) {
        let count = strip.min(cell_rows - first);
        let top = first * ProposalNet::STRIDE;
        // The last cell of an odd level sees one row less: the pool's last window is partial.
        let bottom = (top + count * ProposalNet::STRIDE + overlap).min(rows);
        let height = bottom - top;
        let mut planes = vec![0.0; 3 * height * cols];
        area_rows(image, Window::whole(image), [cols, rows], top..bottom, |row, means| {
            for (channel, plane) in planes.chunks_exact_mut(height * cols).enumerate() {
                let line = &mut plane[(row - top) * cols..][..cols];
                line.iter_mut().zip(means).for_each(|(value, mean)| *value = normalised(mean[channel]));
            }
        });
        let output = network.forward(Tensor::from_data(TensorData::new(planes, [1, 3, height, cols]), device));
        let cells = count * cell_cols;
        let scores = read(output.scores, 2 * cells);
        let offsets = read(output.offsets, 4 * cells);
        let found = scores[cells..].iter().enumerate().filter(|&(_, &score)| score >= threshold);
        proposals.extend(found.map(|(cell, &score)| Proposal {
            cell: Candidate {
                image: index,
                bbox: cell_box(cell % cell_cols, first + cell / cell_cols, scale as f32),
                score,
            },
            offsets: [0, 1, 2, 3].map(|edge| offsets[edge * cells + cell]),
        }));
    }
    proposals
}

/// Where a cell looks, in whole pixels of the image.
fn cell_box(column: usize, row: usize, scale: f32) -> BoundingBox {
    let start = |cell: usize| ((ProposalNet::STRIDE * cell + 1) as f32 / scale).floor();
    let end = |cell: usize| ((ProposalNet::STRIDE * cell + ProposalNet::CELL) as f32 / scale).floor();
    BoundingBox::new(start(column), start(row), end(column), end(row))
}

fn read(tensor: Tensor<4>, expected: usize) -> Vec<f32> {
    let values = tensor.try_into_vec_as::<f32>().expect("a float tensor is read as floats");
    assert_eq!(values.len(), expected, "cells of a level");
    values
}

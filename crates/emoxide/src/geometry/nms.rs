//! Non-maximum suppression: of boxes that overlap, the best stays.

use super::BoundingBox;

/// What the common area of two boxes is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The united area of both. Edges are positions: a box from 0 to 2 is 2 wide (torchvision's `nms`).
    Union,
    /// The smaller of both areas, so that a box inside another goes. Edges are pixels: a box from 0 to 2 is 3 wide
    /// (MTCNN's last suppression).
    Minimum,
}

/// Indices of the boxes that stay, best score first; of equal scores the earlier box is better.
///
/// A box goes when its overlap with a better one that stays is greater than `threshold`.
///
/// # Panics
/// If there are not as many scores as boxes.
pub fn non_maximum_suppression(boxes: &[BoundingBox], scores: &[f32], threshold: f32, overlap: Overlap) -> Vec<usize> {
    assert_eq!(boxes.len(), scores.len(), "one score for each box");
    let extra = match overlap {
        Overlap::Union => 0.0,
        Overlap::Minimum => 1.0,
    };
    let areas: Vec<f32> = boxes.iter().map(|item| (item.width() + extra) * (item.height() + extra)).collect();
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));

    let mut kept: Vec<usize> = Vec::new();
    for candidate in order {
        let suppressed = kept.iter().any(|&better| {
            let (one, other) = (&boxes[candidate], &boxes[better]);
            let width = (one.right.min(other.right) - one.left.max(other.left) + extra).max(0.0);
            let height = (one.bottom.min(other.bottom) - one.top.max(other.top) + extra).max(0.0);
            let common = width * height;
            let whole = match overlap {
                Overlap::Union => areas[candidate] + areas[better] - common,
                Overlap::Minimum => areas[candidate].min(areas[better]),
            };
            common / whole > threshold
        });
        if !suppressed {
            kept.push(candidate);
        }
    }
    kept
}

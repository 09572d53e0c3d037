//! Axis-parallel rectangles.

use serde::{Deserialize, Serialize};

/// A rectangle by its edges in pixels of the image it was found in. It may reach beyond that image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Smallest x.
    pub left: f32,
    /// Smallest y.
    pub top: f32,
    /// Largest x.
    pub right: f32,
    /// Largest y.
    pub bottom: f32,
}

impl BoundingBox {
    /// The rectangle with these edges.
    pub fn new(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self { left, top, right, bottom }
    }

    /// Extent to the right; negative where the edges are swapped.
    pub fn width(&self) -> f32 {
        self.right - self.left
    }

    /// Extent downwards; negative where the edges are swapped.
    pub fn height(&self) -> f32 {
        self.bottom - self.top
    }

    /// Area; 0 where the edges are swapped.
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// The middle, `[x, y]`.
    pub fn centre(&self) -> [f32; 2] {
        [f32::midpoint(self.left, self.right), f32::midpoint(self.top, self.bottom)]
    }

    /// The common part, if the two share any area.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let common = Self::new(
            self.left.max(other.left),
            self.top.max(other.top),
            self.right.min(other.right),
            self.bottom.min(other.bottom),
        );
        (common.width() > 0.0 && common.height() > 0.0).then_some(common)
    }

    /// Common area over united area, from 0 (apart) to 1 (equal).
    pub fn intersection_over_union(&self, other: &Self) -> f32 {
        let common = self.intersection(other).map_or(0.0, |common| common.area());
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }

    /// The square with the same middle and the longer of both sides.
    #[must_use]
    pub fn squared(&self) -> Self {
        let side = self.width().max(self.height());
        let left = self.left + (self.width() - side) * 0.5;
        let top = self.top + (self.height() - side) * 0.5;
        Self::new(left, top, left + side, top + side)
    }

    /// Moves every edge outwards by `margin` times the side it is moved along (0.1 makes it 1.2 times as wide and high).
    #[must_use]
    pub fn enlarged(&self, margin: f32) -> Self {
        let (across, down) = (self.width() * margin, self.height() * margin);
        Self::new(self.left - across, self.top - down, self.right + across, self.bottom + down)
    }

    /// The part inside an image of this size. A box that lies beside the image, or whose edges are swapped, becomes empty.
    #[must_use]
    pub fn clamped(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width as f32, height as f32);
        // `max` and `min` rather than `clamp`: they also turn NaN into a number.
        let (left, top) = (self.left.max(0.0).min(width), self.top.max(0.0).min(height));
        Self::new(left, top, self.right.max(left).min(width), self.bottom.max(top).min(height))
    }
}

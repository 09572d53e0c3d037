//! What each expression does to a face, after the descriptions of Ekman and Friesen's action units.

use emoxide::labels::Expression;
use rand::Rng;

/// Position of the movable parts. Lengths are shares of half the head's height; a raised part has a positive value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pose {
    /// Inner ends of the brows raised.
    pub(super) brow_inner: f32,
    /// Outer ends of the brows raised.
    pub(super) brow_outer: f32,
    /// Middle of the brows above the line between the ends.
    pub(super) brow_arch: f32,
    /// Brows drawn together.
    pub(super) brow_together: f32,
    /// Strength of the upright lines between the brows.
    pub(super) furrow: f32,
    /// Strength of the lines across the forehead.
    pub(super) forehead: f32,
    /// Upper lid above the middle of the eye, shares of half the eye's length.
    pub(super) lid_upper: f32,
    /// Lower lid below it.
    pub(super) lid_lower: f32,
    /// Strength of the lines across the root of the nose.
    pub(super) nose_wrinkle: f32,
    /// Strength of the folds from nose to mouth.
    pub(super) fold: f32,
    /// Half the mouth's width.
    pub(super) mouth_width: f32,
    /// Corners of the mouth raised.
    pub(super) corner: f32,
    /// Upper lip above the line of the mouth.
    pub(super) gap_upper: f32,
    /// Lower lip below it.
    pub(super) gap_lower: f32,
    /// From a round opening (0) to a square one (1).
    pub(super) square: f32,
    /// Share of the opening that shows teeth.
    pub(super) teeth: f32,
    /// Thickness of the lips.
    pub(super) lip: f32,
    /// Middle of the upper lip drawn up to the nose.
    pub(super) sneer: f32,
}

const NEUTRAL: Pose = Pose {
    brow_inner: 0.0,
    brow_outer: 0.0,
    brow_arch: 0.03,
    brow_together: 0.0,
    furrow: 0.0,
    forehead: 0.0,
    lid_upper: 0.52,
    lid_lower: 0.3,
    nose_wrinkle: 0.0,
    fold: 0.1,
    mouth_width: 0.27,
    corner: 0.0,
    gap_upper: 0.0,
    gap_lower: 0.0,
    square: 0.0,
    teeth: 0.0,
    lip: 0.055,
    sneer: 0.0,
};

impl Pose {
    /// The full expression; some have an open and a closed form.
    fn peak(expression: Expression, open: bool) -> Self {
        match expression {
            Expression::Anger => Self {
                brow_inner: -0.17,
                brow_outer: 0.05,
                brow_arch: -0.01,
                brow_together: 0.06,
                furrow: 1.0,
                lid_upper: 0.42,
                lid_lower: 0.2,
                fold: 0.35,
                mouth_width: if open { 0.29 } else { 0.22 },
                corner: -0.05,
                gap_upper: if open { 0.08 } else { 0.0 },
                gap_lower: if open { 0.1 } else { 0.0 },
                square: 1.0,
                teeth: 0.75,
                lip: if open { 0.045 } else { 0.03 },
                ..NEUTRAL
            },
            Expression::Disgust => Self {
                brow_inner: -0.09,
                brow_outer: -0.04,
                brow_together: 0.03,
                furrow: 0.4,
                lid_upper: 0.22,
                lid_lower: 0.14,
                nose_wrinkle: 1.0,
                fold: 1.0,
                mouth_width: 0.26,
                corner: -0.1,
                gap_upper: if open { 0.06 } else { 0.0 },
                gap_lower: if open { 0.03 } else { 0.0 },
                square: 0.3,
                teeth: 0.8,
                lip: 0.06,
                sneer: 0.11,
                ..NEUTRAL
            },
            Expression::Fear => Self {
                brow_inner: 0.16,
                brow_outer: 0.03,
                brow_arch: 0.0,
                brow_together: 0.06,
                furrow: 0.3,
                forehead: 0.8,
                lid_upper: 0.95,
                lid_lower: 0.42,
                mouth_width: 0.37,
                corner: -0.09,
                gap_upper: 0.05,
                gap_lower: if open { 0.15 } else { 0.08 },
                square: 0.9,
                teeth: if open { 0.3 } else { 0.55 },
                lip: 0.045,
                ..NEUTRAL
            },
            Expression::Happiness => Self {
                brow_inner: 0.01,
                brow_outer: 0.02,
                brow_arch: 0.05,
                lid_upper: 0.4,
                lid_lower: 0.1,
                fold: 0.8,
                mouth_width: 0.38,
                corner: 0.17,
                gap_upper: if open { 0.03 } else { 0.0 },
                gap_lower: if open { 0.13 } else { 0.0 },
                teeth: 0.65,
                lip: 0.05,
                ..NEUTRAL
            },
            Expression::Sadness => Self {
                brow_inner: 0.12,
                brow_outer: -0.1,
                brow_arch: -0.01,
                brow_together: 0.03,
                furrow: 0.2,
                lid_upper: 0.3,
                lid_lower: 0.28,
                mouth_width: 0.25,
                corner: -0.13,
                lip: 0.065,
                ..NEUTRAL
            },
            Expression::Surprise => Self {
                brow_inner: 0.17,
                brow_outer: 0.16,
                brow_arch: 0.1,
                forehead: 0.5,
                lid_upper: 0.95,
                lid_lower: 0.5,
                mouth_width: 0.2,
                gap_upper: 0.11,
                gap_lower: if open { 0.27 } else { 0.17 },
                corner: 0.0,
                lip: 0.05,
                ..NEUTRAL
            },
            Expression::Neutral | Expression::Contempt => NEUTRAL,
        }
    }

    /// An expression between half and full strength, each part a little off.
    pub(super) fn draw(expression: Expression, random: &mut impl Rng) -> Self {
        let strength = random.random_range(0.6..1.1);
        let peak = Self::peak(expression, random.random_bool(0.55));
        let mut part = |neutral: f32, peak: f32, spread: f32| {
            neutral
                + (peak - neutral) * strength * random.random_range(0.85..1.15)
                + random.random_range(-spread..spread)
        };
        let n = NEUTRAL;
        Self {
            brow_inner: part(n.brow_inner, peak.brow_inner, 0.025),
            brow_outer: part(n.brow_outer, peak.brow_outer, 0.025),
            brow_arch: part(n.brow_arch, peak.brow_arch, 0.015),
            brow_together: part(n.brow_together, peak.brow_together, 0.01),
            furrow: part(n.furrow, peak.furrow, 0.1).clamp(0.0, 1.0),
            forehead: part(n.forehead, peak.forehead, 0.1).clamp(0.0, 1.0),
            lid_upper: part(n.lid_upper, peak.lid_upper, 0.05).max(0.12),
            lid_lower: part(n.lid_lower, peak.lid_lower, 0.03).max(0.05),
            nose_wrinkle: part(n.nose_wrinkle, peak.nose_wrinkle, 0.05).clamp(0.0, 1.0),
            fold: part(n.fold, peak.fold, 0.1).clamp(0.0, 1.0),
            mouth_width: part(n.mouth_width, peak.mouth_width, 0.015),
            corner: part(n.corner, peak.corner, 0.015),
            gap_upper: part(n.gap_upper, peak.gap_upper, 0.004).max(0.0),
            gap_lower: part(n.gap_lower, peak.gap_lower, 0.004).max(0.0),
            square: part(n.square, peak.square, 0.1).clamp(0.0, 1.0),
            teeth: part(n.teeth, peak.teeth, 0.1).clamp(0.0, 0.9),
            lip: part(n.lip, peak.lip, 0.008).max(0.02),
            sneer: part(n.sneer, peak.sneer, 0.005),
        }
    }
}

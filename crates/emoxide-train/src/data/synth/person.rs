//! Who is drawn, and how the picture is taken.

use rand::Rng;

/// Red, green and blue from 0 to 1.
pub(super) type Colour = [f32; 3];

/// A person. Lengths are shares of half the head's height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    /// Half the head's width.
    pub(super) width: f32,
    /// How much the jaw narrows.
    pub(super) jaw: f32,
    pub(super) skin: Colour,
    pub(super) hair: Colour,
    pub(super) lips: Colour,
    pub(super) iris: Colour,
    /// Height of the hairline in the middle, negative.
    pub(super) hairline: f32,
    /// How far hair reaches down the sides.
    pub(super) hair_length: f32,
    /// Half the distance between the eyes.
    pub(super) eye_distance: f32,
    /// Half an eye's length.
    pub(super) eye_length: f32,
    /// Thickness of the brows.
    pub(super) brow: f32,
    /// Length of the nose.
    pub(super) nose: f32,
    /// Factor of the mouth's width.
    pub(super) mouth: f32,
    /// Strength of a beard.
    pub(super) beard: f32,
    pub(super) glasses: bool,
}

impl Person {
    pub(super) fn draw(random: &mut impl Rng) -> Self {
        // From light to dark skin; red falls slowest.
        let tone: f32 = random.random_range(0.0..1.0);
        let skin = [0.96 - 0.5 * tone, 0.80 - 0.52 * tone, 0.69 - 0.5 * tone];
        let grey_hair = random.random_bool(0.15);
        let dark: f32 = random.random_range(0.05..0.5) * (1.0 - 0.7 * tone);
        let hair = if grey_hair { [0.65, 0.65, 0.67] } else { [dark + 0.06, dark * 0.8 + 0.03, dark * 0.5 + 0.03] };
        let blue = random.random_range(0.0..0.3) * (1.0 - tone);
        Self {
            width: random.random_range(0.7..0.82),
            jaw: random.random_range(0.05..0.3),
            skin,
            hair,
            lips: [skin[0] * 0.82, skin[1] * 0.58, skin[2] * 0.6],
            iris: [0.16, 0.14 + blue * 0.7, 0.1 + blue],
            hairline: random.random_range(-0.85..-0.62),
            hair_length: random.random_range(-0.5..1.2),
            eye_distance: random.random_range(0.31..0.37),
            eye_length: random.random_range(0.155..0.19),
            brow: random.random_range(0.03..0.055),
            nose: random.random_range(0.24..0.34),
            mouth: random.random_range(0.92..1.1),
            beard: if random.random_bool(0.15) { random.random_range(0.15..0.4) } else { 0.0 },
            glasses: random.random_bool(0.08),
        }
    }
}

/// How the picture is taken. Angles in radians.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    /// Middle of the head, shares of the frame.
    pub(super) middle: [f32; 2],
    /// Half the head's height, share of the frame.
    pub(super) scale: f32,
    /// Tilt to a shoulder.
    pub(super) roll: f32,
    /// Turn to a side.
    pub(super) yaw: f32,
    /// Parts of the face moved up or down by a nod.
    pub(super) nod: f32,
    /// Direction of the light.
    pub(super) light: [f32; 3],
    pub(super) ambient: f32,
    pub(super) background: [Colour; 2],
    /// Exponent that makes the picture brighter or darker.
    pub(super) gamma: f32,
    /// Share of the neighbours' mean.
    pub(super) blur: f32,
    /// Standard deviation of the noise, grey levels.
    pub(super) noise: f32,
    /// Where the person looks, shares of half an eye's length.
    pub(super) gaze: [f32; 2],
}

impl Picture {
    pub(super) fn draw(random: &mut impl Rng) -> Self {
        let mut colour = || {
            let grey: f32 = random.random_range(0.1..0.85);
            [(); 3].map(|()| grey + random.random_range(-0.12..0.12))
        };
        let background = [colour(), colour()];
        let side: f32 = random.random_range(-0.8..0.8);
        let light = [side, random.random_range(-0.7..0.1), 0.8];
        let length = light.iter().map(|part| part * part).sum::<f32>().sqrt();
        Self {
            middle: [random.random_range(0.46..0.54), random.random_range(0.45..0.53)],
            scale: random.random_range(0.44..0.53),
            roll: random.random_range(-0.22..0.22),
            yaw: random.random_range(-0.45..0.45),
            nod: random.random_range(-0.06..0.06),
            light: light.map(|part| part / length),
            ambient: random.random_range(0.35..0.65),
            background,
            gamma: random.random_range(0.75..1.35),
            blur: random.random_range(0.0..0.5),
            noise: random.random_range(1.0..7.0),
            gaze: [random.random_range(-0.25..0.25), random.random_range(-0.08..0.12)],
        }
    }
}

//! From a person, a pose and a view to pixels: every point of the frame is asked what it shows.

use image::{Rgb, RgbImage};
use rand::Rng;

use super::person::{Colour, Person, Picture};
use super::pose::Pose;
use crate::augment::normal_pair;

/// Points per pixel and direction.
const POINTS: u32 = 3;
const EYE_ROW: f32 = -0.14;
const BROW_ROW: f32 = -0.40;
const MOUTH_ROW: f32 = 0.52;
const INSIDE: Colour = [0.2, 0.05, 0.05];
const TEETH: Colour = [0.93, 0.92, 0.88];
const EYE_WHITE: Colour = [0.92, 0.92, 0.91];

/// Draws a picture `side` pixels square.
pub(super) fn render(person: &Person, pose: &Pose, picture: &Picture, side: u32, random: &mut impl Rng) -> RgbImage {
    let scene = Scene { person, pose, picture };
    let points = side * POINTS;
    let mut sums = vec![[0.0_f32; 3]; (side * side) as usize];
    for row in 0..points {
        for col in 0..points {
            let at = [(col as f32 + 0.5) / points as f32, (row as f32 + 0.5) / points as f32];
            let sum = &mut sums[((row / POINTS) * side + col / POINTS) as usize];
            sum.iter_mut().zip(scene.colour(at)).for_each(|(sum, part)| *sum += part);
        }
    }
    let count = (POINTS * POINTS) as f32;
    let clean: Vec<Colour> = sums.into_iter().map(|sum| sum.map(|part| part / count)).collect();
    let blurred = |row: u32, col: u32| {
        let mut mean = [0.0_f32; 3];
        for (down, right) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
            let row = (row + down).saturating_sub(1).min(side - 1);
            let col = (col + right).saturating_sub(1).min(side - 1);
            mean.iter_mut().zip(clean[(row * side + col) as usize]).for_each(|(mean, part)| *mean += part / 4.0);
        }
        mix(clean[(row * side + col) as usize], mean, picture.blur)
    };
    let mut image = RgbImage::new(side, side);
    for (col, row, pixel) in image.enumerate_pixels_mut() {
        let [luminance_noise, colour_noise] = normal_pair(random).map(|noise| noise as f32 * picture.noise);
        let shift = [luminance_noise + 0.3 * colour_noise, luminance_noise, luminance_noise - 0.3 * colour_noise];
        let colour = blurred(row, col);
        *pixel = Rgb(std::array::from_fn(|channel| {
            (255.0 * colour[channel].clamp(0.0, 1.0).powf(picture.gamma) + shift[channel] + 0.5) as u8
        }));
    }
    image
}

struct Scene<'a> {
    person: &'a Person,
    pose: &'a Pose,
    picture: &'a Picture,
}

impl Scene<'_> {
    /// The colour at a point of the frame, both coordinates from 0 to 1.
    fn colour(&self, at: [f32; 2]) -> Colour {
        let (person, picture) = (self.person, self.picture);
        // To the head's own axes: x to the right, y down, one unit is half its height.
        let (x, y) = ((at[0] - picture.middle[0]) / picture.scale, (at[1] - picture.middle[1]) / picture.scale);
        let (sine, cosine) = picture.roll.sin_cos();
        let (x, y) = (cosine * x + sine * y, cosine * y - sine * x);

        let background = mix(picture.background[0], picture.background[1], at[0] * 0.5 + at[1] * 0.5);
        let chin = 1.0 + 0.25 * self.pose.gap_lower;
        let height = if y > 0.0 { chin } else { 1.0 };
        let width = person.width * (1.0 - person.jaw * y.max(0.0).powi(2));
        let radius = (x / width).powi(2) + (y / height).powi(2);
        if radius >= 1.0 {
            return self.around_the_head(x, y, background);
        }
        let normal = [x / width, y / height, (1.0 - radius).sqrt()];
        let lit: f32 = normal.iter().zip(picture.light).map(|(part, light)| part * light).sum::<f32>().max(0.0);
        let shade = picture.ambient + (1.1 - picture.ambient) * lit;
        // The head is turned about its upright axis: where on the unturned face is this point?
        let around = (x / width).clamp(-1.0, 1.0).asin() - picture.yaw;
        let face_x = width * around.sin();
        let face_y = y - picture.nod;
        let behind = around.abs() > 1.75;
        let hairline = person.hairline + 0.35 * (face_x / person.width).powi(2);
        let sideburn = around.abs() > 1.15 && y < person.hair_length - 0.3;
        if behind || y < hairline || sideburn {
            return scaled(person.hair, shade);
        }
        scaled(self.face(face_x, face_y), shade)
    }

    fn around_the_head(&self, x: f32, y: f32, background: Colour) -> Colour {
        let person = self.person;
        let hair = (x / (person.width + 0.13)).powi(2) + ((y + 0.02) / 1.1).powi(2) < 1.0;
        if hair && y < person.hair_length {
            return scaled(person.hair, 0.8);
        }
        if y > 0.7 && x.abs() < 0.45 {
            return scaled(person.skin, 0.6);
        }
        if y > 1.05 - 0.1 * x.abs() {
            return scaled(background, 0.5);
        }
        background
    }

    /// The unlit colour of the unturned face.
    fn face(&self, x: f32, y: f32) -> Colour {
        let mut colour = self.skin(x, y);
        colour = self.lines(x, y, colour);
        colour = self.mouth(x, y).unwrap_or(colour);
        for side in [-1.0, 1.0] {
            colour = self.eye(x * side, y, side).unwrap_or(colour);
            colour = self.brow(x * side, y).unwrap_or(colour);
        }
        self.glasses(x, y).unwrap_or(colour)
    }

    /// Skin with the large shadows: sockets, sides of the nose, cheeks, beard.
    fn skin(&self, x: f32, y: f32) -> Colour {
        let person = self.person;
        let tip = EYE_ROW + person.nose;
        let socket = bump(x.abs() - person.eye_distance, 0.2) * bump(y - EYE_ROW + 0.03, 0.15);
        let ridge = bump(x, 0.06) * f32::from(y > EYE_ROW - 0.05 && y < tip);
        let flank = bump(x.abs() - 0.11, 0.04) * f32::from(y > EYE_ROW + 0.05 && y < tip + 0.04);
        let nostril = bump(x.abs() - 0.065, 0.03) * bump(y - tip - 0.03, 0.025);
        let under = bump(x, 0.12) * bump(y - tip - 0.06, 0.03);
        let cheek = bump(x.abs() - 0.42, 0.16) * bump(y - 0.22, 0.14) * self.pose.corner.max(0.0) * 1.2;
        let chin = bump(x, 0.15) * bump(y - MOUTH_ROW - 0.16 - self.pose.gap_lower, 0.05);
        let dark = 0.16 * socket + 0.14 * flank + 0.55 * nostril + 0.2 * under + 0.1 * chin;
        let skin = scaled(person.skin, 1.0 - dark + 0.07 * ridge + cheek);
        let beard_row = 0.3 + 0.3 * (1.0 - (x / person.width).powi(2));
        let beard = person.beard * ((y - beard_row) / 0.15).clamp(0.0, 1.0);
        mix(skin, person.hair, beard)
    }

    /// Lines that an expression draws into the skin.
    fn lines(&self, x: f32, y: f32, colour: Colour) -> Colour {
        let (pose, person) = (self.pose, self.person);
        let brow_row = BROW_ROW - pose.brow_inner;
        let furrow = pose.furrow * bump(x.abs() - 0.05, 0.018) * bump(y - brow_row, 0.08);
        let across = |row: f32| bump(y - row - 0.25 * x * x, 0.014) * bump(x, 0.3);
        let forehead = pose.forehead * (across(BROW_ROW - 0.24) + across(BROW_ROW - 0.32));
        let root = |row: f32| bump(y - row + 0.5 * x.abs(), 0.014) * bump(x, 0.09);
        let wrinkle = pose.nose_wrinkle * (root(EYE_ROW) + root(EYE_ROW + 0.06) + root(EYE_ROW + 0.12));
        // From the wing of the nose around the corner of the mouth.
        let (top, bottom) = (EYE_ROW + person.nose, MOUTH_ROW + 0.04 - pose.corner * 0.5);
        let along = ((y - top) / (bottom - top)).clamp(0.0, 1.0);
        let line = 0.14 + (pose.mouth_width * person.mouth - 0.06) * along.powf(0.8);
        let fold = pose.fold * bump(x.abs() - line, 0.022) * f32::from((top..bottom).contains(&y));
        let dark = 0.45 * furrow + 0.35 * forehead + 0.4 * wrinkle + 0.35 * fold;
        scaled(colour, 1.0 - dark.min(0.6))
    }

    /// `side` tells left from right; `x` counts towards the outside.
    fn eye(&self, x: f32, y: f32, side: f32) -> Option<Colour> {
        let (pose, person, picture) = (self.pose, self.person, self.picture);
        let (x, y) = ((x - person.eye_distance) / person.eye_length, (y - EYE_ROW) / person.eye_length);
        if x.abs() > 1.15 {
            return None;
        }
        let arc = (1.0 - x * x).max(0.0);
        let (upper, lower) = (-pose.lid_upper * arc.powf(0.7), pose.lid_lower * arc);
        if (y - upper).abs() < 0.13 || (x.abs() > 0.95 && y.abs() < 0.1) {
            return Some(scaled(person.hair, 0.5));
        }
        if !(upper..lower).contains(&y) || arc == 0.0 {
            let crease = y < upper && (y - upper + 0.3).abs() < 0.07 && arc > 0.1;
            return crease.then(|| scaled(person.skin, 0.68));
        }
        let (from_x, from_y) = (x - picture.gaze[0] * side, y - picture.gaze[1]);
        let from_middle = (from_x * from_x + from_y * from_y).sqrt();
        Some(if from_middle < 0.2 {
            [0.03; 3]
        } else if from_middle < 0.46 {
            person.iris
        } else {
            EYE_WHITE
        })
    }

    fn brow(&self, x: f32, y: f32) -> Option<Colour> {
        let (pose, person) = (self.pose, self.person);
        let (inner, outer) = (person.eye_distance - 0.2 - pose.brow_together, person.eye_distance + 0.21);
        let along = (x - inner) / (outer - inner);
        if !(0.0..=1.0).contains(&along) {
            return None;
        }
        let raised = pose.brow_inner
            + (pose.brow_outer - pose.brow_inner) * along
            + pose.brow_arch * 4.0 * along * (1.0 - along);
        let thickness = person.brow * (1.1 - 0.6 * along);
        ((y - BROW_ROW + raised).abs() < thickness).then(|| scaled(person.hair, 0.75))
    }

    fn mouth(&self, x: f32, y: f32) -> Option<Colour> {
        let (pose, person) = (self.pose, self.person);
        let along = x / (pose.mouth_width * person.mouth);
        if along.abs() >= 1.06 {
            return None;
        }
        let inner = along.clamp(-1.0, 1.0);
        let line = MOUTH_ROW - pose.corner * (inner * inner * 1.5 - 0.5);
        let round = (1.0 - inner * inner).sqrt();
        let boxy = (1.0 - inner.powi(6)).max(0.0);
        let profile = round + (boxy - round) * pose.square;
        // A sneer lifts the middle of the upper lip into a tent.
        let sneer = pose.sneer * (1.0 - inner.abs());
        let (upper, lower) = (line - pose.gap_upper * profile - sneer, line + pose.gap_lower * profile - sneer * 0.4);
        if lower - upper > 0.02 && (upper..lower).contains(&y) {
            let down = (y - upper) / (pose.gap_upper + pose.gap_lower).max(0.02);
            return Some(if down < pose.teeth { TEETH } else { INSIDE });
        }
        let bow = 1.0 - 0.35 * bump(inner, 0.15);
        let upper_lip = pose.lip * (0.25 + 0.75 * (1.0 - inner * inner)) * bow;
        let lower_lip = pose.lip * 1.25 * (1.0 - inner * inner).max(0.05);
        if y > upper - upper_lip && y < lower + lower_lip {
            // The line between closed lips is what one sees from afar.
            let between = y > upper - 0.022 && y < lower + 0.022;
            return Some(if between { scaled(person.lips, 0.35) } else { person.lips });
        }
        None
    }

    fn glasses(&self, x: f32, y: f32) -> Option<Colour> {
        if !self.person.glasses {
            return None;
        }
        let (x, y) = (x.abs() - self.person.eye_distance, y - EYE_ROW - 0.02);
        let rim = ((x / 0.25).powi(4) + (y / 0.2).powi(4) - 1.0).abs() < 0.28;
        let bridge = x < -0.25 && y.abs() < 0.025;
        (rim || bridge).then_some([0.1; 3])
    }
}

/// 1 at the middle, falling to 0 like a bell of the given width.
fn bump(distance: f32, width: f32) -> f32 {
    (-(distance / width).powi(2)).exp()
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

fn scaled(colour: Colour, factor: f32) -> Colour {
    colour.map(|part| part * factor)
}

//! Drawn faces in the layouts of real data sets, for tests and for a first training run without a download.
//!
//! A face is a person (shape, skin, hair, glasses), a pose of the seven expressions, and the taking of the picture (turn,
//! light, frame, blur, noise). Everything is drawn from the seed: the same call writes the same files.

mod layouts;
mod person;
mod pose;
mod published;
mod render;

use std::path::PathBuf;

use emoxide::labels::{Classes, Expression};
use image::{Rgb, RgbImage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{DataError, DataSpec, Layout, Split};
use person::{Person, Picture};
use pose::Pose;

/// What to draw, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthConfig {
    /// Layout to write.
    pub layout: Layout,
    /// Folder to write to; it must be empty or not exist.
    pub out: PathBuf,
    /// Training pictures of every expression. Each other split of the layout gets a quarter of that, at least one.
    pub per_class: usize,
    /// Seed.
    pub seed: u64,
}

/// One drawn picture.
pub(super) struct Drawn {
    split: Split,
    expression: Expression,
    /// Position within split and expression.
    index: usize,
    image: RgbImage,
    /// For votes and the like.
    random: ChaCha8Rng,
}

impl SynthConfig {
    /// Draws every picture and writes the layout; the result opens what was written.
    pub fn write(&self) -> Result<DataSpec, DataError> {
        if self.out.exists() && fs_err::read_dir(&self.out)?.next().is_some() {
            return Err(DataError::NotEmpty(self.out.clone()));
        }
        fs_err::create_dir_all(&self.out)?;
        let jobs = self.jobs();
        let side = if matches!(self.layout, Layout::RafDb | Layout::RafDbOriginal) { 100 } else { super::FER_SIDE };
        let drawn = jobs.into_par_iter().map(|(split, expression, index)| {
            let mut random = generator(self.seed, split as u64, expression as u64, index as u64);
            let image = draw_with(expression, side, &mut random);
            Drawn { split, expression, index, image, random }
        });
        layouts::write(self.layout, &self.out, drawn.collect())
    }

    /// Splits in order; within a split the expressions take turns, as in a shuffled table.
    fn jobs(&self) -> Vec<(Split, Expression, usize)> {
        let mut jobs = Vec::new();
        for split in self.layout.splits() {
            let count = if *split == Split::Train { self.per_class } else { (self.per_class / 4).max(1) };
            for index in 0..count {
                jobs.extend(Classes::seven().iter().map(|expression| (*split, expression, index)));
            }
        }
        jobs
    }
}

/// One face, `side` pixels square. Contempt has no pose of its own and is drawn as neutral.
pub fn draw(expression: Expression, side: u32, seed: u64) -> RgbImage {
    draw_with(expression, side, &mut generator(seed, 99, expression as u64, 0))
}

/// A sheet of `columns` faces of every expression, one row each, enlarged `zoom` times: for a person to look at.
pub fn contact_sheet(columns: u32, side: u32, zoom: u32, seed: u64) -> RgbImage {
    let cell = side * zoom;
    let rows = Classes::seven();
    let mut sheet = RgbImage::from_pixel(columns * (cell + 2), rows.len() as u32 * (cell + 2), Rgb([255; 3]));
    for (row, expression) in rows.iter().enumerate() {
        for column in 0..columns {
            let face = draw(expression, side, seed + u64::from(column));
            let large = image::imageops::resize(&face, cell, cell, image::imageops::FilterType::Nearest);
            image::imageops::replace(
                &mut sheet,
                &large,
                (column * (cell + 2)).into(),
                (row as u32 * (cell + 2)).into(),
            );
        }
    }
    sheet
}

fn draw_with(expression: Expression, side: u32, random: &mut ChaCha8Rng) -> RgbImage {
    let person = Person::draw(random);
    let pose = Pose::draw(expression, random);
    let picture = Picture::draw(random);
    render::render(&person, &pose, &picture, side, random)
}

fn generator(seed: u64, split: u64, expression: u64, index: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    for (part, value) in bytes.chunks_exact_mut(8).zip([seed, split, expression, index]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

//! `predict` on pictures.

use std::path::Path;

use anyhow::Result;
use emoxide::image::Limits;
use emoxide::recognizer::{Crop, Prediction, Recognizer};
use rayon::prelude::*;

use super::Job;
use crate::inputs::Input;
use crate::{annotate, output, progress};

/// Answers pictures, a batch at a time.
pub(super) fn run(job: &mut Job<'_>, recognizer: &Recognizer, inputs: &[Input]) -> Result<()> {
    let arguments = job.arguments;
    // A bar would be torn apart by a table on the same terminal.
    let bar = progress::bar(inputs.len(), "predict", job.quiet || inputs.len() < 2);
    let limits = Limits::default();
    for chunk in inputs.chunks(usize::from(arguments.batch_size)) {
        let mut names = Vec::new();
        let mut images = Vec::new();
        let pictures: Vec<_> = chunk.par_iter().map(|input| input.picture(&limits)).collect();
        for (input, picture) in chunk.iter().zip(pictures) {
            match picture {
                Ok(image) => {
                    names.push(input.name());
                    images.push(image);
                }
                Err(reason) => {
                    job.skipped += 1;
                    bar.suspend(|| output::say(&format!("skipped {}: {reason}", input.name())));
                }
            }
        }
        let crops = recognizer.crops(&images);
        let faces = recognizer.recognise_crops(&images, &crops);
        for (index, (input, faces)) in names.into_iter().zip(faces).enumerate() {
            let image = &images[index];
            if faces.is_empty() {
                job.skipped += 1;
                bar.suspend(|| output::say(&format!("skipped {input}: no face found")));
            }
            let (width, height) = image.dimensions();
            let prediction = Prediction { input, frame: 0, timestamp: None, width, height, faces };
            let stem = job.stems.of(&prediction.input);
            if let Some(folder) = &arguments.save_crops {
                save_crops(folder, &stem, index, &crops)?;
            }
            if let Some(folder) = &arguments.annotate {
                let marked = annotate::draw(image, &prediction.faces, annotate::Plate::Expression);
                output::picture(&marked, &folder.join(format!("{stem}.png")))?;
            }
            job.writer.write(&prediction)?;
        }
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn save_crops(folder: &Path, stem: &str, picture: usize, crops: &[Crop]) -> Result<()> {
    for (face_id, crop) in crops.iter().filter(|crop| crop.picture == picture).enumerate() {
        output::picture(&crop.image, &folder.join(format!("{stem}-face{face_id}.png")))?;
    }
    Ok(())
}

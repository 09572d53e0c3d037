//! How to feed a model, in words.

use std::fmt::Write;

use emoxide::image::Filter;
use emoxide::preprocess::{Alignment, Channels, DetectorConfig, MtcnnConfig, Preprocess};
use emoxide::weights::checkpoint::Card;

use super::Written;
use crate::onnx::INPUT;

pub(super) fn words(card: &Card, written: &Written) -> String {
    let preprocess = &card.preprocess;
    let Preprocess { width, height, channels, mean, std, .. } = preprocess;
    let steps = [found(&card.detector), cut(card), colour(*channels), normalised(mean, std)];
    let name = if matches!(written, Written::Onnx { .. }) { format!("`{INPUT}`, ") } else { String::new() };
    let mut text = format!(
        "{name}`[batch, {}, {height}, {width}]` (images, channels, rows, columns), 32-bit floats. From a photograph:\n\n",
        channels.count()
    );
    for (number, step) in steps.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}. {step}", number + 1);
    }
    text.push_str(
        "\n`emoxide predict` does the same; the settings above are in the file's metadata as `emoxide.preprocess`, ",
    );
    text.push_str("`emoxide.alignment` and `emoxide.detector`.\n");
    text
}

fn found(detector: &DetectorConfig) -> String {
    match detector {
        DetectorConfig::Mtcnn(MtcnnConfig { min_face, .. }) => {
            format!("Find the face with MTCNN (box and five landmarks; faces of {min_face} pixels and more).")
        }
        DetectorConfig::WholeImage {} => "No face is looked for: the picture is one.".to_owned(),
    }
}

fn cut(card: &Card) -> String {
    let Preprocess { width, height, filter, resize, .. } = &card.preprocess;
    let filter = match filter {
        Filter::PillowBilinear => "Pillow's BILINEAR, which smooths where it shrinks",
        Filter::PillowBicubic => "Pillow's BICUBIC, which smooths where it shrinks",
        Filter::OpencvBilinear => "OpenCV's INTER_LINEAR, which does not smooth",
        Filter::Area => "the mean of all pixels of a cell",
    };
    let whole = match resize {
        Some(resize) => format!(
            "A picture that is a face as a whole: resize it to {resize} with {filter}, then take the middle {width} x {height} pixels."
        ),
        None => format!("A picture that is a face as a whole: resize it to {width} x {height} with {filter}."),
    };
    let how = match &card.alignment {
        Alignment::FivePoint { template } => {
            let places: Vec<String> = template.iter().map(|[x, y]| format!("({x:.4}, {y:.4})")).collect();
            format!(
                "Turn, scale and shift it (a similarity, least squares, black outside) to {width} x {height} pixels so that left eye, \
                 right eye, nose, left and right corner of the mouth come to {}, in shares of width and height. A pixel is a bilinear \
                 sample; where the picture shrinks r times, the mean of k x k samples, k = floor(r), evenly spread over the pixel.",
                places.join(", ")
            )
        }
        Alignment::SquareBox { margin } => format!(
            "Make its box square about its middle (the longer side counts), move each edge outwards by {margin} of the side, cut it out \
             (black outside the picture) and resize it to {width} x {height} with {filter}."
        ),
        Alignment::None {} => {
            format!("Cut out its box and resize it to {width} x {height} with {filter}, both sides on their own.")
        }
    };
    if matches!(card.detector, DetectorConfig::WholeImage {}) { whole } else { format!("{how} {whole}") }
}

fn colour(channels: Channels) -> String {
    match channels {
        Channels::Grey => {
            "Make it grey: 0.299 red + 0.587 green + 0.114 blue, rounded (Pillow's `convert(\"L\")`).".to_owned()
        }
        Channels::Rgb => {
            "Channels are red, green, blue, in this order (OpenCV reads them the other way round).".to_owned()
        }
    }
}

fn normalised(mean: &[f32], std: &[f32]) -> String {
    format!("Divide the levels by 255, subtract the mean {mean:?} and divide by {std:?}, channel by channel.")
}

//! Drawn pictures on disk, in the layouts that the readers know.

use std::fmt::Write as _;
use std::path::Path;

use emoxide::labels::Expression;
use image::{DynamicImage, RgbImage};
use rand::Rng;

use super::{DataError, DataSpec, Drawn, Layout, Split, published};

/// Writes every picture, and the tables that go with them.
pub(super) fn write(layout: Layout, out: &Path, drawn: Vec<Drawn>) -> Result<DataSpec, DataError> {
    match layout {
        Layout::Fer2013 => fer2013(out, &drawn)?,
        Layout::FerPlus => ferplus(out, drawn)?,
        Layout::RafDb => rafdb(out, &drawn, false)?,
        Layout::RafDbOriginal => rafdb(out, &drawn, true)?,
        Layout::AffectNet => published::affectnet(out, &drawn)?,
        Layout::Sfew => published::sfew(out, &drawn, false)?,
        Layout::SfewAligned => published::sfew(out, &drawn, true)?,
        Layout::Jaffe => published::jaffe(out, &drawn)?,
        Layout::ExpW => published::expw(out, &drawn)?,
        Layout::Afed => published::afed(out, &drawn)?,
        Layout::Mma => published::mma(out, &drawn)?,
        Layout::CkPlus => published::ckplus(out, &drawn)?,
        Layout::Folder => {
            for face in &drawn {
                save(&face.image, &out.join(folder_name(face)))?;
            }
        }
        Layout::Manifest => {
            let mut table = String::from("path,label,split\n");
            for face in &drawn {
                let name = folder_name(face);
                save(&face.image, &out.join(&name))?;
                line(&mut table, format_args!("{name},{},{}", face.expression, face.split));
            }
            let path = out.join("manifest.csv");
            fs_err::write(&path, table)?;
            return Ok(DataSpec::new(layout, path));
        }
    }
    Ok(DataSpec::new(layout, out))
}

fn folder_name(face: &Drawn) -> String {
    format!("{}/{}/{:05}.png", face.split, face.expression, face.index)
}

/// `fer2013.csv`, as in the contest.
fn fer2013(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    let mut table = String::from("emotion,pixels,Usage\n");
    for face in drawn {
        let grey = DynamicImage::from(face.image.clone()).into_luma8();
        let pixels: Vec<String> = grey.iter().map(u8::to_string).collect();
        line(&mut table, format_args!("{},{},{}", face.expression as usize, pixels.join(" "), usage(face.split)));
    }
    Ok(fs_err::write(out.join("fer2013.csv"), table)?)
}

/// `fer2013new.csv` and the exported folders, as in the official repository.
fn ferplus(out: &Path, drawn: Vec<Drawn>) -> Result<(), DataError> {
    let mut table =
        String::from("Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n");
    for (number, mut face) in drawn.into_iter().enumerate() {
        let folder = match face.split {
            Split::Train => "FER2013Train",
            Split::Valid => "FER2013Valid",
            _ => "FER2013Test",
        };
        let name = format!("fer{number:07}.png");
        let grey = DynamicImage::from(face.image).into_luma8();
        save_dynamic(&grey.into(), &out.join(folder).join(&name))?;
        let votes = votes(face.expression, &mut face.random).map(|count| count.to_string()).join(",");
        line(&mut table, format_args!("{},{name},{votes}", usage(face.split)));
    }
    Ok(fs_err::write(out.join("fer2013new.csv"), table)?)
}

/// `basic/EmoLabel/list_patition_label.txt` and the aligned pictures, or the original ones and the boxes of their faces.
fn rafdb(out: &Path, drawn: &[Drawn], original: bool) -> Result<(), DataError> {
    let mut list = String::new();
    let mut numbers = [0, 0];
    for face in drawn {
        let test = face.split == Split::Test;
        let number = &mut numbers[usize::from(test)];
        *number += 1;
        let stem = if test { format!("test_{number:04}") } else { format!("train_{number:05}") };
        if original {
            published::within(&face.image, &out.join(format!("basic/Image/original/{stem}.jpg")))?;
            let boxes = out.join("basic/Annotation/boundingbox");
            fs_err::create_dir_all(&boxes)?;
            let [first, end] = published::edges(&face.image);
            fs_err::write(
                boxes.join(format!("{stem}_boundingbox.txt")),
                format!("{first}.0 {first}.0 {end}.0 {end}.0\n"),
            )?;
        } else {
            save(&face.image, &out.join(format!("basic/Image/aligned/{stem}_aligned.jpg")))?;
        }
        let code = match face.expression {
            Expression::Surprise => 1,
            Expression::Fear => 2,
            Expression::Disgust => 3,
            Expression::Happiness => 4,
            Expression::Sadness => 5,
            Expression::Anger => 6,
            Expression::Neutral | Expression::Contempt => 7,
        };
        line(&mut list, format_args!("{stem}.jpg {code}"));
    }
    let path = out.join("basic/EmoLabel/list_patition_label.txt");
    fs_err::create_dir_all(out.join("basic/EmoLabel"))?;
    Ok(fs_err::write(path, list)?)
}

/// Ten votes in the order of the table: most for the drawn expression, the rest for those that people confuse it with.
fn votes(expression: Expression, random: &mut impl Rng) -> [u8; 10] {
    let column = |expression: Expression| match expression {
        Expression::Neutral => 0,
        Expression::Happiness => 1,
        Expression::Surprise => 2,
        Expression::Sadness => 3,
        Expression::Anger => 4,
        Expression::Disgust => 5,
        Expression::Fear => 6,
        Expression::Contempt => 7,
    };
    let confused = match expression {
        Expression::Anger => [Expression::Disgust, Expression::Neutral],
        Expression::Disgust => [Expression::Anger, Expression::Contempt],
        Expression::Fear => [Expression::Surprise, Expression::Sadness],
        Expression::Happiness => [Expression::Neutral, Expression::Surprise],
        Expression::Sadness => [Expression::Neutral, Expression::Fear],
        Expression::Surprise => [Expression::Fear, Expression::Happiness],
        Expression::Neutral | Expression::Contempt => [Expression::Sadness, Expression::Anger],
    };
    let mut votes = [0; 10];
    votes[column(expression)] = 6;
    for _ in 0..4 {
        let place = match random.random_range(0..10) {
            0..=2 => column(expression),
            3..=6 => column(confused[0]),
            7 | 8 => column(confused[1]),
            _ => 8,
        };
        votes[place] += 1;
    }
    votes
}

fn usage(split: Split) -> &'static str {
    match split {
        Split::Train => "Training",
        Split::Valid | Split::Public => "PublicTest",
        _ => "PrivateTest",
    }
}

pub(super) fn line(text: &mut String, parts: std::fmt::Arguments<'_>) {
    writeln!(text, "{parts}").expect("writing to a string cannot fail");
}

pub(super) fn save(image: &RgbImage, path: &Path) -> Result<(), DataError> {
    save_dynamic(&image.clone().into(), path)
}

/// Encodes by the extension of the path.
pub(super) fn save_dynamic(image: &DynamicImage, path: &Path) -> Result<(), DataError> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    image.save(path).map_err(|source| DataError::Encode { path: path.into(), source })
}

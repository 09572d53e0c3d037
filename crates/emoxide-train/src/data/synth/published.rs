//! Drawn pictures in the layouts of sets that only their authors give away.

use std::path::Path;

use emoxide::labels::Expression;
use image::{DynamicImage, RgbImage, imageops};

use super::layouts::{line, save, save_dynamic};
use super::{DataError, Drawn, Split};

/// Pixels around a face that its box leaves out.
const AROUND: u32 = 12;

/// A code for every expression in the order of [`Expression::ALL`]: anger, disgust, fear, happiness, sadness, surprise,
/// neutral, contempt.
type Codes<T> = [T; 8];

/// The release of 2021: `train_set` and `val_set`, with a `NumPy` file of one text for every picture.
pub(super) fn affectnet(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    const CODES: Codes<char> = ['6', '5', '4', '1', '2', '3', '0', '7'];
    for (number, face) in drawn.iter().enumerate() {
        let folder = out.join(if face.split == Split::Train { "train_set" } else { "val_set" });
        save(&face.image, &folder.join(format!("images/{number}.jpg")))?;
        let annotations = folder.join("annotations");
        fs_err::create_dir_all(&annotations)?;
        let description = format!("{:<117}\n", "{'descr': '<U1', 'fortran_order': False, 'shape': (), }");
        let code = u32::from(CODES[face.expression as usize]).to_le_bytes();
        let array = [b"\x93NUMPY\x01\x00v\x00", description.as_bytes(), &code].concat();
        fs_err::write(annotations.join(format!("{number}_exp.npy")), array)?;
    }
    Ok(())
}

/// `Train` and `Val`, or the aligned faces.
pub(super) fn sfew(out: &Path, drawn: &[Drawn], aligned: bool) -> Result<(), DataError> {
    const NAMES: Codes<&str> = ["Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral", "Neutral"];
    for face in drawn {
        let split = if face.split == Split::Train { "Train" } else { "Val" };
        let folder = if aligned { format!("{split}_Aligned_Faces") } else { split.to_owned() };
        let name = format!("{folder}/{}/Film_{:09}_{:08}.png", NAMES[face.expression as usize], face.index, face.index);
        save(&face.image, &out.join(name))?;
    }
    Ok(())
}

/// Grey TIFF files of 256x256 pixels.
pub(super) fn jaffe(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    const CODES: Codes<&str> = ["AN", "DI", "FE", "HA", "SA", "SU", "NE", "NE"];
    for (number, face) in drawn.iter().enumerate() {
        let large = imageops::resize(&face.image, 256, 256, imageops::FilterType::Triangle);
        let grey = DynamicImage::from(large).into_luma8();
        let name = format!("KA.{}{}.{}.tiff", CODES[face.expression as usize], face.index + 1, number + 1);
        save_dynamic(&grey.into(), &out.join("jaffedbase").join(name))?;
    }
    Ok(())
}

/// `label/label.lst`, whose boxes are top, left, right, bottom.
pub(super) fn expw(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    let mut list = String::new();
    for (number, face) in drawn.iter().enumerate() {
        let name = format!("{}_actor_{number}.jpg", face.expression);
        within(&face.image, &out.join("image/origin").join(&name))?;
        let [first, end] = edges(&face.image);
        let code = (face.expression as usize).min(6);
        line(&mut list, format_args!("{name} 0 {first} {first} {end} {end} 30.0 {code}"));
    }
    fs_err::create_dir_all(out.join("label"))?;
    Ok(fs_err::write(out.join("label/label.lst"), list)?)
}

/// `list/train_list.txt`, `list/val_list.txt`: left, top, right, bottom and, last, the code.
pub(super) fn afed(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    const CODES: Codes<u8> = [9, 5, 6, 1, 4, 3, 0, 0];
    let mut lists = [String::new(), String::new()];
    for (number, face) in drawn.iter().enumerate() {
        let name = format!("{number:06}.jpg");
        within(&face.image, &out.join("images").join(&name))?;
        let [first, end] = edges(&face.image);
        let code = CODES[face.expression as usize];
        let list = &mut lists[usize::from(face.split != Split::Train)];
        line(list, format_args!("{name} {first} {first} {end} {end} {code}"));
    }
    fs_err::create_dir_all(out.join("list"))?;
    let [train, valid] = lists;
    fs_err::write(out.join("list/train_list.txt"), train)?;
    Ok(fs_err::write(out.join("list/val_list.txt"), valid)?)
}

/// Class folders below `MMAFEDB`.
pub(super) fn mma(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    const NAMES: Codes<&str> = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "neutral"];
    for face in drawn {
        let name = format!("MMAFEDB/{}/{}/{}.jpg", face.split, NAMES[face.expression as usize], face.index);
        save(&face.image, &out.join(name))?;
    }
    Ok(())
}

/// Sequences of two frames, the last of which shows the expression; neutral faces have no label.
pub(super) fn ckplus(out: &Path, drawn: &[Drawn]) -> Result<(), DataError> {
    const CODES: Codes<u8> = [1, 3, 4, 5, 6, 7, 0, 2];
    for (number, face) in drawn.iter().enumerate() {
        let (subject, sequence) = (format!("S{:03}", number / 10 + 1), format!("{:03}", number % 10 + 1));
        let frames = out.join("cohn-kanade-images").join(&subject).join(&sequence);
        for frame in [1, 2] {
            let name = format!("{subject}_{sequence}_{frame:08}.png");
            save(&face.image, &frames.join(name))?;
        }
        let labels = out.join("Emotion").join(&subject).join(&sequence);
        fs_err::create_dir_all(&labels)?;
        if face.expression != Expression::Neutral {
            let code = f32::from(CODES[face.expression as usize]);
            let name = format!("{subject}_{sequence}_00000002_emotion.txt");
            fs_err::write(labels.join(name), format!("   {code:.7e}\n"))?;
        }
    }
    Ok(())
}

/// Writes a face with its surroundings, which are grey.
pub(super) fn within(face: &RgbImage, path: &Path) -> Result<(), DataError> {
    let (width, height) = (face.width() + 2 * AROUND, face.height() + 2 * AROUND);
    let mut picture = RgbImage::from_pixel(width, height, image::Rgb([127; 3]));
    imageops::replace(&mut picture, face, AROUND.into(), AROUND.into());
    save(&picture, path)
}

/// The first column and row of a face in its surroundings, and those behind its last.
pub(super) fn edges(face: &RgbImage) -> [u32; 2] {
    [AROUND, AROUND + face.width()]
}

//! `predict` on clips: rows, numbers of faces, annotated videos, summaries, runs that go on.

mod resume;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use emoxide_testing::{ffmpeg, has_ffmpeg};
use image::RgbImage;
use image::imageops::{FilterType, crop_imm, overlay, resize};

use crate::{emoxide, err, out, photo, run};

const WIDTH: u32 = 480;
const HEIGHT: u32 = 270;

/// Head and shoulders of a photograph, `height` pixels high.
fn person(name: &str, [left, top, right, bottom]: [u32; 4], height: u32) -> RgbImage {
    let picture = image::ImageReader::open(photo(name)).unwrap().decode().unwrap().into_rgb8();
    let cut = crop_imm(&picture, left, top, right - left, bottom - top).to_image();
    resize(&cut, (right - left) * height / (bottom - top), height, FilterType::Triangle)
}

fn people() -> [RgbImage; 2] {
    [person("astronaut.jpg", [110, 0, 340, 260], 170), person("hopper.jpg", [110, 40, 400, 370], 170)]
}

/// Writes `f0000.png` and so on: the middles of both people in each frame, the second in front.
fn draw(folder: &Path, middles: impl Iterator<Item = [f32; 2]>) {
    let people = people();
    for (index, middles) in middles.enumerate() {
        let mut canvas = RgbImage::from_pixel(WIDTH, HEIGHT, image::Rgb([96, 110, 120]));
        for (person, middle) in people.iter().zip(middles) {
            overlay(&mut canvas, person, (middle - person.width() as f32 / 2.0) as i64, 50);
        }
        canvas.save(folder.join(format!("f{index:04}.png"))).unwrap();
    }
}

/// Both walk to where the other one stood.
fn crossing(folder: &Path, frames: usize) {
    let at = |index: usize| index as f32 / (frames - 1) as f32;
    draw(folder, (0..frames).map(|index| [90.0 + 300.0 * at(index), 390.0 - 300.0 * at(index)]));
}

/// A clip of both people, who hardly move.
fn standing(folder: &Path, frames: usize) -> PathBuf {
    draw(folder, (0..frames).map(|index| [110.0 + index as f32 * 0.5, 360.0 - index as f32 * 0.5]));
    ffmpeg(folder, "-framerate 25 -i f%04d.png -pix_fmt yuv420p -crf 16 clip.mp4");
    folder.join("clip.mp4")
}

struct Row {
    frame: usize,
    timestamp: f64,
    face_id: Option<usize>,
    x: f32,
}

fn rows(text: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(|record| {
        let record = record.unwrap();
        Row {
            frame: record[1].parse().unwrap(),
            timestamp: record[2].parse().unwrap(),
            face_id: record[3].parse().ok(),
            x: record[6].parse().unwrap_or(f32::NAN),
        }
    });
    rows.collect()
}

#[test]
fn two_faces_that_cross_keep_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    crossing(folder.path(), 60);
    let frames = folder.path().join("f%04d.png").display().to_string();
    let output = run(&["predict", &frames, "--sequence", "--fps", "30", "--format", "csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let rows = rows(&out(&output));
    let ids: BTreeSet<usize> = rows.iter().filter_map(|row| row.face_id).collect();
    assert_eq!(ids, BTreeSet::from([0, 1]));
    let at = |frame: usize, id: usize| {
        rows.iter().find(|row| row.frame == frame && row.face_id == Some(id)).map(|row| row.x)
    };
    let (first, last) = ([at(0, 0), at(0, 1)].map(Option::unwrap), [at(59, 0), at(59, 1)].map(Option::unwrap));
    assert!((first[0] < first[1]) != (last[0] < last[1]), "{first:?} {last:?}");
    assert!((rows.last().unwrap().timestamp - 59.0 / 30.0).abs() < 1e-9);
}

#[test]
fn a_face_that_leaves_and_returns_keeps_its_number_and_empty_frames_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    // The second one walks out on the right and comes back; nobody is there at the end.
    let second = |index: usize| match index {
        0..25 => 340.0 + 10.0 * index as f32,
        25..40 => 2000.0,
        _ => 580.0 - 10.0 * (index - 40) as f32,
    };
    draw(folder.path(), (0..68).map(|index| if index < 65 { [110.0, second(index)] } else { [2000.0; 2] }));
    let frames = folder.path().display().to_string();
    let output = run(&["predict", &frames, "--sequence", "--format", "csv", "-o", &format!("{frames}/rows.csv")]);
    assert_eq!(output.status.code(), Some(0), "a frame without a face is no skipped input: {}", err(&output));
    let text = fs_err::read_to_string(folder.path().join("rows.csv")).unwrap();
    let rows = rows(&text);
    assert_eq!(rows.iter().map(|row| row.frame).collect::<BTreeSet<_>>().len(), 68, "every frame has a row");
    assert!(rows[rows.len() - 3..].iter().all(|row| row.face_id.is_none()));
    let ids_at = |frame: usize| -> BTreeSet<usize> {
        rows.iter().filter(|row| row.frame == frame).filter_map(|row| row.face_id).collect()
    };
    let [before, between, after] = [5, 32, 62].map(ids_at);
    assert_eq!((&before, between.len(), &after), (&BTreeSet::from([0, 1]), 1, &BTreeSet::from([0, 1])));
    assert!(rows.iter().all(|row| row.face_id.is_none_or(|id| between.contains(&id) == (row.x < 200.0))));
}

#[test]
fn a_video_gives_rows_summaries_and_an_annotated_copy() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = standing(folder.path(), 20).display().to_string();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let mut command = emoxide(&["predict", &clip, "--format", "ndjson", "--smooth", "0.2", "--skip-frames", "1"]);
    command.args(["--start", "0.2", "--end", "00:00:00.7"]);
    command.args(["--annotate", &place("marked"), "--summary", &place("summary")]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let lines: Vec<serde_json::Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Frames 5 to 17 whose numbers are even.
    let numbers: Vec<u64> = lines.iter().map(|line| line["frame"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [6, 8, 10, 12, 14, 16]);
    for line in &lines {
        let timestamp = line["timestamp"].as_f64().unwrap();
        assert!((timestamp - line["frame"].as_f64().unwrap() / 25.0).abs() < 1e-9);
        for (face_id, face) in line["faces"].as_array().unwrap().iter().enumerate() {
            assert_eq!(face["face_id"], face_id);
            let values = face["probabilities"].as_object().unwrap().values();
            assert!((values.map(|value| value.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-4);
        }
    }
    ffmpeg(folder.path(), "-i marked/clip.mp4 -fps_mode passthrough marked/%d.png");
    assert_eq!(fs_err::read_dir(place("marked")).unwrap().count(), 1 + lines.len(), "as many frames as rows");
    let summary: serde_json::Value =
        serde_json::from_slice(&fs_err::read(place("summary/clip.json")).unwrap()).unwrap();
    assert_eq!((summary["frames"].as_u64(), summary["faces"].as_array().unwrap().len()), (Some(6), 2));
    let table = fs_err::read_to_string(place("summary/clip.csv")).unwrap();
    assert!(table.starts_with("input,face_id,first,last,frames,seconds,seconds_anger,") && table.lines().count() == 3);
    assert!(fs_err::read_to_string(place("summary/clip.svg")).unwrap().contains("face 1:"));
    assert!(fs_err::read(place("summary/clip.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_video_that_breaks_off_is_named_and_its_rows_are_kept() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    standing(folder.path(), 20);
    ffmpeg(folder.path(), "-i clip.mp4 -g 1 -movflags +faststart fast.mp4");
    let bytes = fs_err::read(folder.path().join("fast.mp4")).unwrap();
    fs_err::write(folder.path().join("cut.mp4"), &bytes[..bytes.len() * 3 / 4]).unwrap();
    let cut = folder.path().join("cut.mp4").display().to_string();
    let output = run(&["predict", &cut, &photo("astronaut.jpg"), "--format", "ndjson", "--no-track"]);
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("cut.mp4: it is damaged or cut off"), "{}", err(&output));
    assert!(err(&output).contains("1 of 2 inputs skipped"), "{}", err(&output));
    let text = out(&output);
    assert!(text.lines().count() > 2 && text.lines().last().unwrap().contains("astronaut.jpg"));
    assert!(!text.lines().last().unwrap().contains("timestamp"));
}

#[test]
fn without_ffmpeg_it_is_said_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    fs_err::write(&clip, "x").unwrap();
    let mut command = emoxide(&["predict", &clip.display().to_string(), &photo("astronaut.jpg"), "--format", "ndjson"]);
    let output = command.env("EMOXIDE_FFMPEG", "no-such-ffmpeg").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let said = err(&output);
    assert!(said.contains("`no-such-ffmpeg` cannot be started") && said.contains("apt install ffmpeg"), "{said}");
    assert_eq!(out(&output).lines().count(), 1, "the picture beside it is answered");
}

#[test]
fn options_that_cannot_be_are_refused() {
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--start", "soon"], 2, "hh:mm:ss"),
        (&["--start", "3", "--end", "2"], 1, "the end lies behind the start"),
        (&["--smooth", "1", "--no-track"], 2, "--no-track"),
        (&["--fps", "25"], 2, "--sequence"),
        (&["--max-lost", "nan"], 1, "--max-lost NaN"),
        (&["--save-crops", "crops"], 1, "--save-crops"),
        (&["--resume"], 1, "--output"),
        (&["--resume", "-o", "x.json", "--format", "json"], 1, "csv, ndjson and parquet"),
        (&["--format", "parquet"], 1, "--output"),
    ];
    for (arguments, code, said) in cases {
        let output = run(&[&["predict", "clip.mp4"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
    let output = run(&["predict", &photo("astronaut.jpg"), "--resume", "-o", "x.csv", "--format", "csv"]);
    assert!(err(&output).contains("only runs over clips"), "{}", err(&output));
}

/// The arguments of a run over `frames`, which are enough for a few batches.
fn whole(frames: &str, output: &str, format: &str) -> Vec<String> {
    let arguments =
        ["predict", frames, "--sequence", "--format", format, "-o", output, "--smooth", "0.3", "--batch-size", "4"];
    let summary = ["--summary".to_owned(), format!("{output}-summary")];
    arguments.map(str::to_owned).into_iter().chain(summary).collect()
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_what_csv_holds() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let folder = tempfile::tempdir().unwrap();
    crossing(folder.path(), 6);
    fs_err::remove_file(folder.path().join("f0005.png")).unwrap();
    image::RgbImage::new(WIDTH, HEIGHT).save(folder.path().join("f0005.png")).unwrap();
    let frames = folder.path().join("f%04d.png").display().to_string();
    let [csv, parquet] = ["csv", "parquet"].map(|format| {
        let path = folder.path().join(format!("faces.{format}"));
        let arguments = whole(&frames, &path.display().to_string(), format);
        let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        path
    });
    assert!(!folder.path().join("faces.parquet.parts").exists());
    let mut table = csv::Reader::from_path(csv).unwrap();
    let header = table.headers().unwrap().clone();
    let reader = SerializedFileReader::new(fs_err::File::open(parquet).unwrap().into_parts().0).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let records: Vec<_> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        for ((name, field), (column, cell)) in row.get_column_iter().zip(header.iter().zip(record)) {
            assert_eq!(name, column);
            let text = match field {
                Field::Null => String::new(),
                Field::Bool(flag) => u8::from(*flag).to_string(),
                Field::Long(value) => value.to_string(),
                Field::Float(value) => value.to_string(),
                Field::Double(value) => value.to_string(),
                Field::Str(text) => text.clone(),
                other => panic!("{name}: {other}"),
            };
            assert_eq!(text, cell, "{name}");
        }
    }
    let last = rows.last().unwrap();
    assert!(last.get_column_iter().any(|(name, field)| name == "success" && *field == Field::Bool(false)));
}

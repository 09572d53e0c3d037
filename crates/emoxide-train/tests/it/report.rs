//! Confusion matrices and curves. The pictures stay in `target/tmp` for whoever wants to look at them.

use std::fmt::Write as _;
use std::path::PathBuf;

use emoxide::labels::Classes;
use emoxide_train::report::{ReportError, confusion_csv, confusion_png, curves_svg, write_confusion, write_curves};
use emoxide_train::tensorboard::EventWriter;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs_err::create_dir_all(&folder).expect("target/tmp can be written");
    folder
}

fn eight() -> (Classes, Vec<Vec<usize>>) {
    let classes =
        Classes::from_names(["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"])
            .expect("eight classes");
    let confusion = vec![
        vec![1090, 22, 17, 89, 22, 0, 2, 4],
        vec![26, 880, 12, 6, 4, 0, 0, 1],
        vec![20, 12, 400, 2, 6, 0, 12, 0],
        vec![102, 5, 3, 260, 11, 2, 3, 0],
        vec![24, 9, 6, 12, 268, 4, 3, 0],
        vec![2, 1, 0, 3, 5, 10, 0, 0],
        vec![4, 1, 24, 12, 5, 0, 48, 0],
        vec![0; 8],
    ];
    (classes, confusion)
}

#[test]
fn the_confusion_matrix_becomes_a_table_and_two_pictures() {
    let (classes, confusion) = eight();
    let folder = folder("confusion");
    write_confusion(&folder, &classes, &confusion, "default on ferplus/test: accuracy 0.8829").unwrap();

    let csv = fs_err::read_to_string(folder.join("confusion.csv")).unwrap();
    assert_eq!(csv, confusion_csv(&classes, &confusion));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "true,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt");
    assert_eq!(lines[2], "happiness,26,880,12,6,4,0,0,1");
    assert_eq!(lines.len(), 9);

    let svg = fs_err::read_to_string(folder.join("confusion.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    let texts = |wanted: &str| svg.lines().filter(|line| line.trim() == wanted).count();
    assert_eq!(texts("contempt"), 2, "on both axes");
    assert_eq!((texts("1090"), texts("87.5 %"), texts("–")), (1, 1, 8));

    let png = image::load_from_memory(&fs_err::read(folder.join("confusion.png")).unwrap()).unwrap().to_rgb8();
    assert_eq!(png.dimensions(), (2 * (150 + 8 * 92 + 112), 2 * (104 + 8 * 92 + 28)));
    // A corner of the cell (true neutral, predicted neutral) is dark, one of the empty last row is near white.
    let red = |x: u32, y: u32| png.get_pixel(2 * x, 2 * y).0[0];
    assert!(red(155, 109) < 60, "{}", red(155, 109));
    assert!(red(155, 104 + 7 * 92 + 5) > 240);
    // Dark ink on light ground in the axis, light ink on dark ground in the cell.
    let has =
        |left: u32, top: u32, test: fn(u8) -> bool| (left..left + 70).any(|x| (top..top + 40).any(|y| test(red(x, y))));
    assert!(has(160, 76, |red| red < 60) && has(161, 130, |red| red > 230));
    println!("look at {}", folder.display());
}

#[test]
fn two_classes_fit_as_well() {
    let classes = Classes::from_names(["happy", "sad"]).unwrap();
    let png = confusion_png(&classes, &[vec![3, 1], vec![0, 2]], "two").unwrap();
    fs_err::write(folder("confusion").join("two.png"), &png).unwrap();
    assert_eq!(image::load_from_memory(&png).unwrap().width(), 2 * (150 + 2 * 92 + 112));
}

#[test]
fn curves_are_drawn_from_the_metrics_table() {
    let folder = folder("curves");
    let path = folder.join("metrics.csv");
    let mut table = String::from("epoch,train_loss,valid_loss,train_accuracy,valid_accuracy,rate,seconds\n");
    for epoch in 1..=14 {
        let t = f64::from(epoch);
        let valid = if epoch == 3 { String::new() } else { format!("{:.4}", 0.5 + 1.2 / t) };
        writeln!(
            table,
            "{epoch},{:.4},{valid},{:.4},{:.4},{:.6},41",
            0.3 + 1.5 / t,
            0.9 - 0.6 / t,
            0.85 - 0.5 / t,
            0.01 * (1.0 + (t * 0.22).cos())
        )
        .unwrap();
    }
    fs_err::write(&path, &table).unwrap();
    write_curves(&path, &folder.join("curves.svg")).unwrap();
    let svg = fs_err::read_to_string(folder.join("curves.svg")).unwrap();
    for text in ["loss", "accuracy", "rate", "train loss", "valid accuracy", "epoch"] {
        assert!(svg.lines().any(|line| line.trim() == text), "{text}");
    }
    assert!(!svg.contains("seconds") && !svg.contains("NaN"));
    assert!(svg.matches("<polyline").count() > 5);

    // One epoch, a loss that blew up, a table without epochs, a cell that is no number.
    fs_err::write(&path, "epoch,train_loss,valid_loss\n1,0.5,NaN\n").unwrap();
    assert!(curves_svg(&path).unwrap().contains("<circle"));
    fs_err::write(&path, "step,loss\n1,0.5\n").unwrap();
    assert!(matches!(curves_svg(&path), Err(ReportError::Column { column: "epoch", .. })));
    fs_err::write(&path, "epoch,loss\n1,0.5\n2,high\n").unwrap();
    assert!(matches!(curves_svg(&path), Err(ReportError::Number { line: 3, .. })));
    fs_err::write(&path, &table).unwrap();
}

#[test]
fn events_are_written_where_tensorboard_looks() {
    let folder = folder("events");
    let mut writer = EventWriter::open(&folder, 0).unwrap();
    for step in 0..20_u32 {
        writer.scalars(u64::from(step) * 100, &[("loss/train", 1.0 / f64::from(step + 1)), ("rate", 0.01)]).unwrap();
    }
    let name = writer.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.contains("tfevents"));
    // 20 events of 12 + 4 bytes of frame, 9 of time, 2 or 3 of step, 41 of summary, and the version event.
    let size = fs_err::metadata(writer.path()).unwrap().len();
    assert!((1_200..1_600).contains(&size), "{size}");
    println!("look at {}", folder.display());
}

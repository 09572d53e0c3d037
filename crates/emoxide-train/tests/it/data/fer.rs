//! FER2013 and FER+.

use std::fmt::Write as _;

use emoxide::labels::{Classes, Expression};
use emoxide_train::data::{DataError, DataOptions, DataSpec, Label, LabelRule, Split};
use tempfile::TempDir;

use super::{VOTES, expression, open, open_with, picture, write};

fn fer2013_csv(rows: &[(u8, &str, u8)]) -> String {
    let mut text = String::from("emotion,pixels,Usage\n");
    for (emotion, usage, value) in rows {
        let pixels = vec![value.to_string(); 48 * 48].join(" ");
        writeln!(text, "{emotion},{pixels},{usage}").unwrap();
    }
    text
}

#[test]
fn fer2013_table_has_its_splits() {
    let root = TempDir::new().unwrap();
    let rows = [(0, "Training", 1), (6, "PublicTest", 2), (3, "PrivateTest", 3), (5, "Training", 4)];
    let path = write(root.path(), "fer2013.csv", &fer2013_csv(&rows));
    for spec in [format!("fer2013={}", root.path().display()), format!("fer2013={}", path.display())] {
        let expected = [
            (Split::Train, vec!["fer2013.csv#0", "fer2013.csv#3"]),
            (Split::Valid, vec!["fer2013.csv#1"]),
            (Split::Public, vec!["fer2013.csv#1"]),
            (Split::Private, vec!["fer2013.csv#2"]),
            (Split::Test, vec!["fer2013.csv#1", "fer2013.csv#2"]),
            (Split::All, vec!["fer2013.csv#0", "fer2013.csv#1", "fer2013.csv#2", "fer2013.csv#3"]),
        ];
        for (split, names) in expected {
            let data = open(&spec, split).unwrap();
            assert_eq!(data.samples.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), names, "{split}");
        }
        let train = open(&spec, Split::Train).unwrap();
        assert_eq!((expression(&train, 0), expression(&train, 1)), (Expression::Anger, Expression::Surprise));
        let image = train.load_image(1).unwrap();
        assert_eq!((image.dimensions(), image.get_pixel(9, 40).0), ((48, 48), [4, 4, 4]));
    }
}

#[test]
fn fer2013_errors_name_line_and_column() {
    let root = TempDir::new().unwrap();
    let spec = format!("fer2013={}", root.path().display());
    let message = |text: &str| {
        write(root.path(), "fer2013.csv", text);
        open(&spec, Split::All).unwrap_err().to_string()
    };
    let error = message(&fer2013_csv(&[(0, "Training", 1), (7, "Training", 1)]));
    assert!(error.contains("fer2013.csv line 3: `7` in column `emotion`"), "{error}");
    let error = message(&fer2013_csv(&[(0, "Test", 1)]));
    assert!(error.contains("line 2: `Test` in column `Usage` is not Training, PublicTest or PrivateTest"), "{error}");
    let error = message("emotion,pixels,Usage\n0,1 2 3,Training\n");
    assert!(error.contains("`1 2 3` in column `pixels` is not 2304"), "{error}");
    let error = message("emotion,pixels\n0,1 2 3\n");
    assert!(error.contains("no column `Usage`; its columns are `emotion`, `pixels`"), "{error}");
    let error = open("fer2013=does/not/exist", Split::Train).unwrap_err().to_string();
    assert!(error.contains("does/not/exist does not hold FER2013: expected fer2013.csv"), "{error}");
}

#[test]
fn fer2013_folders_split_test_by_file_name() {
    let root = TempDir::new().unwrap();
    for name in ["train/angry/Training_1.png", "train/sad/Training_2.png", "test/happy/PublicTest_3.png"] {
        picture(root.path(), name, 9);
    }
    picture(root.path(), "test/neutral/PrivateTest_4.png", 9);
    write(root.path(), "test/neutral/Thumbs.db", "not a picture");
    let spec = format!("fer2013={}", root.path().display());
    let counts = |split| open(&spec, split).unwrap().class_counts();
    assert_eq!(counts(Split::Train), [1, 0, 0, 0, 1, 0, 0]);
    assert_eq!(counts(Split::Test), [0, 0, 0, 1, 0, 0, 1]);
    assert_eq!(counts(Split::Valid), [0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(counts(Split::Private), [0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(counts(Split::All), [1, 0, 0, 1, 1, 0, 1]);
    assert_eq!(open(&spec, Split::Private).unwrap().samples[0].name, "test/neutral/PrivateTest_4.png");
}

/// The votes of a row and the label under each rule: majority, argmax10, argmax8, soft.
type Row = ([u8; 10], Option<usize>, Option<usize>, usize, Option<&'static [f32]>);

/// Rows that the four rules treat differently, with the label each gives: neutral 0, happiness 1, …, as in the file.
const ROWS: [Row; 7] = [
    // A clear majority.
    ([8, 2, 0, 0, 0, 0, 0, 0, 0, 0], Some(0), Some(0), 0, Some(&[0.8, 0.2])),
    // 5 of 10 is no majority, but 5 of the 9 left without the single vote is.
    ([0, 5, 4, 1, 0, 0, 0, 0, 0, 0], Some(1), Some(1), 1, Some(&[0.0, 5. / 9., 4. / 9.])),
    // Equal counts: no majority, the first wins otherwise.
    ([0, 0, 5, 5, 0, 0, 0, 0, 0, 0], None, Some(2), 2, Some(&[0.0, 0.0, 0.5, 0.5])),
    // Mostly unknown.
    ([3, 0, 0, 0, 0, 0, 0, 0, 7, 0], None, None, 0, None),
    // No face at all: only the arg max over the eight keeps it, as neutral.
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None, None, 0, None),
    // The votes for unknown do not count towards the shares, but they do towards the majority.
    ([0, 0, 0, 5, 0, 0, 0, 0, 5, 0], None, Some(3), 3, Some(&[0.0, 0.0, 0.0, 1.0])),
    // Ten single votes: struck out, nothing is left; the shares fall back to the votes.
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None, Some(0), 0, Some(&[0.125; 8])),
];

#[test]
fn ferplus_rules_follow_the_votes() {
    let root = TempDir::new().unwrap();
    let mut text = format!("Usage,Image name,file,{VOTES}\n");
    for (index, (votes, ..)) in ROWS.iter().enumerate() {
        picture(root.path(), &format!("pictures/{index}.png"), index as u8);
        let votes = votes.map(|count| count.to_string()).join(",");
        writeln!(text, "Training,fer{index:07}.png,pictures/{index}.png,{votes}").unwrap();
    }
    write(root.path(), "ferplus.csv", &text);
    let spec = format!("ferplus={}", root.path().display());
    let native = Classes::from_names(VOTES.split(',').take(8)).unwrap();
    let labels = |rule| {
        let data = open_with(&spec, Split::Train, rule).unwrap();
        assert_eq!(data.classes, Classes::eight());
        let data = data.reordered(&native).unwrap();
        (0..ROWS.len())
            .map(|index| {
                let name = format!("pictures/{index}.png");
                data.samples.iter().find(|sample| sample.name == name).map(|sample| sample.label.clone())
            })
            .collect::<Vec<_>>()
    };
    let class = |label: Option<usize>| label.map(Label::Class);
    assert_eq!(labels(LabelRule::Majority), ROWS.map(|row| class(row.1)));
    assert_eq!(labels(LabelRule::Argmax10), ROWS.map(|row| class(row.2)));
    assert_eq!(labels(LabelRule::Argmax8), ROWS.map(|row| class(Some(row.3))));
    for (label, row) in labels(LabelRule::Soft).into_iter().zip(ROWS) {
        let expected = row.4.map(|shares| {
            let mut full = vec![0.0; 8];
            full[..shares.len()].copy_from_slice(shares);
            Label::Votes(full)
        });
        assert_eq!(label, expected, "{:?}", row.0);
    }
}

#[test]
fn ferplus_is_read_in_every_form() {
    let root = TempDir::new().unwrap();
    let usages = ["Training", "PublicTest", "PrivateTest", "Training"];
    let winners = [4, 7, 1, 0];
    let votes = |winner: usize| (0..10).map(|c| if c == winner { "9" } else { "0" }).collect::<Vec<_>>().join(",");
    let header = format!("Usage,Image name,{VOTES}\n");
    let mut official = header.clone();
    for (index, (usage, winner)) in usages.iter().zip(winners).enumerate() {
        writeln!(official, "{usage},fer{index:07}.png,{}", votes(winner)).unwrap();
    }
    // Rows without a picture have an empty name.
    writeln!(official, "Training,,{}", votes(9)).unwrap();

    // The official table and the exported folders, below `data` as in the official repository.
    let exported = root.path().join("exported");
    write(&exported, "fer2013new.csv", &official);
    let folders = ["FER2013Train", "FER2013Valid", "FER2013Test", "FER2013Train"];
    for (index, folder) in folders.iter().enumerate() {
        picture(&exported, &format!("data/{folder}/fer{index:07}.png"), index as u8);
    }
    // The official table and the table of FER2013.
    let tables = root.path().join("tables");
    write(&tables, "fer2013new.csv", &official);
    let rows: Vec<_> = usages.iter().enumerate().map(|(index, usage)| (0, *usage, index as u8)).collect();
    let with_faceless: Vec<_> = rows.iter().copied().chain([(0, "Training", 99)]).collect();
    write(&tables, "fer2013.csv", &fer2013_csv(&with_faceless));
    // The exported folders with their own lists.
    let lists = root.path().join("lists");
    for folder in &folders[..3] {
        let mut text = String::new();
        for (index, (_, winner)) in folders.iter().zip(winners).enumerate().filter(|(_, (at, _))| *at == folder) {
            picture(&lists, &format!("{folder}/fer{index:07}.png"), index as u8);
            writeln!(text, "fer{index:07}.png,\"(0, 0, 48, 48)\",{}", votes(winner)).unwrap();
        }
        write(&lists, &format!("{folder}/label.csv"), &text);
    }
    // One table that names files below another root.
    let named = root.path().join("named");
    let mut text = format!("Usage,Image name,file,{VOTES}\n");
    for (index, (usage, winner)) in usages.iter().zip(winners).enumerate() {
        picture(root.path(), &format!("elsewhere/{index}.png"), index as u8);
        writeln!(text, "{usage},fer{index:07}.png,{index}.png,{}", votes(winner)).unwrap();
    }
    write(&named, "votes.csv", &text);

    let specs = [
        format!("ferplus={}", exported.display()),
        format!("ferplus={}", tables.display()),
        format!("ferplus={}", lists.display()),
        format!("ferplus={}@{}", named.join("votes.csv").display(), root.path().join("elsewhere").display()),
        format!("ferplus={}@{}", tables.join("fer2013new.csv").display(), exported.display()),
    ];
    for spec in specs {
        let train = open(&spec, Split::Train).unwrap();
        assert_eq!(train.len(), 2, "{spec}");
        assert_eq!((expression(&train, 0), expression(&train, 1)), (Expression::Anger, Expression::Neutral), "{spec}");
        assert_eq!(train.load_image(1).unwrap().get_pixel(5, 5).0, [3; 3], "{spec}");
        let valid = open(&spec, Split::Valid).unwrap();
        assert_eq!((valid.len(), expression(&valid, 0)), (1, Expression::Contempt), "{spec}");
        let test = open(&spec, Split::Test).unwrap();
        assert_eq!((test.len(), expression(&test, 0)), (1, Expression::Happiness), "{spec}");
        // Seven classes: the only picture of the validation split is contempt.
        let seven = DataOptions { drop: vec![Expression::Contempt], ..DataOptions::default() };
        let error = spec.parse::<DataSpec>().unwrap().open(Split::Valid, &seven).unwrap_err();
        assert!(matches!(error, DataError::Empty { .. }), "{error}");
        assert_eq!(spec.parse::<DataSpec>().unwrap().open(Split::Test, &seven).unwrap().classes, Classes::seven());
    }

    fs_err::remove_file(lists.join("FER2013Valid/label.csv")).unwrap();
    let error = open(&format!("ferplus={}", lists.display()), Split::Valid).unwrap_err();
    assert!(matches!(&error, DataError::Missing { path, .. } if path.ends_with("FER2013Valid")), "{error}");
    write(&tables, "fer2013.csv", &fer2013_csv(&rows));
    let error = open(&format!("ferplus={}", tables.display()), Split::Train).unwrap_err().to_string();
    assert!(error.contains("has 5 rows for the 4 of"), "{error}");
    let error = open(&format!("ferplus={}", named.join("votes.csv").display()), Split::Train).unwrap_err().to_string();
    assert!(error.contains("ferplus=TABLE@IMAGES"), "{error}");
}

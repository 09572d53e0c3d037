//! Readers against small data sets written here, and against the real votes where they are.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use emoxide::labels::{Classes, Expression};
use emoxide_train::data::{DataError, DataOptions, DataSet, DataSpec, Label, LabelRule, Layout, Source, Split};
use image::{GrayImage, Luma};
use tempfile::TempDir;

const VOTES: &str = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF";

fn write(root: &Path, name: &str, text: &str) -> PathBuf {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, text).unwrap();
    path
}

/// A grey picture of one value.
fn picture(root: &Path, name: &str, value: u8) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(48, 48, Luma([value])).save(path).unwrap();
}

fn open(spec: &str, split: Split) -> Result<DataSet, DataError> {
    open_with(spec, split, LabelRule::Majority)
}

fn open_with(spec: &str, split: Split, label_rule: LabelRule) -> Result<DataSet, DataError> {
    spec.parse::<DataSpec>()?.open(split, &DataOptions { label_rule, ..DataOptions::default() })
}

fn expression(data: &DataSet, index: usize) -> Expression {
    data.classes.as_slice()[data.samples[index].label.class()]
}

fn fer2013_csv(rows: &[(u8, &str, u8)]) -> String {
    let mut text = String::from("emotion,pixels,Usage\n");
    for (emotion, usage, value) in rows {
        let pixels = vec![value.to_string(); 48 * 48].join(" ");
        writeln!(text, "{emotion},{pixels},{usage}").unwrap();
    }
    text
}

#[test]
fn specs_name_a_layout_a_path_and_perhaps_images() {
    let spec: DataSpec = "FER+=votes.csv@pictures".parse().unwrap();
    assert_eq!(spec, DataSpec::new(Layout::FerPlus, "votes.csv").with_images("pictures"));
    assert_eq!(spec.to_string(), "ferplus=votes.csv@pictures");
    let spec: DataSpec = "RAF-DB=some/dir".parse().unwrap();
    assert_eq!(spec, DataSpec::new(Layout::RafDb, "some/dir"));
    // An `@` in a folder that exists belongs to its name.
    let root = TempDir::with_prefix("at@").unwrap();
    let spec: DataSpec = format!("folder={}", root.path().display()).parse().unwrap();
    assert_eq!(spec.images, None);

    for (text, part) in [("fer2013", "NAME=PATH"), ("=x", "NAME=PATH"), ("affectnot=x", "known are fer2013, ferplus")] {
        let message = text.parse::<DataSpec>().unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
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

    write(&tables, "fer2013.csv", &fer2013_csv(&rows));
    let error = open(&format!("ferplus={}", tables.display()), Split::Train).unwrap_err().to_string();
    assert!(error.contains("has 5 rows for the 4 of"), "{error}");
    let error = open(&format!("ferplus={}", named.join("votes.csv").display()), Split::Train).unwrap_err().to_string();
    assert!(error.contains("ferplus=TABLE@IMAGES"), "{error}");
}

#[test]
fn rafdb_maps_its_codes() {
    let root = TempDir::new().unwrap();
    let list = "train_00001.jpg 5\ntrain_00002.jpg 1\ntest_0001.jpg 7\n";
    write(root.path(), "basic/EmoLabel/list_patition_label.txt", list);
    for name in ["train_00001", "train_00002", "test_0001"] {
        let path = format!("basic/Image/aligned/{name}_aligned.jpg");
        picture(root.path(), &path, 100);
    }
    for place in [root.path().to_owned(), root.path().join("basic")] {
        let spec = format!("rafdb={}", place.display());
        let train = open(&spec, Split::Train).unwrap();
        assert_eq!((expression(&train, 0), expression(&train, 1)), (Expression::Sadness, Expression::Surprise));
        assert_eq!(train.samples[0].name, "Image/aligned/train_00001_aligned.jpg");
        let test = open(&spec, Split::Test).unwrap();
        assert_eq!((test.len(), expression(&test, 0)), (1, Expression::Neutral));
        let error = open(&spec, Split::Valid).unwrap_err().to_string();
        assert!(error.contains("no split `valid`: it has train and test"), "{error}");
    }
    write(root.path(), "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 5\ntrain_00002.jpg 8\n");
    let error = open(&format!("rafdb={}", root.path().display()), Split::Train).unwrap_err().to_string();
    assert!(
        error.contains("list_patition_label.txt line 2: `8` in column `label` is not a code from 1 to 7"),
        "{error}"
    );
}

#[test]
fn class_folders_take_aliases_and_agree_across_splits() {
    let root = TempDir::new().unwrap();
    for name in ["train/Happy/a.png", "train/Happy/b.JPG", "train/anger/c.png", "val/joy/d.png", "test/Fearful/e.png"] {
        picture(root.path(), name, 1);
    }
    fs_err::create_dir_all(root.path().join("__MACOSX")).unwrap();
    let spec = format!("folder={}", root.path().display());
    let train = open(&spec, Split::Train).unwrap();
    assert_eq!(train.classes.to_string(), "anger, fear, happiness");
    assert_eq!(train.class_counts(), [1, 0, 2]);
    assert_eq!(open(&spec, Split::Valid).unwrap().class_counts(), [0, 0, 1]);
    assert_eq!(open(&spec, Split::Test).unwrap().classes, train.classes);
    assert_eq!(open(&spec, Split::All).unwrap().len(), 5);

    let unsplit = format!("folder={}", root.path().join("train").display());
    assert_eq!(open(&unsplit, Split::All).unwrap().len(), 3);
    let error = open(&unsplit, Split::Test).unwrap_err().to_string();
    assert!(error.contains("ask for `all`"), "{error}");

    picture(root.path(), "train/grumpy/f.png", 1);
    let error = open(&spec, Split::Train).unwrap_err().to_string();
    assert!(error.contains("grumpy") && error.contains("known are anger") && error.contains("rename"), "{error}");
}

#[test]
fn manifests_name_path_label_and_split() {
    let root = TempDir::new().unwrap();
    for name in ["a.png", "sub/b.png", "c.png"] {
        picture(root.path(), name, 1);
    }
    let path = write(
        root.path(),
        "faces.csv",
        "Path,label,split\na.png,sad,train\nsub/b.png,Contempt,val\nc.png,happy,test\n",
    );
    let spec = format!("manifest={}", path.display());
    let train = open(&spec, Split::Train).unwrap();
    assert_eq!((train.len(), train.classes.to_string()), (1, "happiness, sadness, contempt".into()));
    assert_eq!(open(&spec, Split::Valid).unwrap().samples[0].name, "sub/b.png");
    assert!(
        matches!(&open(&spec, Split::Test).unwrap().samples[0].source, Source::File(path) if path.ends_with("c.png"))
    );

    let path = write(root.path(), "bad.csv", "path,label\na.png,sad\nc.png,hangry\n");
    let error = open(&format!("manifest={}", path.display()), Split::All).unwrap_err().to_string();
    assert!(error.contains("bad.csv line 3: `hangry` in column `label` is not an expression"), "{error}");
    let error = open(&format!("manifest={}", path.display()), Split::Test).unwrap_err().to_string();
    assert!(error.contains("no column `split`"), "{error}");
}

/// A set without files: `counts[class]` samples of each class.
fn invented(counts: &[usize]) -> DataSet {
    let classes = Classes::new(&Expression::ALL[..counts.len()]).unwrap();
    let samples = counts.iter().enumerate().flat_map(|(class, count)| {
        (0..*count).map(move |index| emoxide_train::data::Sample {
            name: format!("{class}/{index}"),
            source: Source::Pixels48(vec![0; 48 * 48].into()),
            label: Label::Class(class),
        })
    });
    DataSet { name: "invented".into(), split: Split::Train, classes, samples: samples.collect() }
}

#[test]
fn hold_out_is_stratified_disjoint_and_repeatable() {
    let mut data = invented(&[100, 10, 1, 2]);
    // A picture that stands for two samples stays on one side.
    for index in 0..50 {
        data.samples.push(data.samples[index].clone());
    }
    let (kept, held) = data.hold_out(0.2, 7).unwrap();
    let pictures = |data: &DataSet| {
        let mut names: Vec<_> = data.samples.iter().map(|sample| sample.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    };
    let per_class = |class: &str| pictures(&held).iter().filter(|name| name.starts_with(class)).count();
    assert_eq!(["0/", "1/", "2/", "3/"].map(per_class), [20, 2, 0, 1]);
    assert!(pictures(&kept).iter().all(|name| !pictures(&held).contains(name)));
    assert_eq!(kept.len() + held.len(), data.len());
    assert_eq!((kept.split, held.split), (Split::Train, Split::Valid));

    assert_eq!(data.hold_out(0.2, 7).unwrap(), (kept, held.clone()));
    assert_ne!(data.hold_out(0.2, 8).unwrap().1, held);
    data.samples.reverse();
    assert_eq!(
        pictures(&data.hold_out(0.2, 7).unwrap().1),
        pictures(&held),
        "the order of the samples does not matter"
    );
    assert!(data.hold_out(1.0, 7).is_err() && data.hold_out(f64::NAN, 7).is_err());
}

#[test]
fn manifest_hash_follows_names_labels_and_classes_only() {
    let data = invented(&[3, 2]);
    let hash = data.manifest_hash();
    assert_eq!(hash.len(), 64);
    let mut other = data.clone();
    other.samples.reverse();
    assert_eq!(other.manifest_hash(), hash);
    other.samples[0].label = Label::Class(0);
    assert_ne!(other.manifest_hash(), hash);
    let mut other = data.clone();
    other.classes = Classes::from_names(["happy", "sad"]).unwrap();
    assert_ne!(other.manifest_hash(), hash);
}

#[test]
fn dropping_a_class_renormalises_votes() {
    let mut data = invented(&[1; 8]);
    data.samples[0].label = Label::Votes(vec![0.6, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.2]);
    data.samples[1].label = Label::Votes(vec![0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6]);
    let seven = data.without(&[Expression::Contempt]).unwrap();
    assert_eq!((seven.classes.clone(), seven.len()), (Classes::seven(), 6));
    let Label::Votes(shares) = &seven.samples[0].label else { panic!("votes stay votes") };
    assert_eq!(shares.len(), 7);
    assert!((shares[0] - 0.75).abs() < 1e-6 && (shares[3] - 0.25).abs() < 1e-6);
    assert_eq!(seven.samples[0].label.distribution(7), *shares);
    assert_eq!(seven.samples[1].label.distribution(7), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn check_names_what_differs() {
    let root = TempDir::new().unwrap();
    picture(root.path(), "train/angry/Training_1.png", 9);
    write(root.path(), "train/angry/Training_2.png", "not a picture");
    picture(root.path(), "test/happy/PublicTest_3.png", 9);
    let spec: DataSpec = format!("fer2013={}", root.path().display()).parse().unwrap();
    let report = spec.check(&DataOptions::default(), true).unwrap();
    assert!(!report.is_as_published());
    let train = &report.splits[0];
    assert_eq!((train.total, train.published_total, train.unreadable, train.missing), (2, Some(28_709), 1, 0));
    assert_eq!(train.examples, ["train/angry/Training_2.png"]);
    let text = report.to_string();
    assert!(text.contains("anger           2  published   3995, -3993"), "{text}");
    assert!(text.contains("not there: private: "), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["splits"][0]["classes"][0]["published"], 3995);
}

#[test]
fn the_real_votes_have_the_published_counts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ferplus.csv");
    if !path.is_file() {
        eprintln!("SKIPPED: {} is not here", path.display());
        return;
    }
    // Counting needs no pictures but the first of every split, which the reader looks for.
    let root = TempDir::new().unwrap();
    let text = fs_err::read_to_string(&path).unwrap();
    for usage in ["Training", "PublicTest", "PrivateTest"] {
        for line in text.lines().filter(|line| line.starts_with(usage)).take(40) {
            write(root.path(), line.split(',').nth(2).unwrap(), "");
        }
    }
    let spec = DataSpec::new(Layout::FerPlus, &path).with_images(root.path());
    let total = |rule, drop: &[Expression]| {
        let options = DataOptions { label_rule: rule, drop: drop.to_vec() };
        [Split::Train, Split::Valid, Split::Test].map(|split| spec.open(split, &options).unwrap().len())
    };
    assert_eq!(total(LabelRule::Majority, &[]), [25_057, 3_199, 3_152]);
    assert_eq!(total(LabelRule::Majority, &[Expression::Contempt]), [24_938, 3_186, 3_136]);
    assert_eq!(total(LabelRule::Argmax10, &[]), [28_386, 3_553, 3_545]);
    assert_eq!(total(LabelRule::Argmax8, &[]), [28_558, 3_579, 3_573]);
    assert_eq!(total(LabelRule::Soft, &[]), [28_386, 3_553, 3_545]);
    let report = spec.check(&DataOptions::default(), false).unwrap();
    for split in &report.splits {
        assert!(split.classes.iter().all(|class| class.published == Some(class.found)), "{report}");
    }
}

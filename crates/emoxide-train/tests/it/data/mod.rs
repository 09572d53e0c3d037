//! Readers against small data sets written here, and against the real votes where they are.

mod fer;
mod folders;
mod published;

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
fn a_check_tells_a_split_that_is_not_there_from_one_without_its_pictures() {
    let root = TempDir::new().unwrap();
    let path = write(root.path(), "faces.csv", "path,label,split\na.png,sad,train\nb.png,happy,test\n");
    let spec = DataSpec::new(Layout::Manifest, path);
    let error = spec.check(&DataOptions::default(), false).unwrap_err();
    assert!(matches!(error, DataError::NoPicture { .. }) && error.to_string().contains("TABLE@IMAGES"), "{error}");
    picture(root.path(), "a.png", 9);
    let report = spec.check(&DataOptions::default(), false).unwrap();
    assert!(!report.is_sound());
    assert_eq!((report.splits.len(), report.absent.len(), report.failed.len()), (1, 1, 1), "{report}");
    assert!(report.to_string().contains("not readable: test: ") && report.failed[0].contains("b.png"), "{report}");
    picture(root.path(), "b.png", 9);
    assert!(spec.check(&DataOptions::default(), true).unwrap().is_sound());
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
        let options = DataOptions { label_rule: rule, drop: drop.to_vec(), ..DataOptions::default() };
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

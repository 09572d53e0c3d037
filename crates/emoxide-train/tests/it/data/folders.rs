//! RAF-DB, class folders and manifests.

use emoxide::labels::Expression;
use emoxide_train::data::{Source, Split};
use tempfile::TempDir;

use super::{expression, open, picture, write};

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

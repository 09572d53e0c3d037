//! Sets that only their authors give away, in small copies of their layouts.

use emoxide::labels::Expression;
use emoxide_train::data::{DataOptions, DataSpec, Source, Split};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::{expression, open, picture, write};

/// What a picture of 100 x 80 pixels holds at a place: its column and row.
fn graded(root: &std::path::Path, name: &str) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_fn(100, 80, |x, y| Rgb([x as u8, y as u8, 0])).save(path).unwrap();
}

fn refused(spec: &str, split: Split, said: &str) {
    let error = open(spec, split).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
}

#[test]
fn affectnet_of_2021_takes_codes_from_numpy_files() {
    let root = TempDir::new().unwrap();
    let array = |kind: &str, value: &[u8]| {
        let text = format!("{:<117}\n", format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (), }}"));
        [b"\x93NUMPY\x01\x00v\x00", text.as_bytes(), value].concat()
    };
    let wide = |text: &str| text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect::<Vec<_>>();
    let arrays = [
        array("<U1", &wide("0")),
        array("<U2", &wide("10")),
        array("<U2", &wide("6\0")),
        array("|S1", b"7"),
        array("<i8", &3i64.to_le_bytes()),
        array("<f8", &1f64.to_le_bytes()),
    ];
    for (number, array) in arrays.iter().enumerate() {
        picture(root.path(), &format!("val_set/images/{number}.jpg"), 1);
        fs_err::create_dir_all(root.path().join("val_set/annotations")).unwrap();
        fs_err::write(root.path().join(format!("val_set/annotations/{number}_exp.npy")), array).unwrap();
    }
    let spec = format!("affectnet={}", root.path().display());
    let data = open(&spec, Split::Valid).unwrap();
    let found: Vec<_> = (0..data.len()).map(|index| expression(&data, index)).collect();
    let expected =
        [Expression::Neutral, Expression::Anger, Expression::Contempt, Expression::Surprise, Expression::Happiness];
    assert_eq!(found, expected, "code 10 is no expression");
    assert_eq!(data.samples[1].name, "val_set/images/2.jpg");

    refused(&spec, Split::Train, "training.csv");
    refused(&spec, Split::Test, "its test split was not given away");
    fs_err::write(root.path().join("val_set/annotations/2_exp.npy"), array("<U1", &wide("x"))).unwrap();
    refused(&spec, Split::Valid, "is not a NumPy array of one code, 0 to 10");
    fs_err::write(root.path().join("val_set/annotations/2_exp.npy"), b"\x93NUMPY").unwrap();
    refused(&spec, Split::Valid, "is not a NumPy array of one code");
}

#[test]
fn affectnet_of_2017_cuts_faces_out() {
    let root = TempDir::new().unwrap();
    let header =
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n";
    let rows = "1/a.png,20,10,40,30,1;2,4,0.1,0.2\n1/b.png,0,0,10,10,1;2,9,0,0\n";
    graded(root.path(), "Manually_Annotated_Images/1/a.png");
    write(root.path(), "training.csv", &format!("{header}{rows}"));
    write(root.path(), "validation.csv", rows);
    let spec = format!("affectnet={}", root.path().display());
    for split in [Split::Train, Split::Valid] {
        let data = open(&spec, split).unwrap();
        assert_eq!((data.len(), expression(&data, 0)), (1, Expression::Fear), "{split}");
        let face = data.load_image(0).unwrap();
        // 40 and 30 pixels and a tenth of them on each side.
        assert_eq!((face.dimensions(), face.get_pixel(0, 0).0), ((48, 36), [16, 7, 0]), "{split}");
    }
    write(root.path(), "training.csv", &format!("{header}1/a.png,20,10,40,30,1;2,11,0,0\n"));
    refused(&spec, Split::Train, "training.csv line 2: `11` in column `expression` is not a code from 0 to 10");
}

#[test]
fn expw_lists_the_top_edge_first() {
    let root = TempDir::new().unwrap();
    // The box of the authors' first line is a square only in this order: top 28, left 113, right 226, bottom 141.
    let list = "a.png 0 10 20 60 50 22.9 0\na.png 1 5 0 100 80 9.1 6\nb.png 0 10 10 20 20 9.1 3\n";
    write(root.path(), "label/label.lst", list);
    graded(root.path(), "image/origin/a.png");
    let spec = format!("expw={}", root.path().display());
    let data = open(&spec, Split::All).unwrap();
    assert_eq!(
        data.samples[0].source,
        Source::Face { file: root.path().join("image/origin/a.png"), bounds: [20, 10, 60, 50] }
    );
    let found: Vec<_> = (0..3).map(|index| expression(&data, index)).collect();
    assert_eq!(found, [Expression::Anger, Expression::Neutral, Expression::Happiness]);
    assert_ne!(data.samples[0].name, data.samples[1].name);
    assert_eq!(data.load_image(0).unwrap().dimensions(), (48, 48));
    assert_eq!(data.load_image(1).unwrap().dimensions(), (100, 80), "no further than the picture goes");

    refused(&spec, Split::Public, "random thirds of every class");
    write(root.path(), "label/label.lst", "a.png 0 10 20 60 50 22.9\n");
    refused(&spec, Split::All, "label.lst line 1");
    write(root.path(), "label/label.lst", "a.png 0 10 20 60 50 22.9 8\n");
    refused(&spec, Split::All, "is not a code from 0 to 6");
    write(root.path(), "label/label.lst", "a.png 0 90 200 260 150 22.9 1\n");
    let outside = open(&spec, Split::All).unwrap().load_image(0).unwrap_err().to_string();
    assert!(outside.contains("holds no pixel of it"), "{outside}");
    refused(&format!("expw={}", root.path().join("label").display()), Split::All, "expected label/label.lst");
}

#[test]
fn afed_passes_over_codes_that_are_none_of_the_seven() {
    let root = TempDir::new().unwrap();
    let list = "a.png 20 10 60 50 0.5 9\na.png 0 0 10 10 2\nb.png 0 0 10 10 3\n";
    write(root.path(), "AsianMovie_0725_0730/list/train_list.txt", list);
    graded(root.path(), "AsianMovie_0725_0730/images/a.png");
    let spec = format!("afed={}", root.path().display());
    let data = open(&spec, Split::Train).unwrap();
    let found: Vec<_> = (0..data.len()).map(|index| expression(&data, index)).collect();
    assert_eq!(found, [Expression::Anger, Expression::Surprise]);
    assert_eq!(data.load_image(0).unwrap().get_pixel(0, 0).0, [16, 6, 0]);
    refused(&spec, Split::Valid, "expected list/train_list.txt");
    write(root.path(), "AsianMovie_0725_0730/list/train_list.txt", "a.png 20 10 60 9\n");
    refused(&spec, Split::Train, "train_list.txt line 1");
}

#[test]
fn sfew_is_frames_or_aligned_faces() {
    let root = TempDir::new().unwrap();
    graded(root.path(), "Val/imgs/Happy/a.png");
    picture(root.path(), "Val/imgs/Sad/b.png", 3);
    write(root.path(), "Val/Annotations/Bboxs/Happy/a.txt", "20 10\n60 50\n");
    picture(root.path(), "Train_Aligned_Faces/Angry/c.png", 3);
    let place = root.path().display();
    let data = open(&format!("sfew={place}"), Split::Valid).unwrap();
    assert_eq!(data.classes.len(), 7);
    let happy = (0..2).find(|index| expression(&data, *index) == Expression::Happiness).unwrap();
    assert_eq!(data.load_image(happy).unwrap().dimensions(), (48, 48));
    assert_eq!(data.load_image(1 - happy).unwrap().dimensions(), (48, 48), "the whole picture");
    let aligned = open(&format!("sfew-aligned={place}"), Split::Train).unwrap();
    assert_eq!((aligned.len(), expression(&aligned, 0)), (1, Expression::Anger));
    refused(&format!("sfew={place}"), Split::Test, "were not given away");
    refused(&format!("sfew={place}"), Split::Train, "expected Train/<class>/*");
    refused(&format!("sfew-aligned={place}"), Split::Valid, "expected Train_Aligned_Faces");
}

#[test]
fn faces_of_rafdb_s_original_pictures_change_with_their_box() {
    let root = TempDir::new().unwrap();
    write(root.path(), "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 5\ntrain_00002.jpg 5\n");
    write(root.path(), "basic/Annotation/boundingbox/train_00001_boundingbox.txt", "30.7 20.2 70.9 50.1 ");
    write(root.path(), "basic/Annotation/boundingbox/train_00002.txt", "0 0 100 80");
    graded(root.path(), "basic/Image/original/train_00001.png");
    fs_err::rename(
        root.path().join("basic/Image/original/train_00001.png"),
        root.path().join("basic/Image/original/train_00001.jpg"),
    )
    .unwrap();
    let data = open(&format!("rafdb-original={}", root.path().display()), Split::Train).unwrap();
    assert!(data.has_boxes() && data.len() == 2);
    let corner = |shift: Option<[f64; 2]>| {
        let face = shift.map_or_else(|| data.load_image(0), |shift| data.load_changed(0, shift)).unwrap();
        (face.get_pixel(0, 0).0, face.dimensions())
    };
    // Margins of 4 and 3 pixels: none of them, both, twice both.
    assert_eq!(corner(None), ([26, 17, 0], (48, 36)));
    assert_eq!(corner(Some([0.999, 0.999])), ([30, 20, 0], (40, 30)));
    assert_eq!(corner(Some([0.5, 0.5])), corner(None));
    assert_eq!(corner(Some([0.0, 0.0])), ([22, 14, 0], (56, 42)));
    fs_err::remove_dir_all(root.path().join("basic/Annotation")).unwrap();
    refused(&format!("rafdb-original={}", root.path().display()), Split::Train, "RAF-DB's boxes");
}

#[test]
fn red_and_blue_change_places_where_asked() {
    let root = TempDir::new().unwrap();
    graded(root.path(), "train/happy/a.png");
    let spec: DataSpec = format!("folder={}", root.path().display()).parse().unwrap();
    let data = spec.open(Split::Train, &DataOptions { bgr: true, ..DataOptions::default() }).unwrap();
    assert_eq!(data.load_image(0).unwrap().get_pixel(70, 20).0, [0, 20, 70]);
    assert!(!data.has_boxes());
}

#[test]
fn jaffe_s_names_say_the_expression() {
    let root = TempDir::new().unwrap();
    for name in ["KA.AN1.39.tiff", "KL.SU3.160.tiff", "KA.NE1.26.tiff", "README.1.tiff"] {
        picture(root.path(), &format!("jaffedbase/{name}"), 7);
    }
    let spec = format!("jaffe={}", root.path().display());
    let data = open(&spec, Split::Test).unwrap();
    let found: Vec<_> = (0..data.len()).map(|index| expression(&data, index)).collect();
    assert_eq!(found, [Expression::Anger, Expression::Neutral, Expression::Surprise]);
    assert_eq!(data.load_image(0).unwrap().get_pixel(3, 3).0, [7; 3]);
    refused(&spec, Split::Train, "`test` and `all` are all of it");
    refused(
        &format!("jaffe={}", root.path().join("jaffedbase/none").display()),
        Split::All,
        "expected pictures such as",
    );
}

#[test]
fn ckplus_takes_the_peak_of_labelled_sequences() {
    let root = TempDir::new().unwrap();
    for (name, value) in
        [("S005/001/S005_001_00000001.png", 1), ("S005/001/S005_001_00000011.png", 11), ("S005/002/a.png", 3)]
    {
        picture(root.path(), &format!("cohn-kanade-images/{name}"), value);
    }
    write(root.path(), "Emotion/S005/001/S005_001_00000011_emotion.txt", "   3.0000000e+00\n");
    fs_err::create_dir_all(root.path().join("Emotion/S005/002")).unwrap();
    let spec = format!("ck+={}", root.path().display());
    let data = open(&spec, Split::Test).unwrap();
    assert_eq!((data.len(), expression(&data, 0)), (1, Expression::Disgust));
    assert_eq!(data.load_image(0).unwrap().get_pixel(3, 3).0, [11; 3]);
    assert_eq!(data.samples[0].name, "cohn-kanade-images/S005/001/S005_001_00000011.png");
    write(root.path(), "Emotion/S005/001/S005_001_00000011_emotion.txt", "0.5");
    refused(&spec, Split::Test, "is not a code from 1 to 7");
}

#[test]
fn mma_may_lie_below_its_name() {
    let root = TempDir::new().unwrap();
    picture(root.path(), "MMAFEDB/test/happy/a.jpg", 1);
    for place in [root.path().to_owned(), root.path().join("MMAFEDB")] {
        let data = open(&format!("mma={}", place.display()), Split::Test).unwrap();
        assert_eq!((data.name.as_str(), expression(&data, 0)), ("mma", Expression::Happiness));
    }
    refused(
        &format!("mma={}", root.path().join("MMAFEDB/test").display()),
        Split::Test,
        "expected train, valid and test",
    );
}

//! What is drawn: the faces that were answered wrongly, and where a network looks.

use std::collections::BTreeSet;
use std::path::Path;

use emoxide::device;
use emoxide::image::RgbImage;
use emoxide::models::NetworkConfig;
use emoxide::preprocess::Preprocess;
use emoxide::weights::checkpoint::Card;
use emoxide::zoo::{self, Model};

use crate::networks::{FAMILIES, draw};
use crate::{err, out, photo, run};

fn picture(path: &Path) -> RgbImage {
    image::ImageReader::open(path).unwrap().decode().unwrap().to_rgb8()
}

/// Pixels of exactly this colour.
fn count(image: &RgbImage, colour: [u8; 3]) -> usize {
    image.pixels().filter(|pixel| pixel.0 == colour).count()
}

#[test]
fn errors_are_drawn_and_where_there_are_none_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (data, right) = (folder.path().join("faces"), folder.path().join("right"));
    draw(&data, "12");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let eval = |data: &Path, classes: &str, more: &[&str]| {
        let source = format!("folder={}", data.display());
        run(&[&["eval", "--data", &source, "--classes", classes, "--split", "all", "--quiet"], more].concat())
    };
    let output = eval(&data, "7", &["--gallery", &place("all.png"), "--predictions", &place("all.csv")]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let few = eval(&data, "7", &["--gallery", &place("few.png"), "--gallery-count", "3"]);
    assert_eq!(few.status.code(), Some(0), "{}", err(&few));
    assert_eq!(out(&few), out(&output));
    let [all, few] = ["all.png", "few.png"].map(|name| picture(Path::new(&place(name))));
    assert!(all.height() > few.height() && few.height() > 200 && few.width() > 300, "{:?}", few.dimensions());
    // The strips of three faces in two colours each, six pixels high, 112 wide.
    let strips =
        [[213, 60, 50], [0, 150, 90], [150, 90, 200], [240, 190, 40], [60, 120, 210], [235, 130, 40], [190; 3]];
    let painted: usize = strips.map(|colour| count(&few, colour)).iter().sum();
    assert!((3 * 112 * 6..3 * 112 * 6 + 200).contains(&painted), "{painted}");

    // The pictures that were answered right, and their classes.
    let mut classes = BTreeSet::new();
    let table = fs_err::read_to_string(place("all.csv")).unwrap();
    for row in table.lines().skip(1) {
        let [file, label, answer] = row.split(',').take(3).collect::<Vec<_>>()[..] else { panic!("{row}") };
        if label == answer {
            classes.insert(label);
            fs_err::create_dir_all(right.join(file).parent().unwrap()).unwrap();
            fs_err::copy(data.join(file), right.join(file)).unwrap();
        }
    }
    let classes = classes.into_iter().collect::<Vec<_>>().join(",");
    let output = eval(&right, &classes, &["--gallery", &place("none.png")]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("faces was answered right; no file is written"), "{}", err(&output));
    assert!(!Path::new(&place("none.png")).exists());
}

#[test]
fn galleries_that_cannot_be_are_refused_before_any_work() {
    let eval = |more: &[&str]| run(&[&["eval", "--model", "nowhere", "--data", "folder=nowhere"], more].concat());
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--gallery", "errors.jpg"], 1, "--gallery errors.jpg: end the name in .png"),
        (&["--gallery", "errors"], 1, "end the name in .png"),
        (&["--gallery", "errors.png", "--gallery-count", "0"], 2, "1..=1000"),
        (&["--gallery", "errors.png", "--augment", "recipe.toml"], 2, "cannot be used with"),
    ];
    for (arguments, code, said) in cases {
        let output = eval(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
}

/// A checkpoint of a network with fresh weights, and where it lies.
fn untrained(folder: &Path, network: &str) -> String {
    let table: toml::Table = toml::from_str(network).unwrap();
    let network: NetworkConfig = table["network"].clone().try_into().unwrap();
    let device = device::open("cpu").unwrap();
    let default = zoo::card(zoo::DEFAULT).unwrap();
    let preprocess = Preprocess { width: 48, height: 48, ..default.preprocess };
    let card = Card { name: "untrained".to_owned(), network, preprocess, results: Vec::new(), ..default };
    let path = folder.join("untrained.safetensors");
    Model::new(&card.network.init(card.classes.len(), &device), card, device).save(&path).unwrap();
    path.display().to_string()
}

fn family(name: &str) -> String {
    let (_, network, _) = FAMILIES.iter().find(|(family, ..)| *family == name).unwrap();
    format!("network={{{network}}}")
}

#[test]
fn where_networks_look_is_drawn_face_by_face() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let model = untrained(folder.path(), &family("pcm"));
    let photos = [photo("astronaut.jpg"), photo("none.jpg")];
    let output = run(&["explain", &photos[0], &photos[1], "--model", &model, "--out", &place("pcm")]);
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("none.jpg: no face found"), "{}", err(&output));
    assert!(err(&output).contains("not shown: layers.0"), "{}", err(&output));
    let drawn = place("pcm/astronaut-face0.png");
    assert!(out(&output).starts_with(&format!("{drawn}  ")) && out(&output).ends_with(" %\n"), "{}", out(&output));
    let pcm = picture(Path::new(&drawn));

    // Three stages of three branches each, in three rows; whole pictures are faces where nothing is to be found.
    let whole = [&["explain", photos[0].as_str(), photos[1].as_str()], ["--model", &model].as_slice()].concat();
    let output =
        run(&[&whole, ["--detector", "none", "--method", "attention", "--out", &place("whole")].as_slice()].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output).lines().count(), 2);
    assert_eq!(picture(Path::new(&place("whole/none-face0.png"))).height(), pcm.height());

    for name in ["transfer", "dacl-attention", "cafe"] {
        let network = family(name).replace("kind='dacl-attention'", "kind='dacl-attention', grid='map'");
        let model = untrained(folder.path(), &network);
        let output = run(&["explain", &photos[0], "--model", &model, "--method", "branches", "--out", &place(name)]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", err(&output));
        let image = picture(Path::new(&place(&format!("{name}/astronaut-face0.png"))));
        assert!(image.height() < pcm.height() && image.width() > 300, "{name}: {:?}", image.dimensions());
    }
}

#[test]
fn networks_that_show_nothing_and_other_methods_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out_dir = folder.path().join("explained").display().to_string();
    let explain = |model: &str, more: &[&str]| {
        run(&[&["explain", &photo("astronaut.jpg"), "--model", model, "--out", &out_dir], more].concat())
    };
    let dacl = untrained(folder.path(), &family("dacl"));
    let cases: [(&str, &[&str], i32, &str); 5] = [
        (
            zoo::DEFAULT,
            &[],
            1,
            "its kind is resnet, and it has no attention; kinds that show it: pcm (branches above 0), ",
        ),
        (&dacl, &[], 1, "its kind is dacl, and it has only features (numbers that have no place in the picture)"),
        (&dacl, &["--method", "rollout"], 2, "[possible values: branches]"),
        ("nowhere.safetensors", &[], 1, "there is no model"),
        (&dacl, &["--min-face", "none"], 2, "--min-face"),
    ];
    for (model, more, code, said) in cases {
        let output = explain(model, more);
        assert_eq!(output.status.code(), Some(code), "{model} {more:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{model} {more:?}: {}", err(&output));
    }
    assert!(!Path::new(&out_dir).exists(), "what is refused leaves nothing behind");
}

//! What papers do differently: runs counted in steps, test pictures changed at random, objectives of one kind of network.

use serde_json::Value;

use crate::train::{metrics, quick, texts};
use crate::{err, out, run};

#[test]
fn a_run_of_so_many_steps_closes_its_epoch_and_is_measured_on_changed_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    let drawn =
        run(&["data", "synth", "--layout", "folder", "--out", &data.display().to_string(), "--per-class", "20"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    let run_dir = folder.path().join("run");
    let set = |setting: &'static str| ["--set", setting];
    let settings = [
        set("run.max_steps=7"),
        set("augment.test=true"),
        set("run.select_on=last"),
        set("data.preprocess.resize={shorter=54}"),
    ]
    .concat();

    let unable = [&settings[..], &set("objective={kind='sparse-centre'}")].concat();
    let refused = run(&texts(&quick(&data, &run_dir, &unable)));
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("this network gives none"), "{}", err(&refused));
    assert!(!run_dir.exists(), "a refused run leaves nothing behind");

    let output = run(&texts(&quick(&data, &run_dir, &settings)));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let said = "pictures changed at random as in training (seed 0)";
    assert!(out(&output).contains(said), "{}", out(&output));
    let progress: Value = serde_json::from_slice(&fs_err::read(run_dir.join("state/progress.json")).unwrap()).unwrap();
    assert_eq!(progress["steps"], 7);
    let rows = metrics(&run_dir);
    assert_eq!(rows.len(), 1 + progress["epochs"].as_u64().unwrap() as usize);
    assert!(rows.len() < 14, "the recipe has 14 epochs: {rows:?}");

    // A finished run stays as it is and is measured again, to the same figures.
    let predictions = fs_err::read(run_dir.join("predictions.csv")).unwrap();
    let again = run(&texts(&quick(&data, &run_dir, &[&settings[..], &["--resume"]].concat())));
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
    assert_eq!((metrics(&run_dir), out(&again)), (rows, out(&output)));
    assert_eq!(fs_err::read(run_dir.join("predictions.csv")).unwrap(), predictions);

    let model = run_dir.join("best/model.safetensors").display().to_string();
    let (source, recipe) =
        (format!("folder={}", data.display()), run_dir.join("recipe.resolved.toml").display().to_string());
    let eval = |more: &[&str]| {
        let output = run(&[&["eval", "--model", &model, "--data", &source, "--json", "--quiet"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        serde_json::from_str::<Value>(&out(&output)).unwrap()
    };
    let table = folder.path().join("changed.csv").display().to_string();
    let changed = eval(&["--augment", &recipe, "--predictions", &table]);
    assert!(changed["protocol"].as_str().unwrap().ends_with(said), "{}", changed["protocol"]);
    assert_eq!(fs_err::read(&table).unwrap(), predictions, "the run's own figures");
    assert!(!eval(&[])["protocol"].as_str().unwrap().contains("random"));
    assert!(changed["per_class"]["happiness"]["logit_auc"].is_f64(), "{changed}");
}

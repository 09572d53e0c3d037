"""Recipes, from Python."""

import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import emoxide

ROOT = Path(__file__).parents[3]
QUICK = ROOT / "recipes" / "quick.toml"
SHORT = {"schedule.epochs": 2, "run.batch_size": 16}
SMALL = {"set": {"schedule.epochs": 1, "run.max_steps": 1}}


def without_seconds(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_run_is_that_of_the_command_line(binary, drawn, tmp_path):
    rows = []
    run = emoxide.train(QUICK, drawn, out=tmp_path / "run", set=SHORT, on_epoch=rows.append)
    assert [row["epoch"] for row in rows] == [1, 2] and any(row["best"] for row in rows)
    settings = [part for key, value in SHORT.items() for part in ("--set", f"{key}={value}")]
    command = [binary, "train", QUICK, "--data", f"folder={drawn['folder']}", "--run-dir", tmp_path / "cli", *settings]
    subprocess.run(command, check=True, capture_output=True)
    read = lambda folder: [line.rsplit(",", 1)[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    assert read(run.folder) == read(tmp_path / "cli")
    assert (run.folder / "predictions.csv").read_text() == (tmp_path / "cli" / "predictions.csv").read_text()

    model = emoxide.Recognizer(run.model, detector="auto")
    assert model.card["name"] == "resnet-tiny.drawn"
    assert model.evaluate(drawn) == run.evaluations[0]
    with pytest.raises(emoxide.TrainingError, match="holds a run already"):
        emoxide.train(QUICK, drawn, out=run.folder, set=SHORT)


def test_recipes_are_files_texts_or_dictionaries(drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = 'base = ["recipes/quick.toml"]\n[schedule]\nepochs = 1\n'
    forms = [QUICK, str(QUICK), text, {"base": ["recipes/quick.toml"], "schedule": {"epochs": 1}}]
    resolved = []
    for number, recipe in enumerate(forms):
        run = emoxide.train(recipe, drawn, out=tmp_path / str(number), set=["schedule.epochs=1", "run.max_steps=1"])
        resolved.append((run.folder / "recipe.resolved.toml").read_text())
    assert resolved == resolved[:1] * len(forms)
    assert "max_steps = 1" in resolved[0]


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(drawn, tmp_path, ctrl_c):
    options = {"set": {**SHORT, "schedule.epochs": 3}}
    whole, parts = [], []
    emoxide.train(QUICK, drawn, out=tmp_path / "whole", on_epoch=whole.append, **options)

    def interrupt(row):
        parts.append(row)
        ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        emoxide.train(QUICK, drawn, out=tmp_path / "parts", on_epoch=interrupt, **options)
    assert len(parts) == 1

    def stop(row):
        parts.append(row)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        emoxide.train(QUICK, drawn, out=tmp_path / "parts", resume=True, on_epoch=stop, **options)
    run = emoxide.train(QUICK, drawn, out=tmp_path / "parts", resume=True, on_epoch=parts.append, **options)
    assert without_seconds(parts) == without_seconds(whole)
    assert (run.folder / "predictions.csv").read_text() == (tmp_path / "whole" / "predictions.csv").read_text()


def test_what_goes_wrong_is_explained(drawn, tmp_path):
    with pytest.raises(emoxide.TrainingError, match="unknown field `epochs`"):
        emoxide.train(QUICK, drawn, out=tmp_path, set={"epochs": 3})
    with pytest.raises(emoxide.TrainingError, match="needs the data set `folder`"):
        emoxide.train(QUICK, out=tmp_path)
    with pytest.raises(emoxide.DataError, match="nowhere"):
        emoxide.train(QUICK, {"folder": "nowhere"}, out=tmp_path)
    with pytest.raises(ValueError, match="named twice"):
        emoxide.train(QUICK, ["folder=a", "folder=b"], out=tmp_path)
    with pytest.raises(emoxide.TrainingError, match=r"none\.toml"):
        emoxide.train("none.toml", drawn, out=tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(emoxide.DataError, match="leave a class out"):
        emoxide.Recognizer().evaluate(drawn)
    with pytest.raises(ValueError, match="2 data sets"):
        emoxide.Recognizer().evaluate(["folder=a", "folder=b"])
    with pytest.raises(emoxide.DataError, match="must be empty|not empty"):
        emoxide.draw_faces(drawn["folder"])


def test_a_folder_of_checkpoints_is_listed(drawn, tmp_path):
    run = emoxide.train(QUICK, drawn, out=tmp_path / "run", set={"run.max_steps": 1})
    (run.folder / "best" / "odd.safetensors").write_bytes(b"odd")
    with pytest.warns(UserWarning, match="skipped .*odd.safetensors"):
        listed = emoxide.models(run.folder / "best")
    assert [line["weights"] for line in listed if line["weights"]] == ["default", run.model]
    assert json.dumps(listed)


def test_one_run_at_a_time(drawn, tmp_path, ctrl_c):
    def nested(row):
        emoxide.train(QUICK, drawn, out=tmp_path / "inner", **SMALL)

    with pytest.raises(RuntimeError, match="a run goes on in this thread"):
        emoxide.train(QUICK, drawn, out=tmp_path / "outer", on_epoch=nested, **SMALL)
    assert not (tmp_path / "inner").exists()

    # Whoever waits for a turn hears Ctrl-C.
    begun, over = threading.Event(), threading.Event()

    def hold(row):
        begun.set()
        assert over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(emoxide.train, QUICK, drawn, out=tmp_path / "first", on_epoch=hold, **SMALL)
        assert begun.wait(60)
        timer = threading.Timer(0.3, ctrl_c)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            emoxide.train(QUICK, drawn, out=tmp_path / "second", **SMALL)
        over.set()
        running.result()
    assert not (tmp_path / "second").exists()


def test_files_of_nobody_s_run_are_kept(drawn, tmp_path):
    (tmp_path / "metrics.csv").write_text("mine")
    for resume in (False, True):
        with pytest.raises(emoxide.TrainingError, match="metrics.csv is in the way"):
            emoxide.train(QUICK, drawn, out=tmp_path, resume=resume, **SMALL)
    assert (tmp_path / "metrics.csv").read_text() == "mine"


def test_settings_arrive_as_they_are(drawn, tmp_path):
    name = 'smile 😀 "\\'
    run = emoxide.train(QUICK, drawn, out=tmp_path / "run", set={"run.name": name, "run.max_steps": 1})
    resolved = (run.folder / "recipe.resolved.toml").read_text()
    assert f"name = '{name}'" in resolved or "😀" in resolved
    with pytest.raises(ValueError, match="run.name is None"):
        emoxide.train(QUICK, drawn, out=tmp_path / "none", set={"run.name": None})
    with pytest.raises(TypeError, match="say what it is"):
        emoxide.train(QUICK, tmp_path, out=tmp_path / "none")

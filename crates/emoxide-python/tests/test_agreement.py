"""The same files through the command line and through Python give the same numbers."""

import importlib.resources
import itertools
import json
import subprocess

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image, ImageOps

import emoxide


@pytest.fixture(scope="module")
def fifty(photos, tmp_path_factory):
    """Fifty pictures: the photographs, and mirrored, reduced, enlarged and cut copies of them."""
    folder = tmp_path_factory.mktemp("fifty")
    changes = [
        lambda image: image,
        ImageOps.mirror,
        lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3)),
        lambda image: image.resize((image.width * 5 // 4, image.height * 5 // 4)),
        lambda image: image.crop((image.width // 10, image.height // 10, image.width, image.height)),
    ]
    pairs = list(itertools.product(range(len(changes)), photos))[:50]
    for number, (change, path) in enumerate(pairs):
        changes[change](Image.open(path).convert("RGB")).save(folder / f"{number:02}.png")
    paths = sorted(map(str, folder.iterdir()))
    assert len(paths) == 50
    return paths


def test_fifty_pictures_agree(command, fifty, recognizer):
    expected, _ = command("predict", "--format", "json", *fifty, code=3)
    found = recognizer.predict(fifty)
    pairs = [
        (one, other)
        for line, prediction in zip(expected, found, strict=True)
        for face, ours in zip(line["faces"], prediction.faces, strict=True)
        for one, other in zip(face["probabilities"].values(), ours.probabilities.values(), strict=True)
    ]
    largest = max(abs(one - other) for one, other in pairs)
    print(f"\n{len(pairs)} probabilities of {len(fifty)} pictures; largest difference {largest}")
    assert len(pairs) > 300 and largest == 0
    assert [prediction.to_dict() for prediction in found] == expected


def test_objects_are_those_of_the_command_line(command, photos, recognizer):
    expected, _ = command("predict", "--format", "json", *photos, code=3)
    predictions = recognizer.predict(photos)
    assert [prediction.to_dict() for prediction in predictions] == expected
    assert [emoxide.Prediction.from_json(json.dumps(line)) for line in expected] == predictions


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({"detector": "none"}, ["--detector", "none"]),
        ({"min_face": 60}, ["--min-face", "60"]),
        ({"min_confidence": 0.999}, ["--min-confidence", "0.999"]),
        ({"classes": ["happiness", "neutral"]}, ["--classes", "happiness,neutral"]),
        ({"classes": 7}, ["--classes", "7"]),
        ({"precision": "bf16"}, ["--precision", "bf16"]),
        ({"batch_size": 3}, ["--batch-size", "5"]),
    ],
)
def test_options_mean_the_same(command, photos, arguments, options):
    code = 0 if "none" in options else 3
    expected, _ = command("predict", "--format", "json", *options, *photos, code=code)
    assert [prediction.to_dict() for prediction in emoxide.Recognizer(**arguments).predict(photos)] == expected


def test_the_table_is_the_command_lines(binary, photos, recognizer, tmp_path):
    file = tmp_path / "faces.parquet"
    ran = subprocess.run([binary, "predict", "--format", "parquet", "-o", file, *photos], capture_output=True)
    assert ran.returncode == 3, ran.stderr
    expected = pyarrow.parquet.read_table(file)
    assert recognizer.predict_table(photos).cast(expected.schema).equals(expected)


def test_the_lists_of_models_agree(command):
    assert emoxide.models() == command("models", "list", "--json")[0]


def test_the_card_agrees(command, recognizer):
    assert recognizer.card == command("models", "info", "default", "--json")[0]


def test_evaluation_agrees(command, drawn, recognizer):
    folder = f"folder={drawn['folder']}"
    expected, _ = command("eval", "--data", folder, "--classes", "7", "--json")
    assert recognizer.evaluate(drawn, classes=7) == expected
    assert emoxide.Recognizer(classes=7).evaluate(folder) == expected
    expected, _ = command("eval", "--data", folder, "--drop", "contempt", "--split", "valid", "--json")
    assert recognizer.evaluate(drawn, "valid", drop=["contempt"]) == expected


def test_arrays_are_what_files_hold(photos, recognizer):
    for path in photos:
        image = Image.open(path)
        if image.getexif().get(0x0112, 1) != 1 or image.mode != "RGB":
            continue
        ours, theirs = recognizer.predict(path), recognizer.predict(np.asarray(image))
        assert len(ours.faces) == len(theirs.faces)
        # Pillow's decoder rounds otherwise than ours.
        for one, other in zip(ours.faces, theirs.faces):
            assert one.dominant_emotion == other.dominant_emotion
            assert max(abs(one.probabilities[name] - other.probabilities[name]) for name in one.probabilities) < 0.02


def test_the_package_carries_the_licences_of_what_it_ships():
    folder = importlib.resources.files("emoxide") / "licences"
    for name in ("mtcnn.LICENCE", "LICENSE-MIT", "LICENSE-APACHE"):
        assert len((folder / name).read_text()) > 900, name

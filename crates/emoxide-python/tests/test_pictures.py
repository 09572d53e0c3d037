"""What is taken for a picture, and what is refused."""

import io
from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pytest
from PIL import Image

import emoxide


@pytest.fixture(scope="module")
def pixels(astronaut):
    return np.asarray(Image.open(astronaut).convert("RGB"))


def faces(prediction):
    return prediction.to_dict()["faces"]


def test_all_forms_of_a_file_are_one(astronaut, recognizer):
    data = Path(astronaut).read_bytes()
    expected = faces(recognizer.predict(astronaut))
    assert len(expected) == 1
    for form in (Path(astronaut), data, bytearray(data), memoryview(data)):
        assert faces(recognizer.predict(form)) == expected


def test_all_forms_of_pixels_are_one(pixels, recognizer):
    expected = faces(recognizer.predict(pixels))
    assert len(expected) == 1
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    wide = np.dstack([pixels, pixels])
    for form in (np.asfortranarray(pixels), mirrored[:, ::-1], wide[..., :3], wide[..., 3:], Image.fromarray(pixels)):
        assert faces(recognizer.predict(form)) == expected
    assert [faces(found) for found in recognizer.predict(np.stack([pixels, pixels]))] == [expected] * 2


def test_grey_is_grey(pixels, recognizer):
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    expected = faces(recognizer.predict(np.repeat(grey[..., None], 3, axis=2)))
    assert len(expected) == 1
    for form in (grey, grey[..., None], grey.T.copy().T, Image.fromarray(grey)):
        assert faces(recognizer.predict(form)) == expected


def test_palettes_and_transparency_of_pillow(pixels, recognizer):
    image = Image.fromarray(pixels)
    image.putalpha(100)
    assert faces(recognizer.predict(image)) == faces(recognizer.predict(pixels))
    assert len(recognizer.predict(Image.fromarray(pixels).convert("P")).faces) == 1


@pytest.mark.parametrize(
    ("array", "error", "said"),
    [
        (np.zeros((8, 8, 3), np.float32), TypeError, "float32: pixels are uint8"),
        (np.zeros((8, 8, 3), np.int64), TypeError, "int64: pixels are uint8"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, "leave out its transparency"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, r"\[3, 8, 8\]: a picture is \[height, width, 3\]"),
        (np.zeros((8,), np.uint8), ValueError, "a picture is"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, "no pixels"),
        (np.zeros((8, 0), np.uint8), ValueError, "no pixels"),
    ],
)
def test_other_arrays_are_refused(array, error, said, recognizer):
    with pytest.raises(error, match=said):
        recognizer.predict(array)
    with pytest.raises(error, match="image 1: "):
        recognizer.predict([np.zeros((8, 8), np.uint8), array])


def test_what_is_no_picture_is_refused(recognizer):
    for thing in (3, None, object()):
        with pytest.raises(TypeError, match="is no picture"):
            recognizer.predict(thing)
    with pytest.raises(ValueError, match="mode I;16"):
        recognizer.predict(Image.new("I;16", (8, 8)))


def test_small_pictures_hold_no_face(recognizer):
    for side in (1, 2, 13):
        assert recognizer.predict(np.zeros((side, side, 3), np.uint8)).faces == ()


def test_many_pictures_keep_their_order(photos, recognizer):
    mixed = [photos[0], Path(photos[1]), Path(photos[2]).read_bytes(), Image.open(photos[3])]
    found = recognizer.predict(mixed)
    assert [len(one.faces) for one in found] == [len(recognizer.predict(path).faces) for path in photos[:4]]
    assert [one.input for one in found] == [photos[0], photos[1], "image 2", photos[3]]
    assert recognizer.predict(tuple(mixed)) == recognizer.predict(iter(mixed)) == found
    assert recognizer.predict([]) == []
    assert [one.input for one in recognizer.predict(mixed, names=list("abcd"))] == list("abcd")
    with pytest.raises(ValueError, match="3 names for 4 pictures"):
        recognizer.predict(mixed, names=list("abc"))
    assert recognizer.predict(photos[0], names="me").input == "me"


def test_a_bad_file_is_named(astronaut, recognizer, tmp_path):
    cut, text = tmp_path / "cut.jpg", tmp_path / "text.png"
    cut.write_bytes(Path(astronaut).read_bytes()[:3000])
    text.write_text("no picture")
    cases = [
        (cut, "the JPEG file is truncated; copy or download it again"),
        (text, "not an image; JPEG, PNG, WebP, BMP, TIFF and GIF are read"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.jpg", "No such file or directory (os error 2)"),
    ]
    for path, said in cases:
        with pytest.raises(emoxide.ImageError) as raised:
            recognizer.predict(path)
        assert str(raised.value) == f"{path}: {said}"
    kept = recognizer.predict([cut, astronaut, OSError("lost"), b""], errors="keep")
    assert str(kept[0]).startswith(str(cut)) and isinstance(kept[1], emoxide.Prediction)
    assert isinstance(kept[2], OSError) and str(kept[3]) == "image 3: the file is empty"
    for call in (recognizer.predict, recognizer.predict_table, recognizer.embed, recognizer.predict_proba):
        with pytest.raises(emoxide.ImageError, match="truncated"):
            call([astronaut, cut])
        with pytest.raises(OSError, match="lost"):
            call([astronaut, OSError("lost")])
    with pytest.raises(ValueError, match="errors is 'ignore'"):
        recognizer.predict(cut, errors="ignore")


def test_texts_are_those_of_the_command_line(command, recognizer, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    _, said = command("predict", "--format", "json", text, code=3)
    with pytest.raises(emoxide.ImageError) as raised:
        recognizer.predict(text)
    assert f"skipped {raised.value}" in said


def test_results_print_and_compare(astronaut, recognizer):
    face = recognizer.predict(astronaut).faces[0]
    assert face.dominant_emotion == "happiness" == max(face.probabilities, key=face.probabilities.get)
    assert list(face.probabilities) == recognizer.classes
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert len(face.landmarks) == 5 and face.box.x <= face.landmarks[0][0] <= face.box.x + face.box.width
    assert "happiness" in repr(face)
    with pytest.raises(AttributeError):
        face.face_id = 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"model": "none.safetensors"}, emoxide.ModelError, "there is no model `none.safetensors`"),
        ({"device": "cpu:1"}, emoxide.DeviceError, "no `cpu:1` device"),
        ({"device": "gpu"}, emoxide.DeviceError, "`gpu` is not a device"),
        ({"detector": "haar"}, ValueError, "`haar` is not a detector"),
        ({"detector": "none", "min_face": 40}, ValueError, "min_face 40: every picture is taken for one face"),
        ({"min_face": 2}, ValueError, "min_face"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"min_confidence": 2}, ValueError, "the minimum confidence is 2"),
        ({"classes": ["joyful"]}, ValueError, "classes: "),
        ({"precision": "f8"}, ValueError, "f8"),
    ],
)
def test_wrong_arguments_are_explained(arguments, error, said):
    with pytest.raises(error, match=said):
        emoxide.Recognizer(**arguments)
    assert issubclass(emoxide.ModelError, emoxide.EmoxideError)


def test_columns_of_tables_are_lists(astronaut, pixels, recognizer):
    expected = recognizer.predict([astronaut, astronaut])
    for column in (pandas.Series([astronaut] * 2), np.array([astronaut] * 2), pa.array([astronaut] * 2), pa.chunked_array([[astronaut] * 2])):
        assert recognizer.predict(column) == expected
    content = Path(astronaut).read_bytes()
    assert recognizer.predict(pa.array([content] * 2)) == recognizer.predict([content] * 2)
    assert recognizer.predict(pandas.Series([pixels] * 2)) == recognizer.predict([pixels] * 2)


def test_a_damaged_image_of_pillow_costs_only_itself(astronaut, recognizer):
    content = Path(astronaut).read_bytes()
    cut = [Image.open(io.BytesIO(content[:20_000])) for _ in range(3)]
    kept = recognizer.predict([cut[0], astronaut], errors="keep")
    assert isinstance(kept[0], emoxide.ImageError) and len(kept[1].faces) == 1
    table = recognizer.predict_table([cut[1], astronaut], errors="keep")
    assert table["error"][0].as_py().startswith("image file is truncated") and table["error"][1].as_py() is None
    with pytest.raises(emoxide.ImageError, match="image 0: image file is truncated"):
        recognizer.predict([cut[2]])


def test_rows_of_pixels_are_no_faces(recognizer):
    with pytest.raises(ValueError, match="without their rows"):
        recognizer.predict_proba(np.zeros((10, 2304), np.uint8))

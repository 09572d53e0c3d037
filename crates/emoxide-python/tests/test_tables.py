"""Tables, embeddings and probabilities for other libraries."""

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

import emoxide
from emoxide._pictures import gather


def test_a_row_a_face_and_one_without(photos, recognizer):
    table = recognizer.predict_table(photos)
    predictions = recognizer.predict(photos)
    assert table.num_rows == sum(max(1, len(prediction.faces)) for prediction in predictions)
    assert table.column_names[12:20] == recognizer.classes and "error" not in table.column_names
    rows = table.to_pylist()
    first = predictions[0].faces[0]
    assert rows[0]["FaceRectX"] == np.float32(first.box.x) and rows[0]["lm_y_4"] == np.float32(first.landmarks[4][1])
    empty = next(row for row in rows if not row["success"])
    assert empty["input"] and empty["FrameWidth"] and empty["face_id"] is empty["happiness"] is None
    assert recognizer.predict_table([]).schema == table.schema


def test_errors_have_a_column(astronaut, recognizer):
    images = [astronaut, OSError("lost"), b"no picture"]
    table = recognizer.predict_table(images, names=["a", "b", "c"], errors="keep")
    assert table["error"].to_pylist() == [None, "lost", "not an image; JPEG, PNG, WebP, BMP, TIFF and GIF are read"]
    assert table["input"].to_pylist() == ["a", "b", "c"]
    assert table["success"].to_pylist() == [True, False, False]
    assert table["FrameWidth"].to_pylist() == [512, None, None]
    assert recognizer.predict_table([], errors="keep").schema == table.schema


def addresses(table, name):
    return [buffer.address for chunk in table[name].chunks for buffer in chunk.buffers() if buffer]


def test_memory_is_handed_over(photos, recognizer):
    native = recognizer._native.table(*gather(photos, None), False)
    table, again = pa.table(native), pa.table(native)
    batch = pa.record_batch(native)
    for name in table.column_names:
        assert addresses(table, name) == addresses(again, name)
        assert addresses(table, name) == [buffer.address for buffer in batch[name].buffers() if buffer]
    # NumPy, and by it pandas, sees the same memory where no cell is empty.
    widths = table["FrameWidth"]
    assert widths.chunk(0).to_numpy(zero_copy_only=True).__array_interface__["data"][0] == addresses(table, "FrameWidth")[-1]
    assert polars.from_arrow(table)["happiness"].to_arrow().buffers()[1].address == addresses(table, "happiness")[1]
    # The memory lives as long as anything looks at it.
    scores = table["happiness"].to_pylist()
    del native, again, batch
    assert table["happiness"].to_pylist() == scores


def test_pandas_and_polars_read_it(photos, recognizer):
    table = recognizer.predict_table(photos)
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and frame.groupby("input").size().sum() == table.num_rows
    assert polars.from_arrow(table).filter(polars.col("success"))["happiness"].max() == frame["happiness"].max()


def test_embeddings(astronaut, photos, recognizer):
    faces = [len(prediction.faces) for prediction in recognizer.predict(photos)]
    rows = recognizer.embed(photos)
    assert rows.dtype == np.float32 and rows.shape[0] == sum(faces) and np.isfinite(rows).all()
    one = recognizer.embed(astronaut)
    assert one.shape == (1, rows.shape[1])
    assert np.allclose(one[0], rows[0], atol=1e-4)
    assert recognizer.embed(np.zeros((8, 8), np.uint8)).shape == (0, rows.shape[1])
    assert recognizer.embed([]).shape == (0, rows.shape[1])
    crops = np.zeros((3, 48, 48, 3), np.uint8)
    assert emoxide.Recognizer(detector="none").embed(crops).shape == (3, rows.shape[1])


def test_probabilities_of_crops(recognizer):
    crops = np.random.default_rng(0).integers(0, 256, (40, 48, 48, 3), np.uint8)
    rows = recognizer.predict_proba(crops)
    assert rows.shape == (40, len(recognizer.classes_)) and rows.dtype == np.float32
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-5)
    whole = emoxide.Recognizer(detector="none").predict(crops)
    assert np.array_equal(rows, np.array([list(one.faces[0].probabilities.values()) for one in whole], np.float32))
    assert recognizer.predict_proba(crops[:0]).shape == (0, 8)


def test_embeddings_feed_a_pipeline():
    linear_model = pytest.importorskip("sklearn.linear_model")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    crops = np.random.default_rng(0).integers(0, 128, (24, 48, 48), np.uint8)
    labels = np.arange(24) % 2
    crops[labels == 1] += 100
    faces = emoxide.Recognizer(detector="none")
    pipeline = make_pipeline(
        FunctionTransformer(lambda X: faces.embed(list(X))), StandardScaler(), linear_model.LogisticRegression()
    )
    assert pipeline.fit(crops, labels).score(crops, labels) == 1

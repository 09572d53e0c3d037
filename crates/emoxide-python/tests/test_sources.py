"""What a run of Ray is made of, without a cluster."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'emoxide[ray]'")
from emoxide.ray.sources import pictures, plan, read  # noqa: E402
from emoxide.ray.worker import PartWorker, RowWorker  # noqa: E402

PHOTOS = Path(__file__).parents[3] / "assets" / "photos"
NAMES = ["astronaut.jpg", "none.jpg", "hopper.jpg"]
SETTINGS = {"model": "default"}


@pytest.fixture(scope="module")
def tar():
    """An archive of three photographs, and where its members end."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in NAMES:
            archive.add(PHOTOS / name, arcname=name)
    ends = []
    with tarfile.open(fileobj=io.BytesIO(content.getvalue())) as archive:
        for member in archive:
            ends.append(member.offset_data + -(-member.size // 512) * 512)
    return content.getvalue(), ends


def found(path):
    """The members that are read, and what goes wrong."""
    rows = list(read(plan([str(path)], 10, "bytes").table, "bytes"))
    return [Path(name).name for name, content in rows if isinstance(content, bytes)], [str(row) for _, row in rows if isinstance(row, Exception)]


def test_archives_that_break_off_say_so(tar, tmp_path):
    content, ends = tar
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    assert found(path) == (NAMES, [])
    # Within a member, between two of them, within a header, and before the end.
    for cut, members in [(ends[1] - 600, 1), (ends[1], 2), (ends[1] + 100, 2), (ends[2], 3), (100, 0), (0, 0)]:
        path.write_bytes(content[:cut])
        names, errors = found(path)
        assert (names, len(errors)) == (NAMES[:members], 1), (cut, errors)


COMPRESSIONS = {
    "tgz": gzip.compress,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_archives_may_be_compressed(tar, tmp_path, ending):
    path, compress = tmp_path / f"a.{ending}", COMPRESSIONS[ending]
    content, ends = tar
    whole = compress(content)
    # Parallel programs write several streams, one behind the other.
    for written in (whole, compress(content[: ends[0]]) + compress(content[ends[0] :])):
        path.write_bytes(written)
        assert found(path) == (NAMES, [])
    for cut in (3, len(whole) // 2):
        path.write_bytes(whole[:cut])
        assert len(found(path)[1]) == 1


def test_members_need_no_unicode(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = archive.gettarinfo(PHOTOS / "astronaut.jpg", arcname=os.fsdecode(b"\xff.jpg"))
        with open(PHOTOS / "astronaut.jpg", "rb") as file:
            archive.addfile(member, file)
    [part] = plan([str(tmp_path / "a.tar")], 10, "bytes").tables()
    rows = PartWorker(SETTINGS, "bytes", 4, None)(part).to_pylist()
    assert [row["success"] for row in rows] == [True] and rows[0]["input"].endswith("a.tar/\ufffd.jpg")


def test_what_is_not_there_is_said_before_anything_runs(tmp_path):
    for missing in ("photso", "a.parquet", "a.tar"):
        with pytest.raises(FileNotFoundError, match=missing):
            plan([str(tmp_path / missing)], 10, "bytes")
    # One picture of a list is a row.
    [part] = plan([str(PHOTOS / "astronaut.jpg"), str(tmp_path / "gone.jpg")], 10, "bytes").tables()
    rows = PartWorker(SETTINGS, "bytes", 4, None)(part).to_pylist()
    assert [row["success"] for row in rows] == [True, False] and "gone.jpg" in rows[1]["error"]
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    with pytest.raises(ValueError, match="is no name in UTF-8"):
        plan([str(tmp_path)], 10, "bytes")


def test_addresses_keep_what_belongs_to_them(tmp_path):
    odd = tmp_path / "a b#100%.jpg"
    odd.write_bytes((PHOTOS / "astronaut.jpg").read_bytes())
    address = tmp_path.as_uri()
    table = plan([address], 10, "bytes").table
    assert table["source"].to_pylist() == [address] and table["path"].to_pylist() == [str(odd)]
    assert [len(content) for _, content in read(table, "bytes")] == [odd.stat().st_size]


def test_cells_that_are_no_pictures_are_rows():
    photo = (PHOTOS / "astronaut.jpg").read_bytes()
    names = pa.array(["a", "b", "c"])
    table = pa.table({"path": names, "bytes": pa.array([photo, None, b"text"])})
    rows = RowWorker(SETTINGS, "bytes")(table).to_pylist()
    assert [(row["input"], row["success"]) for row in rows] == [("a", True), ("b", False), ("c", False)]
    for column in (pa.array(["/etc/passwd"] * 3), pa.array([1, 2, 3]), pa.array([[1], [2], [3]])):
        rows = RowWorker(SETTINGS, "bytes")(pa.table({"path": names, "bytes": column})).to_pylist()
        assert all("the cell holds" in row["error"] for row in rows)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((3, 8, 8, 4), np.uint8))
    cells = [content for _, content in pictures(pa.table({"path": names, "bytes": tensors}), "bytes", None)]
    assert all(isinstance(cell, TypeError) and "of shape [8, 8, 4]" in str(cell) for cell in cells)
    # Nothing says what they are called.
    with pytest.raises(ValueError, match="what its pictures are called"):
        RowWorker(SETTINGS, "bytes")(table.drop_columns(["path"]))

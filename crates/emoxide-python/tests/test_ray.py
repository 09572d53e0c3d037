"""A Ray cluster of several nodes on this machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'emoxide[ray]'")
from ray.cluster_utils import Cluster  # noqa: E402

import emoxide.ray  # noqa: E402

PHOTOS = Path(__file__).parents[3] / "assets" / "photos"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Copies of the photographs under other names, in folders, and files that are no pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    photos = sorted(PHOTOS.glob("*.jpg"))
    for index in range(60):
        photo = photos[index % len(photos)]
        place = folder / f"{index // 20}"
        place.mkdir(exist_ok=True)
        # Some cameras begin names so.
        shutil.copy(photo, place / f"{'_MG_' if index % 7 == 0 else ''}{index:03}-{photo.name}")
    (folder / "0" / "text.png").write_text("no picture")
    (folder / "1" / "empty.jpg").write_bytes(b"")
    (folder / "1" / "half.jpg").write_bytes((PHOTOS / "astronaut.jpg").read_bytes()[:3000])
    return folder


@pytest.fixture(scope="module")
def expected(pictures, binary):
    """What the command line says of them: rows, and why pictures could not be read."""
    ran = subprocess.run([binary, "predict", pictures, "--format", "csv"], capture_output=True, text=True)
    assert ran.returncode == 3, ran.stderr
    skipped = (line.removeprefix("skipped ").split(": ", 1) for line in ran.stderr.splitlines() if line.startswith("skipped "))
    errors = {name: reason for name, reason in skipped if reason != "no face found"}
    assert {Path(name).name for name in errors} == {"text.png", "empty.jpg", "half.jpg"}
    return csv.read_csv(pa.BufferReader(ran.stdout.encode())), errors


@pytest.fixture
def cluster():
    """A head that does no work, and two nodes of a core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def assert_same(faces, expected):
    """Each picture once, with the command line's numbers and reasons."""
    expected, errors = expected
    rows, wanted = {}, {}
    for table, by_name in ((faces, rows), (expected, wanted)):
        for row in table.to_pylist():
            by_name.setdefault(row["input"], []).append(row)
    assert rows.keys() == wanted.keys() | errors.keys()
    assert {name: row["error"] for name in errors for row in rows[name]} == errors
    assert all(len(rows[name]) == 1 for name in errors)
    for name, of in wanted.items():
        found = sorted(rows[name], key=lambda row: row["face_id"] or 0)
        assert [row["face_id"] for row in found] == [row["face_id"] for row in of], name
        for one, other in zip(found, of):
            for column in expected.column_names:
                value = other[column]
                if isinstance(value, float):
                    assert one[column] == pytest.approx(value, abs=1e-4), (name, column)


def test_a_folder_is_answered_as_by_the_command_line(cluster, pictures, expected):
    faces = emoxide.ray.analyze(str(pictures), part_size=16, concurrency=2).to_arrow_refs()
    faces = pa.concat_tables(ray.get(faces))
    assert_same(faces, expected)


def test_a_lost_node_costs_no_picture_and_doubles_none(cluster, pictures, expected, tmp_path):
    output, failed = tmp_path / "faces", []

    def run():
        try:
            emoxide.ray.analyze(str(pictures), output=str(output), part_size=2, batch_size=2, concurrency=2)
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=run)
    running.start()
    while len(list(output.glob("part-*"))) < 4:
        assert running.is_alive(), failed
        time.sleep(0.01)
    # Each node has one of the two actors.
    cluster.remove_node(cluster.workers[1], allow_graceful=False)
    done = len(list(output.glob("part-*")))
    running.join()
    assert not failed
    parts = sorted(output.glob("part-*.parquet"))
    assert done < len(parts) == 32
    faces = pq.read_table(output)
    assert_same(faces, expected)
    print(f"{len(set(faces['input'].to_pylist()))} pictures, {faces.num_rows} rows, {done} of {len(parts)} parts before the node was killed")


def test_a_run_that_was_killed_is_continued(pictures, expected, tmp_path, cluster):
    output = tmp_path / "faces"
    script = "import sys, emoxide.ray; emoxide.ray.analyze(sys.argv[1], output=sys.argv[2], part_size=2, concurrency=1)"
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    process = subprocess.Popen([sys.executable, "-c", script, str(pictures), str(output)], env=environment)
    while len(list(output.glob("part-*"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Its actors may finish what they were at.
    time.sleep(3)
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    assert 5 <= len(before) < 32
    faces = emoxide.ray.analyze(str(pictures), output=str(output), part_size=2, concurrency=1)
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    assert len(after) == 32 and before.items() <= after.items()
    assert_same(pa.concat_tables(ray.get(faces.to_arrow_refs())), expected)
    # Other arguments are another run.
    with pytest.raises(ValueError, match="was begun with part_size = 2, and this run has 3"):
        emoxide.ray.analyze(str(pictures), output=str(output), part_size=3)


def test_tables_archives_and_data_sets(cluster, tmp_path):
    import tarfile

    names = ["astronaut.jpg", "none.jpg", "several.jpg"]
    content = [(PHOTOS / name).read_bytes() for name in names]
    table = pa.table({"path": [*names, "gone"], "bytes": pa.array([*content, None], pa.binary())})
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=2)
    for shard, mode in {"000.tar": "w", "002.tar.gz": "w:gz", "003.tgz": "w:gz", "004.tar.xz": "w:xz"}.items():
        with tarfile.open(tmp_path / f"shard-{shard}", mode) as archive:
            for name in names:
                archive.add(PHOTOS / name, arcname=name)
    (tmp_path / "shard-001.tar").write_bytes((tmp_path / "shard-000.tar").read_bytes()[:20_000])
    (tmp_path / "shard-005.tgz").write_bytes((tmp_path / "shard-003.tgz").read_bytes()[:20_000])

    def counts(faces):
        return of(pa.concat_tables(ray.get(faces.to_arrow_refs())).to_pylist())

    def of(rows):
        found = {}
        for row in rows:
            found.setdefault(Path(row["input"]).name, []).append(row["success"])
        return {name: sum(success) for name, success in found.items()}, [row["error"] for row in rows if row["error"]]

    whole = {"astronaut.jpg": 1, "none.jpg": 0, "several.jpg": 3}
    found, errors = counts(emoxide.ray.analyze(str(tmp_path / "table.parquet"), concurrency=1))
    assert (found, errors) == ({**whole, "gone": 0}, ["the cell is empty"])
    rows = emoxide.ray.analyze(sorted(map(str, tmp_path.glob("shard-*"))), concurrency=1).take_all()
    for shard in ("000.tar", "002.tar.gz", "003.tgz", "004.tar.xz"):
        assert of([row for row in rows if f"shard-{shard}/" in row["input"]]) == (whole, []), shard
    for shard in ("001.tar", "005.tgz"):
        found, errors = of([row for row in rows if f"shard-{shard}" in row["input"]])
        assert len(errors) == 1 and "several.jpg" not in found, shard
    read = ray.data.read_binary_files([str(PHOTOS / name) for name in names], include_paths=True)
    assert counts(emoxide.ray.analyze(read, concurrency=1)) == (whole, [])
    read = ray.data.read_images([str(PHOTOS / name) for name in names], include_paths=True)
    assert counts(emoxide.ray.analyze(read, column="image", concurrency=1)) == (whole, [])


def test_relative_paths_mean_the_driver_s_folder(cluster, pictures, tmp_path, monkeypatch):
    shutil.copytree(pictures / "2", tmp_path / "some")
    shutil.copy(PHOTOS.parent / "default.safetensors", tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    faces = emoxide.ray.analyze(Path("some"), "model.safetensors", output="faces", part_size=10, concurrency=1)
    assert len(list((tmp_path / "faces").glob("part-*.parquet"))) == 2
    assert len(set(faces.to_pandas()["input"])) == 20
    # An output can be read, and its manifest is none of it.
    with pytest.raises(ValueError, match="has no `bytes`, but input, frame"):
        emoxide.ray.analyze("faces")


def test_what_cannot_be_done_is_refused(cluster, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no pictures"):
        emoxide.ray.analyze(str(tmp_path))
    with pytest.raises(ValueError, match="no parts"):
        emoxide.ray.analyze(ray.data.range(3), output=str(tmp_path / "out"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="no manifest"):
        emoxide.ray.analyze(str(PHOTOS), output=str(tmp_path / "other"))
    with pytest.raises(ValueError, match="0 GPUs"):
        emoxide.ray.analyze(str(PHOTOS), num_gpus=1)

"""Clips: the frames of the command line, with its numbers."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv

import emoxide

PHOTOS = Path(__file__).parents[3] / "assets" / "photos"


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Two people who walk towards each other, one of whom leaves."""
    folder = tmp_path_factory.mktemp("clip") / "frames"
    folder.mkdir()
    people = [Image.open(PHOTOS / name).convert("RGB").resize((180, 180)) for name in ("astronaut.jpg", "hopper.jpg")]
    for index in range(10):
        picture = Image.new("RGB", (400, 180), "grey")
        picture.paste(people[0], (index * 3, 0))
        if index < 7:
            picture.paste(people[1], (220 - index * 3, 0))
        picture.save(folder / f"{index:04}.png")
    return folder


@pytest.fixture(scope="module")
def video(frames):
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg to make a video with")
    path = frames.parent / "clip.mp4"
    arguments = ["-v", "error", "-y", "-framerate", "20", "-i", frames / "%04d.png", "-movflags", "frag_keyframe", "-g", "2", path]
    subprocess.run(["ffmpeg", *arguments], check=True)
    return path


@pytest.fixture(scope="module")
def rows(binary):
    """The rows of the command line."""

    def run(*arguments, code=0):
        ran = subprocess.run([binary, "predict", *map(str, arguments), "--format", "csv"], capture_output=True, text=True)
        assert ran.returncode == code, ran.stderr
        return csv.read_csv(pa.BufferReader(ran.stdout.encode())).to_pylist(), ran.stderr

    return run


def assert_same(found, expected):
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected):
        for name, value in other.items():
            wanted = pytest.approx(value, abs=1e-4) if isinstance(value, float) else value
            assert one[name] == wanted or (one[name] is None and value == ""), name


def test_pictures_as_one_clip(frames, rows, recognizer):
    expected, _ = rows(frames, "--sequence", "--fps", 10, "--smooth", 0.3)
    for clip in (frames, frames / "%04d.png", sorted(frames.glob("*.png"))):
        assert_same(recognizer.predict_video(clip, name=str(frames), fps=10, smooth=0.3).table().to_pylist(), expected)
    assert {row["face_id"] for row in expected} == {0, 1}


def test_frames_come_one_by_one(frames, recognizer):
    clip = recognizer.predict_video(frames, start=0.1, end=0.3)
    first = next(clip)
    assert (first.frame, first.timestamp, first.input) == (3, 0.12, str(frames))
    assert [face.face_id for face in first.faces] == [0, 1]
    assert first.to_dict()["timestamp"] == 0.12
    assert emoxide.Prediction.from_json(json.dumps(first.to_dict())) == first
    assert [prediction.frame for prediction in clip] == [4, 5, 6, 7]
    assert next(clip, None) is None
    assert clip.table().num_rows == 0
    # Of faces that are not followed the largest is the first of every frame.
    loose = recognizer.predict_video(frames, track=False, skip_frames=4)
    assert [(shown.frame, [face.face_id for face in shown.faces]) for shown in loose] == [(0, [0, 1]), (5, [0, 1])]


def test_videos(video, rows, recognizer):
    expected, _ = rows(video, "--skip-frames", 1)
    found = recognizer.predict_video(video, skip_frames=1).table()
    assert_same(found.to_pylist(), expected)
    assert found["timestamp"].to_pylist()[-1] == 0.4
    # Whoever stops in the middle leaves nothing behind.
    for _, prediction in zip(range(2), recognizer.predict_video(str(video))):
        assert len(prediction.faces) == 2


def test_what_breaks_off_is_kept_up_to_there(video, rows, recognizer, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    expected, said = rows(cut, code=3)
    clip = recognizer.predict_video(cut)
    read = []
    with pytest.raises(emoxide.VideoError, match="damaged or cut off") as raised:
        for prediction in clip:
            read.append(prediction)
    assert str(raised.value).split(": ", 1)[1].split(" frames")[0] in said
    assert len(read) == len({row["frame"] for row in expected})
    table = recognizer.predict_video(cut).table(errors="keep")
    assert_same(table.to_pylist()[:-1], expected)
    assert table["error"].to_pylist()[-2:] == [None, str(raised.value).split(": ", 1)[1]]
    with pytest.raises(emoxide.VideoError):
        recognizer.predict_video(cut).table()


def test_a_damaged_picture_costs_only_itself(frames, recognizer, tmp_path):
    folder = shutil.copytree(frames, tmp_path / "frames")
    (folder / "0001.png").write_bytes(b"no picture")
    clip = recognizer.predict_video(folder)
    assert next(clip).frame == 0
    with pytest.raises(emoxide.VideoError, match=r"frame 1, .*0001\.png: not an image"):
        next(clip)
    assert [shown.frame for shown in clip] == list(range(2, 10))
    # A list has no name of its own, and what is missing a place.
    table = recognizer.predict_video([folder / "0000.png", tmp_path / "gone.png", folder / "0002.png"]).table(errors="keep")
    errors = [row for row in table.to_pylist() if row["error"]]
    assert [(row["input"], row["frame"], row["success"]) for row in errors] == [("clip", 1, False)]
    assert "gone.png" in errors[0]["error"]
    assert sorted(set(table["frame"].to_pylist())) == [0, 1, 2]


def test_a_fork_leaves_the_clip_of_its_parent_alone(video, frames, recognizer):
    for source in (video, frames):
        clip = emoxide.Recognizer(batch_size=1).predict_video(source)
        next(clip)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            del clip
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert len(list(clip)) == 9


def test_somebody_else_may_wait_for_programs(video):
    code = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); import emoxide; "
        "print(len(list(emoxide.Recognizer().predict_video(sys.argv[1]))))"
    )
    assert subprocess.run([sys.executable, "-c", code, video], capture_output=True, text=True, check=True).stdout == "10\n"


def test_names_need_not_be_unicode(video, frames, recognizer, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    shutil.copy(video, odd + ".mp4")
    shutil.copy(frames / "0000.png", odd + ".png")
    assert next(recognizer.predict_video(odd + ".mp4")).input.endswith("/\ufffd.mp4")
    assert recognizer.predict(odd + ".png").input.endswith("/\ufffd.png")
    assert emoxide.draw_faces(odd, per_class=1) == {"folder": odd} and os.path.isdir(odd)
    plus = emoxide.draw_faces(tmp_path / "plus", layout="ferplus", per_class=8)
    assert list(plus) == ["ferplus"] and recognizer.evaluate(plus)["n"] > 0


def test_what_cannot_be_is_refused(frames, recognizer, tmp_path):
    (tmp_path / "song.mp4").write_bytes(b"la la la")
    if shutil.which("ffmpeg"):
        with pytest.raises(emoxide.VideoError, match="song.mp4: it is no video"):
            next(recognizer.predict_video(tmp_path / "song.mp4"))
        with pytest.raises(emoxide.VideoError, match="No such file"):
            next(recognizer.predict_video("missing.mp4"))
    for refused, options in [
        ("end lies behind", {"start": 2, "end": 1}),
        ("skip_frames is -1", {"skip_frames": -1}),
        ("max_lost", {"max_lost": -1.0}),
        ("smoothing", {"smooth": -1.0}),
        ("not followed cannot be smoothed", {"smooth": 1.0, "track": False}),
        ("0 frames a second", {"fps": 0}),
    ]:
        with pytest.raises(ValueError, match=refused):
            recognizer.predict_video(frames, **options)
    with pytest.raises(ValueError, match="fps: .* says by itself"):
        recognizer.predict_video(tmp_path / "song.mp4", fps=10)
    for empty in ([], tmp_path, tmp_path / "%d.png"):
        with pytest.raises(emoxide.VideoError, match="no picture belongs"):
            recognizer.predict_video(empty)
    # No pattern, and nothing that says when its frames are shown.
    for missing in (tmp_path / "101%.mp4", tmp_path / "gone"):
        with pytest.raises(emoxide.VideoError, match="No such file"):
            next(recognizer.predict_video(missing, fps=5))
    with pytest.raises(ValueError, match="errors is 'drop'"):
        recognizer.predict_video(frames).table(errors="drop")
    with pytest.raises(TypeError):
        recognizer.predict_video(3)
    with pytest.raises(TypeError, match="start"):
        recognizer.predict_video(frames, start="soon")
    with pytest.raises(TypeError, match="skip_frames is None"):
        recognizer.predict_video(frames, skip_frames=None)

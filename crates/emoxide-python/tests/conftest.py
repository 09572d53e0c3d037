"""The command line to compare with, pictures, and a recogniser."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import emoxide

ROOT = Path(__file__).parents[3]
PHOTOS = ROOT / "assets" / "photos"


@pytest.fixture(scope="session")
def binary():
    """The program `emoxide` of the same sources."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = os.environ.get("EMOXIDE_BINARY") or shutil.which(target / "release" / "emoxide")
    if path is None:
        pytest.skip("there is no program to compare with: cargo build --release, or name one by EMOXIDE_BINARY")
    return str(path)


@pytest.fixture(scope="session")
def command(binary):
    """Runs the program and reads its JSON."""

    def run(*arguments, code=0):
        ran = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
        assert ran.returncode == code, ran.stderr
        return json.loads(ran.stdout), ran.stderr

    return run


@pytest.fixture
def ctrl_c():
    """Sends Ctrl-C, which Python hears as at a terminal: a shell lets what it starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def recognizer():
    return emoxide.Recognizer()


@pytest.fixture(scope="session")
def photos():
    paths = sorted(str(path) for path in PHOTOS.glob("*.jpg"))
    assert len(paths) >= 10
    return paths


@pytest.fixture(scope="session")
def astronaut():
    return str(PHOTOS / "astronaut.jpg")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Drawn faces in class folders, as `train` and `evaluate` take them."""
    return emoxide.draw_faces(tmp_path_factory.mktemp("drawn") / "faces", per_class=24)

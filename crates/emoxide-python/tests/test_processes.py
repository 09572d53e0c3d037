"""Threads, processes and Ctrl-C."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import emoxide

ROOT = Path(__file__).parents[3]

def test_importing_it_imports_little():
    code = "import sys, emoxide; print(*sorted({'torch', 'tensorflow', 'onnxruntime', 'pandas', 'sklearn', 'PIL'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_threads_share_a_recognizer(photos, recognizer):
    expected = recognizer.predict(photos)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(recognizer.predict, photos * 4))
    assert found == expected * 4


def test_others_go_on_while_it_computes(photos, recognizer):
    ticks, done = 0, threading.Event()

    def work():
        recognizer.predict(photos * 3)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        ticks += 1
        time.sleep(0.001)
    thread.join()
    assert ticks > 20, f"{ticks} turns"


def test_it_goes_to_other_processes(photos, recognizer):
    one = pickle.loads(pickle.dumps(emoxide.Recognizer(classes=["happiness", "neutral"], min_face=40)))
    assert one.classes == ["happiness", "neutral"] and repr(one).endswith("classes='happiness,neutral', precision='f32')")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(recognizer.predict, photos[:4]))
    assert found == recognizer.predict(photos[:4])
    error = pickle.loads(pickle.dumps(emoxide.ImageError("a.jpg: is a folder")))
    assert isinstance(error, emoxide.ImageError) and str(error) == "a.jpg: is a folder"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_is_told(recognizer):
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            recognizer.predict(np.zeros((8, 8), np.uint8))
            said = "nothing"
        except emoxide.EmoxideError as error:
            said = str(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.waitpid(child, 0)
    assert "this process is a fork" in said and "spawn" in said


def test_ctrl_c_ends_a_long_list(astronaut, ctrl_c):
    recognizer = emoxide.Recognizer(batch_size=1)
    timer = threading.Timer(0.5, ctrl_c)
    begun = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        recognizer.predict([astronaut] * 2_000)
    assert time.monotonic() - begun < 30


def test_memory_stays(recognizer):
    psutil = pytest.importorskip("psutil")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    process = psutil.Process()
    sizes = []
    for _ in range(4):
        for _ in range(250):
            recognizer.predict(image)
        sizes.append(process.memory_info().rss / 2**20)
    assert sizes[-1] - sizes[0] < 8, f"{sizes} MiB"


class Named(emoxide.Recognizer):
    def __init__(self, name):
        super().__init__()
        self.name = name


def test_copies_keep_what_they_have(tmp_path, monkeypatch):
    for copied in (copy.deepcopy(Named("a")), pickle.loads(pickle.dumps(Named("a")))):
        assert copied.name == "a" and copied.classes == Named("b").classes
    (tmp_path / "m.safetensors").write_bytes((ROOT / "assets" / "default.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    recognizer = emoxide.Recognizer("m.safetensors")
    monkeypatch.chdir(ROOT)
    assert copy.deepcopy(recognizer).classes == recognizer.classes


def test_numbers_that_cannot_be_are_named():
    for arguments, said in [
        ({"min_face": -1}, "min_face is -1"),
        ({"min_face": 2**32}, "min_face"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"classes": np.int64(9)}, "9"),
    ]:
        with pytest.raises(ValueError, match=said):
            emoxide.Recognizer(**arguments)
    assert len(emoxide.Recognizer(classes=np.int64(7)).classes) == 7

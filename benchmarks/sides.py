"""The sides of a comparison as the measuring loop sees them: emoxide through its `bench` verb, every peer as a worker.

A side answers `logits(batch)`, `times(batch)` and `peak(batch)`. It raises `Unavailable` where it cannot, and stays so.
"""

import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import numpy as np

from checkpoint import Refused

HERE = pathlib.Path(__file__).parent

# Key on the command line: name in the tables, precision.
INFERENCE_PEERS = {
    "torch": ("PyTorch", "f32"),
    "torch-channels-last": ("PyTorch channels_last", "f32"),
    "torch-channels-last-bf16": ("PyTorch channels_last", "bf16"),
    "onnxruntime": ("ONNX Runtime", "f32"),
    "openvino": ("OpenVINO", "f32"),
    "openvino-bf16": ("OpenVINO", "bf16"),
}
TRAINING_PEERS = {
    "torch": ("PyTorch", "f32"),
    "torch-channels-last": ("PyTorch channels_last", "f32"),
    "torch-bf16": ("PyTorch", "bf16"),
    "torch-channels-last-bf16": ("PyTorch channels_last", "bf16"),
}
NEED_ONNX = ("onnxruntime", "openvino")

# What emoxide computes with, and with which precisions.
INFERENCE_ENGINES = ["compiled", "burn", "compiled-bf16", "compiled-int8"]
TRAINING_ENGINES = ["training", "training-bf16"]


class Unavailable(Exception):
    """A peer that cannot be measured here; the text stands in the tables in place of its figures."""


@dataclass
class Setting:
    """What every side of one comparison shares."""

    model: str
    folder: pathlib.Path  # what prepare.py wrote, and room for small files
    threads: int
    train: bool
    warm: int  # untimed runs at the start of a turn
    runs: int  # timed runs of a turn


def peak_of(command: list[str], setting: Setting, environment: dict, request: str | None = None) -> int | None:
    """Peak memory in bytes of a command in a fresh process; none if it failed."""
    result = setting.folder / "peak"
    stub = [sys.executable, "-I", "-S", str(HERE / "peak.py"), str(result), *command]
    done = subprocess.run(stub, input=request, text=True, capture_output=True, env=environment, check=False)
    return int(result.read_text()) if done.returncode == 0 else None


class Peer:
    """A worker process, started at its first use."""

    def __init__(self, key: str, setting: Setting, refusal: str | None = None):
        self.engine, self.precision = (TRAINING_PEERS if setting.train else INFERENCE_PEERS)[key]
        self.setting, self.refusal = setting, refusal
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(setting.threads)}
        self.command = [
            *(sys.executable, str(HERE / "worker.py"), key, setting.model, str(setting.folder)),
            *("--threads", str(setting.threads)),
            *(["--train"] if setting.train else []),
        ]
        self.process, self.errors = None, None

    def request(self, batch: int, warm: int, runs: int, logits: str | None = None) -> str:
        return json.dumps({"batch": batch, "warm": warm, "runs": runs, "logits": logits}) + "\n"

    def ask(self, request: str) -> dict:
        """The worker's answer; what makes it unavailable is remembered."""
        if self.refusal:
            raise Unavailable(self.refusal)
        if self.process is None:
            self.errors = tempfile.TemporaryFile("w+")
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                self.command, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, env=self.environment
            )
        try:
            self.process.stdin.write(request)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": self.last_words()}
        if "missing" in answer:
            self.refusal = f"not installed ({answer['missing']})"
        elif "unsupported" in answer:
            self.refusal = answer["unsupported"]
        elif "error" in answer:
            self.refusal = f"failed: {answer['error']}"
        if self.refusal:
            raise Unavailable(self.refusal)
        return answer

    def last_words(self) -> str:
        """How the worker ended, with the last line that it wrote to standard error."""
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f"the process ended with {code}" + (f", {lines[-1]}" if lines else "")

    def logits(self, batch: int) -> np.ndarray:
        """`[batch, classes]`"""
        path = self.setting.folder / "peer.npy"
        self.ask(self.request(batch, 0, 0, str(path)))
        return np.load(path)

    def times(self, batch: int) -> list[float]:
        """Milliseconds of every run of one turn."""
        answer = self.ask(self.request(batch, self.setting.warm, self.setting.runs))
        if answer["loss"] is not None and not math.isfinite(answer["loss"]):
            self.refusal = "failed: the loss is not finite"
            raise Unavailable(self.refusal)
        return answer["times_ms"]

    def peak(self, batch: int) -> int | None:
        """Peak memory in bytes of a fresh process for one batch."""
        return peak_of(self.command, self.setting, self.environment, self.request(batch, 1, 1))

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.errors.close()


class Program:
    """The emoxide program and the options of its `bench` verb."""

    def __init__(self, name: str):
        found = shutil.which(name)
        if found is None:
            raise Refused(f"--emoxide {name}: no such program; build it with `cargo build --release` and name its path")
        self.path = os.path.abspath(found)
        self.options = set(re.findall(r"--[a-z][a-z-]*", self.output(["bench", "--help"])))

    def output(self, arguments: list[str], environment: dict | None = None) -> str:
        """What the program writes to standard output; a failure is an error with what it wrote to standard error."""
        try:
            done = subprocess.run(
                [self.path, *arguments], capture_output=True, text=True, env=environment, check=False
            )
        except OSError as error:
            raise Refused(f"--emoxide {self.path}: {error.strerror}") from error
        if done.returncode != 0:
            words = done.stderr.strip().removeprefix("error: ") or f"it ended with {done.returncode} and said nothing"
            raise Refused(f"`emoxide {' '.join(arguments)}` failed: {words}")
        return done.stdout

    def version(self) -> str:
        return self.output(["--version"]).strip()


class Emoxide:
    """`emoxide bench`, a fresh process every turn."""

    def __init__(self, program: Program, key: str, setting: Setting):
        self.program, self.setting = program, setting
        engine, _, precision = key.partition("-")
        self.engine, self.precision = f"emoxide {engine}", precision or "f32"
        self.chosen = ["--train"] if setting.train else ["--engine", engine]
        self.chosen += self.known("--precision", self.precision)
        threads = str(setting.threads)
        self.environment = {**os.environ, "RAYON_NUM_THREADS": threads}
        self.chosen += [*self.known("--threads", threads), *self.known("--device", "cpu")]

    def known(self, option: str, value: str) -> list[str]:
        """An option, if this program's `bench` has it."""
        return [option, value] if option in self.program.options else []

    def arguments(self, batch: int, runs: int) -> list[str]:
        model = ["bench", "--model", self.setting.model, "--batch", str(batch)]
        return [*model, *self.chosen, *self.known("--runs", str(runs)), "--json"]

    def row(self, arguments: list[str], batch: int) -> dict:
        """The one measurement of the answer."""
        text = self.program.output(arguments, self.environment)
        call = f"`emoxide {' '.join(arguments)}`"
        try:
            (row,) = json.loads(text)
            found = {key: row[key] for key in ("batch", "threads", "precision", "median_ms")}
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{call}: not one row of the expected JSON ({error!r}): {text[:200]}") from error
        wanted = {"batch": batch, "threads": self.setting.threads, "precision": self.precision}
        for key, value in wanted.items():
            if found[key] != value:
                raise Refused(f"{call}: the answer has {key} {found[key]}, asked for was {value}")
        return row

    def logits(self, batch: int) -> np.ndarray:
        """`[batch, classes]`"""
        path = self.setting.folder / "emoxide.json"
        path.unlink(missing_ok=True)
        self.row([*self.arguments(batch, 1), "--logits", str(path)], batch)
        if not path.exists():
            raise Refused("`emoxide bench --logits` wrote no file")
        return np.array(json.loads(path.read_text())["logits"], dtype=np.float32)

    def times(self, batch: int) -> list[float]:
        """The median in milliseconds of one turn: the program reports no single runs."""
        return [self.row(self.arguments(batch, self.setting.runs), batch)["median_ms"]]

    def peak(self, batch: int) -> int | None:
        """Peak memory in bytes of a fresh process for one batch."""
        return peak_of([self.program.path, *self.arguments(batch, 1)], self.setting, self.environment)

    def close(self) -> None:
        pass

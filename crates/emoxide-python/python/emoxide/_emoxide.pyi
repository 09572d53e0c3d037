"""The native part. What it says is JSON, as the command line's; the modules beside it give it types."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

__version__: str
ENDINGS: list[str]

def devices() -> list[str]: ...
def models(folder: str | os.PathLike[str] | None, classes: int) -> tuple[str, list[str]]: ...
def draw_faces(layout: str, out: str | os.PathLike[str], per_class: int, seed: int) -> tuple[str, str]: ...
def evaluate(
    recognizer: Recognizer,
    data: str,
    split: str,
    labels: str,
    bgr: bool,
    drop: list[str],
    classes: str | None,
    augment: str | os.PathLike[str] | None,
) -> str: ...
def train(
    form: str,
    recipe: str,
    data: list[str],
    set: list[str],
    run_dir: str | os.PathLike[str] | None,
    resume: bool,
    device: str,
    observer: Any,
) -> tuple[str, str]: ...

class Table:
    def __len__(self) -> int: ...
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...

class Clip:
    def next(self) -> str | None: ...
    def table(self, keep: bool) -> Table: ...

class Recognizer:
    device: str
    classes: list[str]
    card: str
    def __new__(
        cls,
        model: str,
        device: str,
        detector: str,
        batch_size: int,
        min_face: int | None,
        min_confidence: float,
        classes: str | None,
        precision: str,
    ) -> Recognizer: ...
    def predict(self, names: list[str], pictures: list[Any], keep: bool) -> list[Any]: ...
    def table(self, names: list[str], pictures: list[Any], keep: bool) -> Table: ...
    def clip(
        self,
        paths: list[str],
        pictures: bool,
        name: str,
        start: float,
        end: float | None,
        skip_frames: int,
        track: bool,
        max_lost: float,
        smooth: float | None,
        fps: float | None,
    ) -> Clip: ...
    def embed(self, names: list[str], pictures: list[Any]) -> npt.NDArray[np.float32]: ...
    def probabilities(self, names: list[str], pictures: list[Any]) -> npt.NDArray[np.float32]: ...

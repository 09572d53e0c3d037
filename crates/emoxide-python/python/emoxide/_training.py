"""Recipes: whole experiments that end in a checkpoint."""

from __future__ import annotations

import json
import logging
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _emoxide
from ._errors import whole

log = logging.getLogger("emoxide")

#: Where data sets lie: ``{"ferplus": "ferplus.csv@images"}``, ``"folder=faces"``, or a list of such texts.
Data = Mapping[str, "str | os.PathLike[str]"] | Sequence[str] | str


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    #: Its folder, with metrics, events, curves and checkpoints.
    folder: Path
    #: The figures of every test split of the recipe, as :meth:`Recognizer.evaluate` gives them.
    evaluations: list[dict[str, Any]]

    @property
    def model(self) -> str:
        """The checkpoint of the chosen epoch, for ``Recognizer(model=...)``."""
        return str(self.folder / "best" / "model.safetensors")


def train(
    recipe: str | os.PathLike[str] | Mapping[str, Any],
    data: Data = (),
    *,
    out: str | os.PathLike[str] | None = None,
    set: str | Sequence[str] | Mapping[str, Any] = (),  # noqa: A002 (the command line's name)
    resume: bool = False,
    device: str = "cpu",
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> Run:
    """Trains a recipe.

    Ctrl-C, or an exception in ``on_epoch``, ends the run after the step under way; the epochs done are safe, and the same call with
    ``resume=True`` goes on to the same numbers as a run that was never interrupted. One run is trained at a time.

    Args:
        recipe: A recipe's path, its TOML as a text of several lines, or its settings as dictionaries. What a text or a
            dictionary names under ``base`` lies in the working directory.
        data: Where the recipe's data sets lie.
        out: Folder of the run; by default ``runs/`` and the recipe's name.
        set: Settings to change, as ``["schedule.epochs=2"]`` or ``{"schedule.epochs": 2}``.
        resume: Go on with the run in the folder; where there is none yet, begin it.
        device: ``"cpu"``, or a GPU backend of this build.
        on_epoch: Called after every epoch with its row of ``metrics.csv`` as a dictionary, and ``best``: whether it is the best so far.

    Raises:
        TrainingError: The recipe cannot be trained, or the run went wrong.
        DataError: A data set cannot be read.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    if isinstance(recipe, Mapping):
        form, text = "json", json.dumps(recipe)
    elif isinstance(recipe, str) and "\n" in recipe:
        form, text = "toml", recipe
    else:
        form, text = "file", os.fsdecode(recipe)
    if isinstance(set, Mapping):
        set = [f"{key}={_toml(key, value)}" for key, value in set.items()]
    folder, evaluations = _emoxide.train(form, text, sources(data), texts(set), out, resume, device, _Observer(on_epoch))
    return Run(Path(folder), json.loads(evaluations))


def draw_faces(out: str | os.PathLike[str], *, layout: str = "folder", per_class: int = 100, seed: int = 0) -> dict[str, str]:
    """Draws parametric faces in the layout of a data set: seven expressions, three splits, for tests and a first try.

    Args:
        out: Folder to write to; it must be empty or new.
        layout: A name of ``emoxide data list``.
        per_class: Faces a class in the training split; the other splits hold a quarter of it each.
        seed: The same seed draws the same faces.

    Returns:
        What :func:`train` takes as ``data``.
    """
    name, path = _emoxide.draw_faces(layout, out, whole("per_class", per_class, 1), whole("seed", seed, 0, bits=63))
    return {name: path}


def sources(data: Data) -> list[str]:
    """``NAME=PATH`` for every data set."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping):
        return [f"{name}={os.fsdecode(path)}" for name, path in data.items()]
    if isinstance(data, os.PathLike):
        raise TypeError(f"data is {data!r}; say what it is, as in {{'folder': {os.fsdecode(data)!r}}}")
    return list(data)


def texts(values: str | Sequence[str]) -> list[str]:
    """A list of texts, also where there is one only."""
    return [values] if isinstance(values, str) else list(values)


def _toml(key: str, value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(key, item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(key, item) for item in value) + "]"
    if value is None:
        raise ValueError(f"set: {key} is None; settings have values, leave it out")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    # Other numbers, texts and truth values are written alike in JSON and TOML.
    return json.dumps(os.fsdecode(value) if isinstance(value, os.PathLike) else value, ensure_ascii=False)


class _Observer:
    """What a run tells while it goes on."""

    def __init__(self, on_epoch: Callable[[dict[str, Any]], object] | None) -> None:
        self.on_epoch = on_epoch

    def told(self, text: str) -> None:
        log.info(text)

    def warned(self, text: str) -> None:
        warnings.warn(text, stacklevel=3)

    def epoch(self, row: str) -> None:
        if self.on_epoch is not None:
            self.on_epoch(json.loads(row))

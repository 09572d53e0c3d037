"""What goes wrong. The texts are those of the command line: what, where and what to do next."""

from __future__ import annotations

import operator
from typing import Any, Literal

#: What becomes of a picture that cannot be read: an exception, or something in its place that says why.
Errors = Literal["raise", "keep"]


class EmoxideError(Exception):
    """Everything that emoxide raises, but for arguments that cannot be (``TypeError``, ``ValueError``)."""


class ImageError(EmoxideError):
    """A picture that cannot be read."""


class VideoError(EmoxideError):
    """A video that cannot be read, or is damaged."""


class ModelError(EmoxideError):
    """A checkpoint that cannot be used."""


class DeviceError(EmoxideError):
    """A device that is not there, or not in this build."""


class DataError(EmoxideError):
    """A data set that cannot be read, or does not fit the model."""


class TrainingError(EmoxideError):
    """A recipe that cannot be trained, or a run that went wrong."""


for _error in (EmoxideError, ImageError, VideoError, ModelError, DeviceError, DataError, TrainingError):
    _error.__module__ = "emoxide"


def keep_errors(errors: str) -> bool:
    """Whether it is ``"keep"``."""
    if errors not in ("raise", "keep"):
        raise ValueError(f"errors is {errors!r}; it may be 'raise' or 'keep'")
    return errors == "keep"


def whole(name: str, value: Any, lowest: int, bits: int = 31) -> int:
    """A whole number that has room in so many bits; says in words where it is none."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; a whole number is needed") from None
    if not lowest <= number < 2**bits:
        raise ValueError(f"{name} is {value}; it is a whole number from {lowest} to {2**bits - 1}")
    return number

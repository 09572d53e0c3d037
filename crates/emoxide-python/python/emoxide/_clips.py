"""Clips: what a caller may give for one, and what is found in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Union

import pyarrow as pa

from . import _emoxide
from ._errors import Errors, keep_errors
from ._results import Prediction

#: A video file, ``"camera:0"``, a folder of pictures or a pattern such as ``"frames/%04d.png"``; or the pictures' paths in order.
Video = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]]]


class Clip(Iterator[Prediction]):
    """The faces of a clip, frame by frame: what :meth:`Recognizer.predict_video` gives.

    Frames are read and answered as they are asked for. What cannot be read is a :class:`VideoError` in its place: a picture of a
    sequence, behind which ``next`` goes on, or behind the last frame what a video breaks off with.
    """

    def __init__(self, native: _emoxide.Clip) -> None:
        self._native = native

    def __next__(self) -> Prediction:
        answer = self._native.next()
        if answer is None:
            raise StopIteration
        return Prediction.from_json(answer)

    def table(self, *, errors: Errors = "raise") -> pa.Table:
        """The frames that are left as an Arrow table.

        Args:
            errors: ``"raise"``, or ``"keep"`` for a row, and a column ``error``, that says what cannot be read.

        Returns:
            A row a face and frame, and one for a frame without any, with the columns of ``emoxide predict --format csv``.
        """
        return pa.table(self._native.table(keep_errors(errors)))


def paths(video: Video) -> tuple[list[str], bool]:
    """The paths of a clip, and whether they are its pictures."""
    if isinstance(video, (str, bytes, os.PathLike)):
        return [os.fsdecode(video)], False
    return [os.fsdecode(path) for path in video], True

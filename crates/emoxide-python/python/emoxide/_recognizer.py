"""Faces in pictures, and what they express."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from . import _emoxide
from ._clips import Clip, Video, paths
from ._errors import Errors, ImageError, keep_errors, whole
from ._pictures import Picture, gather, is_many
from ._results import Prediction
from ._training import Data, sources, texts


class Recognizer:
    """Finds the faces of pictures and says what they express.

    One recogniser serves all threads; while it computes, others go on. Sent to another process (``pickle``), it opens its model
    there again. A process that is forked after emoxide has computed cannot use it: start processes by ``"spawn"``.

    Pictures are paths (``str`` or ``os.PathLike``), the ``bytes`` of a file, arrays of ``uint8`` ``[height, width, 3]``, red first, or
    ``[height, width]`` in grey, or images of Pillow; several of them a list, or an array ``[pictures, height, width, 3]``. Files
    are turned as their EXIF data says; arrays and Pillow's images are taken as they are.

    Args:
        model: ``"default"``, the embedded one, or the path of a checkpoint.
        device: ``"cpu"``, a GPU backend of this build such as ``"cuda:0"``, or ``"auto"``, the best that is
            there.
        detector: ``"mtcnn"``; ``"none"`` where every picture is one face, already cropped; ``"auto"`` for what the model's
            checkpoint names.
        batch_size: Pictures worked on together.
        min_face: Smallest face to look for, in pixels; by default what the checkpoint names.
        min_confidence: An expression is ``"uncertain"`` where its probability is lower.
        classes: Answer with these classes only: 7, or a list of names; the others' probability is shared out.
        precision: How exactly the network multiplies: ``"f32"``, ``"bf16"`` or ``"int8"``.

    Raises:
        ModelError: The checkpoint cannot be used.
        DeviceError: The device is not there.
        ValueError: An argument that cannot be.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        device: str = "auto",
        detector: str = "mtcnn",
        batch_size: int = 32,
        *,
        min_face: int | None = None,
        min_confidence: float = 0.0,
        classes: int | str | Sequence[str] | None = None,
        precision: str = "f32",
    ) -> None:
        self._arguments: dict[str, Any] = {
            "model": os.fsdecode(model),
            "device": device,
            "detector": detector,
            "batch_size": whole("batch_size", batch_size, 1),
            "min_face": None if min_face is None else whole("min_face", min_face, 1),
            "min_confidence": min_confidence,
            "classes": _classes(classes),
            "precision": precision,
        }
        self._native = _emoxide.Recognizer(**self._arguments)
        if self._arguments["model"] != "default":
            # It is found again when the working directory has changed.
            self._arguments["model"] = os.path.abspath(self._arguments["model"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_native"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._native = _emoxide.Recognizer(**self._arguments)

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._native.device

    @property
    def classes(self) -> list[str]:
        """Names of the classes of every answer, in order."""
        return self._native.classes

    @property
    def classes_(self) -> npt.NDArray[np.str_]:
        """The same as an array, as scikit-learn's classifiers have it: what the columns of :meth:`predict_proba` are."""
        return np.array(self._native.classes)

    @property
    def card(self) -> dict[str, Any]:
        """What the checkpoint says of itself: what ``emoxide models info --json`` prints."""
        card: dict[str, Any] = json.loads(self._native.card)
        return card

    @overload
    def predict(
        self, images: list[Picture], *, names: Sequence[str] | None = ..., errors: Literal["raise"] = ...
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self, images: list[Picture], *, names: Sequence[str] | None = ..., errors: Literal["keep"]
    ) -> list[Prediction | Exception]: ...
    @overload
    def predict(
        self, images: str | bytes | os.PathLike[str], *, names: str | None = ..., errors: Literal["raise"] = ...
    ) -> Prediction: ...
    @overload
    def predict(self, images: Any, *, names: Any = ..., errors: Errors = ...) -> Any: ...
    def predict(self, images: Any, *, names: Any = None, errors: Errors = "raise") -> Any:
        """The faces of a picture, or of each of several.

        Args:
            images: A picture, or several; see the class.
            names: What the pictures are called in the result and in errors; by default their paths, or their place in the list.
            errors: ``"raise"``, or ``"keep"`` to find the exception in the place of a picture that cannot be read.

        Returns:
            A :class:`Prediction`, or a list of them in the order of the pictures.

        Raises:
            ImageError: A picture cannot be read.
            TypeError, ValueError: Something that is no picture.
        """
        keep = keep_errors(errors)
        names, pictures = gather(images, names)
        _raise_first(pictures, keep)
        answers = self._native.predict(names, pictures, keep)
        found = [
            picture
            if isinstance(picture, Exception)
            else answer
            if isinstance(answer, ImageError)
            else Prediction.from_json(answer)
            for picture, answer in zip(pictures, answers)
        ]
        return found if is_many(images) else found[0]

    def predict_table(self, images: Any, *, names: Any = None, errors: Errors = "raise") -> pa.Table:
        """The faces of pictures as an Arrow table.

        ``.to_pandas()`` and ``polars.from_arrow`` take it over without copies of its numbers.

        Args:
            images: As in :meth:`predict`.
            names: As in :meth:`predict`.
            errors: ``"raise"``, or ``"keep"`` for a row, and a column ``error``, that says why a picture cannot be read.

        Returns:
            A row a face, and one for a picture without any, with the columns of ``emoxide predict --format csv``.
        """
        keep = keep_errors(errors)
        names, pictures = gather(images, names)
        _raise_first(pictures, keep)
        return pa.table(self._native.table(names, pictures, keep))

    def predict_video(
        self,
        video: Video,
        *,
        name: str | None = None,
        start: float = 0.0,
        end: float | None = None,
        skip_frames: int = 0,
        track: bool = True,
        max_lost: float = 3.0,
        smooth: float | None = None,
        fps: float | None = None,
    ) -> Clip:
        """The faces of a clip, frame by frame; a face keeps its number from frame to frame.

        Videos are read through ffmpeg. ``batch_size`` frames are read and answered together: give the recogniser a small one for a
        camera.

        Args:
            video: A video file, ``"camera:0"``, a folder of pictures or a pattern such as ``"frames/%04d.png"``, or a list of the paths
                of pictures.
            name: What the clip is called in the result and in errors; by default its path, and ``"clip"`` for a list.
            start: First second of the clip that is wanted.
            end: Second that is not wanted any more.
            skip_frames: Frames to leave out behind each one that is used.
            track: Follow faces; otherwise ``face_id`` counts the faces of each frame.
            max_lost: A face that comes back after so many seconds or less keeps its number.
            smooth: Time constant in seconds over which each face's probabilities are smoothed.
            fps: Pictures a second where ``video`` is pictures; 25 by default.

        Returns:
            An iterator of :class:`Prediction`, one a frame, that reads as it goes; its method ``table`` gives all of them at once.

        Raises:
            VideoError: The video cannot be read, or ffmpeg is not there.
            TypeError, ValueError: An argument that cannot be.
        """
        skip_frames = whole("skip_frames", skip_frames, 0)
        found, are_pictures = paths(video)
        name = name or ("clip" if are_pictures else found[0])
        return Clip(
            self._native.clip(found, are_pictures, name, start, end, skip_frames, track, max_lost, smooth, fps)
        )

    def embed(self, images: Any, *, names: Any = None) -> npt.NDArray[np.float32]:
        """What the network makes of faces before it classifies them.

        Args:
            images: As in :meth:`predict`. With ``detector="none"`` each is one face.
            names: As in :meth:`predict`.

        Returns:
            ``[faces, width]``, a row for every face of every picture, in the order of :meth:`predict`.
        """
        names, pictures = gather(images, names)
        _raise_first(pictures, False)
        return self._native.embed(names, pictures)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803 (scikit-learn's name)
        """Probabilities of faces that are cut out already, whatever the detector.

        Args:
            X: Pictures, each a face as a whole: a list, or an array ``[faces, height, width, 3]``.

        Returns:
            ``[faces, classes]``; :attr:`classes_` names the columns.
        """
        if not is_many(X):
            raise ValueError("X is a single picture, or pixels without their rows; give a list, or an array [faces, height, width, 3]")
        names, pictures = gather(X, None)
        _raise_first(pictures, False)
        return self._native.probabilities(names, pictures)

    def evaluate(
        self,
        data: Data,
        split: str = "test",
        *,
        labels: str = "majority",
        bgr: bool = False,
        drop: str | Sequence[str] = (),
        classes: int | str | Sequence[str] | None = None,
        augment: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Measures the model on a data set of cropped faces.

        Args:
            data: The data set: ``"fer2013=DIR"``, or ``{"fer2013": "DIR"}``.
            split: ``train``, ``valid``, ``test``, ``public``, ``private`` or ``all``.
            labels: How the votes of FER+ become labels: ``majority``, ``argmax10``, ``argmax8`` or ``soft``.
            bgr: Swap red and blue in every picture, as the program does with which the authors of CAFE measured.
            drop: Classes of model and data to leave out, such as ``["contempt"]``.
            classes: Measure on these classes only; by default the recogniser's.
            augment: Change the pictures at random as this recipe changes them in training.

        Returns:
            What ``emoxide eval --json`` prints: ``accuracy``, ``mean_class_accuracy``, ``interval``, ``per_class``, ``confusion``
            and more, with the ``protocol`` that they are figures of.

        Raises:
            DataError: The data set cannot be read, or its classes do not fit the model's.
        """
        named = sources(data)
        if len(named) != 1:
            raise ValueError(f"{len(named)} data sets; a model is measured on one at a time")
        arguments = (named[0], split, labels, bgr, texts(drop), _classes(classes), augment)
        figures: dict[str, Any] = json.loads(_emoxide.evaluate(self._native, *arguments))
        return figures

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._arguments.items() if value is not None)
        return f"{type(self).__name__}({arguments})"


def _classes(classes: int | str | Sequence[str] | None) -> str | None:
    """Classes as ``--classes`` takes them."""
    if classes is None or isinstance(classes, str):
        return classes
    return ",".join(classes) if isinstance(classes, Iterable) else str(whole("classes", classes, 1))


def _raise_first(pictures: list[Any], keep: bool) -> None:
    """Raises an exception that stands in the place of a picture."""
    failed = None if keep else next((picture for picture in pictures if isinstance(picture, Exception)), None)
    if failed is not None:
        raise failed

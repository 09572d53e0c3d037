"""What a caller may give for a picture, as the native part takes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ._errors import ImageError

#: A path, the bytes of a file, pixels ``[height, width, 3]`` or ``[height, width]`` of ``uint8``, or an image of Pillow.
Picture = Any


def is_many(images: Any) -> bool:
    """Whether this is several pictures: a list, a column of a table, another iterable, or an array ``[pictures, height, width, 3]``."""
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike, Exception)) or _is_pillow(images):
        return False
    if _is_array(images):
        array = np.asarray(images)
        # A column of paths, bytes or pictures, as of pandas and Arrow.
        return array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OUS")
    return isinstance(images, Iterable)


def gather(images: Any, names: Sequence[str] | str | None) -> tuple[list[str], list[Any]]:
    """Names and pictures for the native part."""
    if not is_many(images):
        names = [names] if isinstance(names, str) else names
        images = [images]
        place = "image"
    else:
        place = "image {}"
    # Arrow's columns hold scalars of Arrow.
    images = images.to_pylist() if hasattr(images, "to_pylist") else list(images)
    if names is None:
        names = [_name(image, place.format(index)) for index, image in enumerate(images)]
    elif isinstance(names, str):
        raise TypeError("names is a single text; give one for every picture")
    else:
        names = list(names)
    if len(names) != len(images):
        raise ValueError(f"{len(names)} names for {len(images)} pictures")
    return names, [_native(image, name) for image, name in zip(images, names)]


def _name(image: Any, place: str) -> str:
    """The path of a picture where it has one, else its place in the list."""
    if isinstance(image, (str, os.PathLike)):
        return os.fsdecode(image)
    # Pillow's, of an image that was opened and not changed since.
    name = getattr(image, "filename", None) if _is_pillow(image) else None
    return os.fsdecode(name) if name else place


def _native(image: Any, name: str) -> Any:
    if isinstance(image, (str, bytes, np.ndarray, Exception)):
        return image
    if isinstance(image, os.PathLike):
        return os.fsdecode(image)
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if _is_pillow(image):
        if image.mode[0] in "IF":
            raise ValueError(
                f"{name}: an image of mode {image.mode}, whose values have no fixed range; give its file instead, or convert it to 8 bits"
            )
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            return ImageError(f"{name}: {error}")
    if _is_array(image):
        return np.asarray(image)
    raise TypeError(
        f"{name}: {type(image).__name__} is no picture; give a path, the bytes of a file, an array [height, width, 3] of uint8, "
        "or an image of Pillow"
    )


def _is_pillow(image: Any) -> bool:
    return hasattr(image, "mode") and hasattr(image, "convert") and hasattr(image, "size")


def _is_array(image: Any) -> bool:
    return hasattr(image, "__array__") or hasattr(image, "__array_interface__")

"""What can be used."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

from . import _emoxide
from ._errors import whole


def devices() -> list[str]:
    """Devices that this build knows, best first; ``device="auto"`` takes the first that is there."""
    return _emoxide.devices()


def models(folder: str | os.PathLike[str] | None = None, *, classes: int = 7) -> list[dict[str, Any]]:
    """The embedded model, the checkpoints in ``folder``, and the architectures that can be trained.

    Args:
        folder: Where checkpoints lie; those that cannot be used are named by a warning.
        classes: Classes with which the parameters of architectures are counted.

    Returns:
        What ``emoxide models list --json`` prints: ``name``, ``parameters``, ``classes``, ``input``, ``weights`` (what
        ``Recognizer(model=...)`` takes; ``None`` for an architecture), ``results`` and more.
    """
    lines, skipped = _emoxide.models(folder, whole("classes", classes, 1))
    for text in skipped:
        warnings.warn(text, stacklevel=2)
    listed: list[dict[str, Any]] = json.loads(lines)
    return listed

"""What is found in pictures, as plain data. Fields are named as in the JSON of ``emoxide predict``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Box:
    """A box in pixels of the picture, origin at its top left."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Face:
    """One face and its expression."""

    #: Number of the face within its picture, from 0, in the detector's order: the largest first. In a clip, the number that it keeps
    #: from frame to frame.
    face_id: int
    #: Where it is, clamped to the picture.
    box: Box
    #: The detector's confidence, 0 to 1; ``None`` where the whole picture was taken for a face.
    detection_score: float | None
    #: Left eye, right eye, nose tip, left and right mouth corner as ``(x, y)`` in pixels, image-left first.
    landmarks: tuple[tuple[float, float], ...] | None
    #: The most probable expression; ``"uncertain"`` where it stays below ``min_confidence``.
    dominant_emotion: str
    #: Probability of every class, in the model's order; they sum to 1.
    probabilities: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The face as plain dictionaries and lists, as in JSON."""
        fields: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return fields


@dataclass(frozen=True)
class Prediction:
    """All faces of one picture, or of one frame of a clip."""

    #: Name of the picture or clip: its path, or what it was called.
    input: str
    #: Its faces; empty where there is none.
    faces: tuple[Face, ...]
    #: Number of the frame in its clip, from 0; 0 for a picture.
    frame: int = 0
    #: When the clip shows it, in seconds from its beginning; ``None`` for a picture.
    timestamp: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The object that ``emoxide predict --format json`` writes for the picture."""
        shown = {} if self.timestamp is None else {"timestamp": self.timestamp}
        return {"input": self.input, "frame": self.frame, **shown, "faces": [face.to_dict() for face in self.faces]}

    @classmethod
    def from_json(cls, text: str) -> Prediction:
        """Reads one object of ``emoxide predict --format json`` or a line of ``ndjson``."""
        fields = json.loads(text)
        return cls(fields["input"], tuple(map(_face, fields["faces"])), fields["frame"], fields.get("timestamp"))


def _face(fields: dict[str, Any]) -> Face:
    points = fields["landmarks"]
    landmarks = None if points is None else tuple((x, y) for x, y in points)
    return Face(**{**fields, "box": Box(**fields["box"]), "landmarks": landmarks})

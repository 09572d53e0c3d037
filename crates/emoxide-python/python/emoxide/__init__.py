"""Facial expression recognition: pictures in, faces with calibrated probabilities of what they express out.

>>> import emoxide
>>> recognizer = emoxide.Recognizer()
>>> recognizer.predict("assets/photos/astronaut.jpg").faces[0].dominant_emotion
'happiness'

A face shows an expression, not a feeling. Inferring emotions of people at work or in education is prohibited in the EU (AI Act,
Art. 5(1)(f)) save for medical or safety reasons.
"""

from ._emoxide import __version__
from ._clips import Clip
from ._errors import DataError, DeviceError, EmoxideError, ImageError, ModelError, TrainingError, VideoError
from ._models import devices, models
from ._recognizer import Recognizer
from ._results import Box, Face, Prediction
from ._training import Run, draw_faces, train

__all__ = [
    "Box",
    "Clip",
    "DataError",
    "DeviceError",
    "EmoxideError",
    "Face",
    "ImageError",
    "ModelError",
    "Prediction",
    "Recognizer",
    "Run",
    "TrainingError",
    "VideoError",
    "__version__",
    "devices",
    "draw_faces",
    "models",
    "train",
]

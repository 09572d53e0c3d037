#!/usr/bin/env python3
"""Compares the probabilities of `emoxide predict` with ONNX Runtime's, face by face.

usage: pictures.py BINARY FOLDER [MODEL]

`BINARY predict FOLDER --save-crops` answers pictures and saves the faces as the network sees them; `BINARY models export` makes an
ONNX file of the model. What has to be done to a face is read from the file's own metadata. Printed are the largest difference of a
probability and how many faces would be another class; it fails above 1e-4.

numpy, pillow, onnxruntime.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnxruntime
from PIL import Image

TOLERANCE = 1e-4


def preprocessed(path, preprocess):
    """A face as the model wants it: `[channels, rows, cols]`."""
    face = Image.open(path).convert("L" if preprocess["channels"] == "grey" else "RGB")
    assert face.size == (preprocess["width"], preprocess["height"]), face.size
    levels = numpy.asarray(face, numpy.float32).reshape(face.height, face.width, -1) / 255
    levels = (levels - numpy.float32(preprocess["mean"])) / numpy.float32(preprocess["std"])
    return levels.transpose(2, 0, 1)


def main():
    binary, folder, model = (sys.argv[1:] + ["default"])[:3]
    with tempfile.TemporaryDirectory() as work:
        graph, crops = pathlib.Path(work) / "model.onnx", pathlib.Path(work) / "crops"
        subprocess.run([binary, "models", "export", model, "--format", "onnx", "-o", graph], check=True)
        command = [binary, "predict", folder, "--model", model, "--format", "json", "--save-crops", crops, "--quiet"]
        predicted = subprocess.run(command, stdout=subprocess.PIPE)
        # 3: some pictures hold no face.
        if predicted.returncode not in (0, 3):
            sys.exit(f"exit code {predicted.returncode}")
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        said = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
        largest, other, faces, pictures = 0.0, 0, 0, json.loads(predicted.stdout)
        for picture in pictures:
            stem = pathlib.Path(picture["input"]).stem
            for face in picture["faces"]:
                image = preprocessed(crops / f"{stem}-face{face['face_id']}.png", said["emoxide.preprocess"])
                found = session.run(["probabilities"], {"images": image[None]})[0][0]
                expected = numpy.array([face["probabilities"][name] for name in said["emoxide.classes"]])
                largest = max(largest, abs(found - expected).max())
                other += said["emoxide.classes"][found.argmax()] != face["dominant_emotion"]
                faces += 1
    print(f"{len(pictures)} pictures, {faces} faces: probabilities differ by {largest:.1e} at most, {other} faces are another class")
    if faces == 0 or largest > TOLERANCE or other:
        sys.exit(1)


if __name__ == "__main__":
    main()

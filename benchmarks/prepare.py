"""Writes what all peers share into a folder: images, reference logits, and the network as ONNX.

images.npy    float32 [images, channels, rows, cols], the portable sequence "images"
logits.npy    float32 [images, classes], PyTorch in float32
network.onnx  opset 18, free batch; absent where the exporter is not installed
status.json   {"missing": package or null, "error": text or null}
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch

import twin
from checkpoint import Refused, input_shape

CHUNK = 8  # images that the reference takes at once


def reference(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Logits of PyTorch in float32."""
    with torch.inference_mode():
        chunks = [model(chunk) for chunk in torch.from_numpy(images).split(CHUNK)]
    return torch.cat(chunks).numpy()


def export(model: torch.nn.Module, images: np.ndarray, path: pathlib.Path) -> None:
    """Writes the network as ONNX; its input is `images`, its output `logits`, and the first axis of both is `batch`."""
    torch.onnx.export(
        model,
        (torch.from_numpy(images),),
        str(path),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--images", type=int, required=True, help="how many images")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--onnx", action="store_true", help="export the network too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        model, card = twin.load(arguments.model)
    except Refused as error:
        sys.exit(f"error: {error}")
    shape = [arguments.images, *input_shape(card)]
    images = twin.portable.tensor("images", shape).numpy()
    np.save(arguments.folder / "images.npy", images)
    np.save(arguments.folder / "logits.npy", reference(model, images))
    status = {"missing": None, "error": None}
    if arguments.onnx:
        try:
            # Two images: an axis of one would be taken for a fixed one.
            two = twin.portable.tensor("images", [2, *shape[1:]]).numpy()
            export(model, two, arguments.folder / "network.onnx")
        except ImportError as error:
            status["missing"] = error.name or str(error)
        except Exception as error:  # the exporter raises many kinds
            status["error"] = f"the export to ONNX failed: {error}"
    (arguments.folder / "status.json").write_text(json.dumps(status))


if __name__ == "__main__":
    main()

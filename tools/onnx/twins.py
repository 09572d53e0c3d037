#!/usr/bin/env python3
"""Exports weights under the names of other people, loads them into the PyTorch networks and compares answers with ONNX Runtime's.

usage: twins.py BINARY RANDOM_CHECKPOINT [NAME ...]

For each network: RANDOM_CHECKPOINT (the example of `emoxide-export`) writes a checkpoint, `BINARY models export` makes safetensors and
ONNX of it. The safetensors go into torchvision's own classes by `load_state_dict(strict=True)`, or into the twins of tools/reference,
whose tensors under the authors' names must be exactly those of the file; counters of batches, which inference does not read, are left
out on both sides. Both answer the same images. It fails where a logit differs by more than 1e-4 of the largest one.

torch 2.15, torchvision of the same release, numpy, onnxruntime, safetensors.
"""

import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "reference"))

import onnxruntime
import torch
import torchvision
from authors import SOURCES
from clip_files import renamed
from safetensors.torch import load_file

TOLERANCE = 1e-4
COUNTER = "num_batches_tracked"


# Where the import takes several names, and the export writes another one than the twin's authors: PCM's trunk has the names of
# CD-FER-Benchmark, from which it starts, and the classifier of RedNet that of timm.
OTHERS = {
    "pcm": renamed((r"^backbone\.", ""), (r"^global\.conv\.", "output_layer.0.")),
    "pcm-baseline": renamed((r"^backbone\.", ""), (r"^global\.conv\.", "output_layer.0.")),
    "rednet50": renamed((r"^head\.fc\.", "head.")),
}


def run(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")


def of_torchvision(name):
    """A class of torchvision, filled by its own loader."""

    def load(tensors):
        model = getattr(torchvision.models, name)(num_classes=7)
        model.load_state_dict(tensors, strict=True)
        return model.eval()

    return load, lambda model, images: model(images)


def of_twin(source):
    """A twin, whose tensors the file's are copied into by the authors' names."""

    def load(tensors):
        model = source.full().eval()
        state = model.state_dict()
        places = dict(OTHERS.get(source.network, dict)(source.authors(state)))
        # What the authors keep in files of their own.
        parts = tuple(f"{part}." for part in source.parts)
        places |= {name: value for name, value in state.items() if parts and name.startswith(parts)}
        places = {name: value for name, value in places.items() if not name.endswith(COUNTER)}
        assert set(tensors) == set(places), sorted(set(tensors) ^ set(places))[:4]
        for name, place in places.items():
            assert place.shape == tensors[name].shape, (name, place.shape, tensors[name].shape)
            place.copy_(tensors[name])
        return model

    return load, source.logits


# Network, key map and how PyTorch reads it.
CASES = {name: (name, "pytorch", of_torchvision(name)) for name in ("resnet18", "resnet34", "resnet50")}
CASES |= {
    name: (source.network, source.keys or "pytorch", of_twin(source))
    for name, source in SOURCES.items()
    if source.ending == "pth" and not name.endswith("-hf")
}


@torch.no_grad()
def check(binary, random_checkpoint, work, name):
    network, keys, (load, logits) = CASES[name]
    checkpoint, weights, graph = (work / ending for ending in ("network.safetensors", "weights.safetensors", "graph.onnx"))
    run(random_checkpoint, network, checkpoint)
    run(binary, "models", "export", checkpoint, "--format", "safetensors", "--keys", keys, "-o", weights)
    run(binary, "models", "export", checkpoint, "--format", "onnx", "-o", graph)
    tensors = load_file(weights)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    images = torch.randn(3, *session.get_inputs()[0].shape[1:], generator=torch.Generator().manual_seed(3))
    found = torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
    expected = logits(load(tensors), images)
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    print(f"| {name} | `{keys}` | {len(tensors)} | {difference:.1e} |", flush=True)
    for path in (checkpoint, weights, graph):
        path.unlink()
    return difference <= TOLERANCE


def main():
    binary, random_checkpoint, *names = sys.argv[1:]
    print("| network | key map | tensors | largest difference of a logit |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as work:
        passed = [check(binary, random_checkpoint, pathlib.Path(work), name) for name in names or CASES]
    if not all(passed):
        sys.exit(f"{passed.count(False)} of {len(passed)} networks answer otherwise")


if __name__ == "__main__":
    main()

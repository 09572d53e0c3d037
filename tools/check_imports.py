#!/usr/bin/env python3
"""Imports checkpoints with the authors' names at full size and compares answers with PyTorch, picture by picture.

usage: check_imports.py BINARY WORKDIR [NAME ...]

For each kind of checkpoint in reference/authors.py: random weights go into the PyTorch twin, which is saved as its authors
would; `BINARY models import` makes a checkpoint of the file, `BINARY eval` answers drawn faces, and the twin answers the same
pictures, decoded, resized and normalised by Pillow and numpy. Printed are the largest difference of a probability and the
number of pictures with another class; it fails where a class differs or a probability by more than 0.02.

torch 2.15, torchvision of the same release, numpy, pillow, safetensors.
"""

import csv
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "reference"))

import numpy as np
import torch
from authors import SOURCES
from PIL import Image
from torch import nn
from torchvision.transforms import functional

TOLERANCE = 0.02
BATCH = 8


def run(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def fill(model):
    """Weights of the size that trained ones have, so that no layer's answers vanish or explode."""
    draw = torch.Generator().manual_seed(0)
    kinds = {name: module for name, module in model.named_modules()}
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        module, _, leaf = name.rpartition(".")
        if leaf == "running_var":
            value.uniform_(0.5, 1.5, generator=draw)
        elif leaf == "running_mean" or leaf.endswith("bias"):
            value.uniform_(-0.1, 0.1, generator=draw)
        elif value.dim() == 1:
            value.uniform_(0.5, 1.0, generator=draw)
        elif isinstance(kinds[module], (nn.Conv2d, nn.Linear)) or leaf == "in_proj_weight":
            bound = (3.0 / value[0].numel()) ** 0.5
            value.uniform_(-bound, bound, generator=draw)
        else:  # tokens and positions
            value.normal_(0.0, 0.5, generator=draw)


def spread(source, model, images):
    """Scales and shifts the head so that the pictures get different classes."""
    head = model.get_submodule(source.head)
    logits = answers(source, model, images)
    scale = 2.0 / logits.std(0).clamp(min=1e-6)
    with torch.no_grad():
        head.weight *= scale[:, None]
        head.bias.copy_((head.bias - logits.mean(0)) * scale)


@torch.no_grad()
def answers(source, model, images):
    return torch.cat([source.logits(model, batch) for batch in images.split(BATCH)])


def pixels(path, preprocess):
    """A picture as the checkpoint wants it: `[channels, rows, cols]`."""
    assert preprocess["filter"] == "pillow-bilinear", preprocess
    image = Image.open(path).convert("RGB")
    size = (preprocess["width"], preprocess["height"])
    resize = preprocess.get("resize") or dict(zip(("width", "height"), size))
    if "shorter" in resize:
        image = functional.resize(image, resize["shorter"])
    else:
        image = image.resize((resize["width"], resize["height"]), Image.Resampling.BILINEAR)
    image = functional.center_crop(image, size[::-1])
    if preprocess["channels"] == "grey":
        image = image.convert("L")
    levels = np.asarray(image, dtype=np.float32).reshape(size[1], size[0], -1) / 255.0
    levels = (levels - np.array(preprocess["mean"], np.float32)) / np.array(preprocess["std"], np.float32)
    return torch.from_numpy(levels.transpose(2, 0, 1).copy())


def size_of(binary, network):
    """Channels, rows and columns that an architecture takes, to scale the head before there is a checkpoint."""
    listed = json.loads(run(binary, "models", "list", "--json"))
    for line in listed:
        if line["name"] == network and line["weights"] is None:
            return line["input"]
    sys.exit(f"{binary} has no architecture {network}")


def check(binary, work, faces, name):
    source = SOURCES[name]
    begun = time.monotonic()
    torch.manual_seed(0)
    model = source.full().eval()
    fill(model)
    channels, rows, cols = size_of(binary, source.network)
    mean, std = ([0.0], [1.0]) if channels == 1 else source.statistics
    kind = "grey" if channels == 1 else "rgb"
    guess = dict(width=cols, height=rows, channels=kind, filter="pillow-bilinear", mean=mean, std=std)
    pictures = sorted((faces / "test").rglob("*.png"))
    spread(source, model, torch.stack([pixels(path, guess) for path in pictures[::3]]))

    file, checkpoint = work / f"{name}.{source.ending}", work / f"{name}.safetensors"
    source.save(file, model)
    keys = ["--keys", source.keys] if source.keys else []
    parts, part_files = [], []
    for part, (ending, write, part_keys) in source.parts.items():
        part_files.append(work / f"{name}-{part}.{ending}")
        write(part_files[-1], model)
        parts += ["--part", f"{part}={part_files[-1]}", "--part-keys", f"{part}={part_keys}"]
    run(binary, "models", "import", file, "--network", source.network, "--classes", source.classes, *keys, *parts, "-o", checkpoint)
    card = json.loads(run(binary, "models", "info", checkpoint, "--json"))
    table = work / f"{name}.csv"
    run(binary, "eval", "--model", checkpoint, "--data", f"folder={faces}", "--predictions", table, "--quiet")

    classes = source.classes.split(",")
    with open(table, newline="") as lines:
        found = {row["file"]: row for row in csv.DictReader(lines)}
    named = {path.relative_to(faces).as_posix(): path for path in pictures}
    assert set(found) == set(named), f"{sorted(found)[:2]} where {sorted(named)[:2]} are expected"
    images = torch.stack([pixels(path, card["preprocess"]) for path in named.values()])
    expected = answers(source, model, images).double().softmax(1).numpy()
    largest, other, seen = 0.0, 0, set()
    for picture, probabilities in zip(named, expected):
        row = found[picture]
        largest = max(largest, max(abs(float(row[kind]) - value) for kind, value in zip(classes, probabilities)))
        answer = classes[int(probabilities.argmax())]
        other += row["pred"] != answer
        seen.add(answer)
    megabytes = file.stat().st_size / 1e6
    for path in (file, checkpoint, *part_files):
        path.unlink()
    print(
        f"{name:<22} {len(named):>4} pictures, {len(seen)} classes answered, largest difference {largest:.1e}, "
        f"another class {other}   ({megabytes:.0f} MB, {time.monotonic() - begun:.0f} s)",
        flush=True,
    )
    return other == 0 and largest <= TOLERANCE


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    names = sys.argv[3:] or list(SOURCES)
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        sys.exit(f"no such checkpoint: {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    work.mkdir(parents=True, exist_ok=True)
    faces = work / "faces"
    if not faces.exists():
        run(binary, "data", "synth", "--layout", "folder", "--out", faces, "--per-class", 20)
    failed = [name for name in names if not check(binary, work, faces, name)]
    if failed:
        sys.exit(f"different answers: {', '.join(failed)}")


if __name__ == "__main__":
    main()

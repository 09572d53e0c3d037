"""Fixtures for the augmentation tests: torchvision on Pillow images, with the random parameters fixed.

`cases.safetensors` holds an input picture `[rows, cols, channels]` and what each operation makes of it; `cases.json` names
the operation and its parameters. `draws.json` holds means and standard deviations of 20,000 draws of torchvision's random
parameters, which the Rust side compares with its own draws. `policy.json` holds RandAugment's table of strengths.

Run from the repository root: python tools/reference/augment.py
Written with Python 3.11, torch 2.15.0 (CPU), torchvision 0.29.2, pillow 13.0.0, numpy 2.4.6, safetensors 0.8.0.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import InterpolationMode, RandAugment, RandomAffine, RandomErasing, RandomResizedCrop
from torchvision.transforms.autoaugment import _apply_op

OUT = Path("crates/emoxide-train/tests/fixtures/augment")
DRAWS = 20_000
MODES = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "pillow-bilinear": InterpolationMode.BILINEAR,
    "pillow-bicubic": InterpolationMode.BICUBIC,
}


def picture() -> Image.Image:
    """41 wide, 30 high: smooth colours, an edge, a flat grey patch and some noise, so that every branch is met."""
    rows, cols = np.mgrid[0:30, 0:41]
    red = 127 + 120 * np.sin(cols / 5.0 + rows / 9.0)
    green = 127 + 120 * np.cos(rows / 4.0 - cols / 11.0)
    blue = 255.0 * (cols > 20)
    image = np.stack([red, green, blue], axis=-1)
    image[20:28, 3:12] = 90
    image += np.random.default_rng(0).normal(0, 12, image.shape) * (rows < 15)[..., None]
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


def cases():
    fill = [10, 200, 30]
    for mode in ["nearest", "bilinear"]:
        for degrees in [0.0, 7.5, -23.25, 91.0]:
            yield dict(kind="rotation", degrees=degrees, interpolation=mode, fill=fill)
        for angle, translate, scale, shear in [
            (0.0, (0, 0), 1.0, (0.0, 0.0)),
            (0.0, (3, -2), 1.0, (0.0, 0.0)),
            (0.0, (0, 0), 0.83, (0.0, 0.0)),
            (-12.5, (0, 0), 1.0, (0.0, 0.0)),
            (31.0, (-4, 5), 1.21, (6.0, -9.0)),
        ]:
            yield dict(
                kind="affine", angle=angle, translate=translate, scale=scale, shear=shear, interpolation=mode, fill=fill
            )
    for factor in [0.0, 0.37, 1.0, 1.9]:
        for kind in ["brightness", "contrast", "saturation"]:
            yield dict(kind=kind, factor=factor)
    for factor in [-0.5, -0.13, 0.0, 0.31]:
        yield dict(kind="hue", factor=factor)
    yield dict(kind="greyscale")
    for filter_name in ["pillow-bilinear", "pillow-bicubic"]:
        for top, left, height, width, rows, cols in [(2, 5, 24, 30, 24, 24), (0, 0, 30, 41, 11, 13), (7, 3, 9, 12, 32, 28)]:
            window = dict(top=top, left=left, height=height, width=width)
            yield dict(kind="resized-crop", **window, out_height=rows, out_width=cols, filter=filter_name)
    for height, width in [(30, 41), (11, 14), (12, 13), (35, 20), (37, 48)]:
        yield dict(kind="center-crop", height=height, width=width)
    for padding, top, left, height, width in [(4, 0, 0, 30, 41), (4, 8, 8, 30, 41), (3, 2, 5, 20, 42)]:
        yield dict(kind="random-crop", padding=padding, top=top, left=left, height=height, width=width, fill=fill)
    for size in [12, 19]:
        for which in range(5):
            yield dict(kind="five-crop", size=size, which=which)
    space = RandAugment()._augmentation_space(31, (30, 41))
    for operation, (amounts, signed) in space.items():
        for magnitude in [5, 30] if amounts.ndim > 0 else [0]:
            amount = float(amounts[magnitude] if amounts.ndim > 0 else 0.0)
            for sign in [1, -1] if signed and amount > 0 else [1]:
                yield dict(kind="rand-augment", operation=operation, amount=sign * amount)


def run(image: Image.Image, case: dict) -> Image.Image:
    match case["kind"]:
        case "rotation":
            return F.rotate(image, case["degrees"], MODES[case["interpolation"]], fill=case["fill"])
        case "affine":
            return F.affine(
                image,
                case["angle"],
                list(case["translate"]),
                case["scale"],
                list(case["shear"]),
                MODES[case["interpolation"]],
                case["fill"],
            )
        case "brightness":
            return F.adjust_brightness(image, case["factor"])
        case "contrast":
            return F.adjust_contrast(image, case["factor"])
        case "saturation":
            return F.adjust_saturation(image, case["factor"])
        case "hue":
            return F.adjust_hue(image, case["factor"])
        case "greyscale":
            return F.rgb_to_grayscale(image, 3)
        case "resized-crop":
            size = [case["out_height"], case["out_width"]]
            window = (case["top"], case["left"], case["height"], case["width"])
            return F.resized_crop(image, *window, size, MODES[case["filter"]])
        case "center-crop":
            return F.center_crop(image, [case["height"], case["width"]])
        case "random-crop":
            padded = F.pad(image, [case["padding"]] * 4, tuple(case["fill"]))
            return F.crop(padded, case["top"], case["left"], case["height"], case["width"])
        case "five-crop":
            return F.five_crop(image, [case["size"]] * 2)[case["which"]]
        case "rand-augment":
            return _apply_op(image, case["operation"], case["amount"], InterpolationMode.NEAREST, None)
    raise ValueError(case["kind"])


def policy() -> list:
    out = []
    for width, height in [(41, 30), (112, 112), (224, 224), (331, 662)]:
        for operation, (amounts, signed) in RandAugment()._augmentation_space(31, (height, width)).items():
            values = [float(value) for value in amounts] if amounts.ndim > 0 else [0.0] * 31
            out.append(dict(operation=operation, width=width, height=height, signed=signed, amounts=values))
    return out


def moments(rows: list) -> dict:
    values = np.array(rows, dtype=np.float64)
    return {"mean": values.mean(0).tolist(), "deviation": values.std(0).tolist()}


def draws() -> list:
    torch.manual_seed(0)
    out = []
    image = Image.new("RGB", (60, 48))
    # The last shape cannot be met by most tries: the middle window takes over.
    for scale, ratio in [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.8, 1.0), (1.0, 1.0)), ((0.9, 1.0), (2.0, 3.0))]:
        rows = []
        for _ in range(DRAWS):
            top, left, height, width = RandomResizedCrop.get_params(image, list(scale), list(ratio))
            rows.append([top, left, height, width])
        out.append(dict(kind="resized-crop", scale=scale, ratio=ratio, columns="top left height width", **moments(rows)))
    tensor = torch.zeros(1, 48, 60)
    for scale, ratio in [((0.02, 0.33), (0.3, 3.3)), ((0.3, 0.9), (0.5, 2.0))]:
        rows = []
        for _ in range(DRAWS):
            top, left, height, width, _ = RandomErasing.get_params(tensor, scale, ratio, [0.0])
            rows.append([top, left, height, width])
        out.append(dict(kind="erasing", scale=scale, ratio=ratio, columns="top left height width", **moments(rows)))
    rows = []
    for _ in range(DRAWS):
        angle, shift, scale, shear = RandomAffine.get_params([-9, 9], [0.1, 0.05], [0.9, 1.2], [-4, 4, -2, 2], [60, 48])
        rows.append([angle, *shift, scale, *shear])
    out.append(dict(kind="affine", columns="angle shift_x shift_y scale shear_x shear_y", **moments(rows)))
    return out


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    image = picture()
    listed = list(cases())
    tensors = {"input": np.asarray(image)}
    tensors |= {f"case{index:03}": np.asarray(run(image, case)) for index, case in enumerate(listed)}
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / "cases.safetensors")
    (folder / "cases.json").write_text(json.dumps(listed, indent=1) + "\n")
    (folder / "draws.json").write_text(json.dumps(draws(), indent=1) + "\n")
    (folder / "policy.json").write_text(json.dumps(policy()) + "\n")


if __name__ == "__main__":
    main(OUT)

"""Fixtures for `emoxide::image`: resizing, warping and decoding as Pillow, OpenCV and PyTorch do them.

Source: a crop of the public-domain portrait `astronaut` in scikit-image's wheel.

Usage: python tools/reference/pillow_resize.py   (writes crates/emoxide/tests/fixtures/image/)
Written with Python 3.11, pillow 13.0.0, opencv-python-headless 5.0.0.93, torch 2.15.0 (CPU), scikit-image 0.26.0.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from skimage import data

OUT = Path(__file__).resolve().parents[2] / "crates/emoxide/tests/fixtures/image"
SIZES = [(48, 48), (31, 17), (170, 140)]


def save(array, name):
    Image.fromarray(array).save(OUT / name, optimize=True)


def resizing(source):
    pillow = Image.fromarray(source)
    save(source, "source.png")
    for width, height in SIZES:
        tag = f"{width}x{height}.png"
        pillow.resize((width, height), Image.BILINEAR).save(OUT / f"pillow-bilinear-{tag}", optimize=True)
        pillow.resize((width, height), Image.BICUBIC).save(OUT / f"pillow-bicubic-{tag}", optimize=True)
        save(cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR), f"opencv-bilinear-{tag}")
        planes = torch.from_numpy(source.copy()).permute(2, 0, 1)[None].float()
        area = torch.nn.functional.interpolate(planes, size=(height, width), mode="area")
        save(area[0].permute(1, 2, 0).round().byte().numpy(), f"area-{tag}")


def warping(source):
    cases = []
    for name, scale, degrees, shift, size in [
        ("turned", 0.8, 20.0, (5.0, -12.0), (90, 70)),
        ("enlarged", 1.7, -35.0, (-20.0, 60.0), (120, 100)),
    ]:
        angle = np.deg2rad(degrees)
        a, b = scale * np.cos(angle), scale * np.sin(angle)
        matrix = np.array([[a, -b, shift[0]], [b, a, shift[1]]])
        save(cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0), f"warp-{name}.png")
        cases.append({"name": name, "a": a, "b": b, "tx": shift[0], "ty": shift[1], "size": size})
    (OUT / "warp.json").write_text(json.dumps(cases, indent=1) + "\n")


def decoding(source):
    """One small file of each kind, and what Pillow reads from it."""
    small = Image.fromarray(source).resize((45, 31), Image.BICUBIC)
    alpha = small.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(small.size))
    deep = (np.asarray(small).astype(np.uint16) * 257) ^ 0x40
    files = {
        "rgb.png": dict(image=small),
        "alpha.png": dict(image=alpha),
        "grey.png": dict(image=small.convert("L")),
        "grey-alpha.png": dict(image=alpha.convert("LA")),
        "palette.png": dict(image=small.quantize(64)),
        "one-bit.png": dict(image=small.convert("1")),
        "lossless.webp": dict(image=small, lossless=True),
        "lossy.webp": dict(image=small, quality=90),
        "rgb.bmp": dict(image=small),
        "palette.bmp": dict(image=small.quantize(64)),
        "lzw.tiff": dict(image=small, compression="tiff_lzw"),
        "deflate.tiff": dict(image=small, compression="tiff_adobe_deflate"),
        "plain.gif": dict(image=small.quantize(64)),
        "animated.gif": dict(image=small.quantize(64), save_all=True, append_images=[small.rotate(180).quantize(64)]),
        "rgb.jpg": dict(image=small, quality=92, subsampling=0),
        "subsampled.jpg": dict(image=small, quality=92),
        "progressive.jpg": dict(image=small, quality=92, progressive=True),
        "grey.jpg": dict(image=small.convert("L"), quality=92),
        "cmyk.jpg": dict(image=small.convert("CMYK"), quality=95),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"orientation-{orientation}.jpg"] = dict(image=small, quality=92, subsampling=0, exif=exif)
    for name in ["orientation-6.png", "orientation-6.webp", "orientation-6.tiff"]:
        exif = Image.Exif()
        exif[0x0112] = 6
        files[name] = dict(image=small, exif=exif, **(dict(lossless=True) if name.endswith("webp") else {}))
    for name, options in files.items():
        image = options.pop("image")
        image.save(OUT / "decode" / name, **options)
    cv2.imwrite(str(OUT / "decode/deep.png"), deep[:, :, ::-1])
    for path in sorted((OUT / "decode").iterdir()):
        if path.name == "deep.png":
            expected = Image.fromarray((deep.astype(np.float64) / 257).round().astype(np.uint8))
        else:
            with Image.open(path) as opened:
                opened.seek(0)
                expected = ImageOps.exif_transpose(opened).convert("RGB")
        expected.save(OUT / "decoded" / f"{path.name}.png", optimize=True)


def main():
    for folder in [OUT, OUT / "decode", OUT / "decoded"]:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.*"):
            path.unlink()
    source = np.ascontiguousarray(data.astronaut()[40:152, 150:281])  # 131 x 112: a face and its surroundings
    resizing(source)
    warping(source)
    decoding(source)


if __name__ == "__main__":
    main()

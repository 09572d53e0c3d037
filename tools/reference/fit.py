"""Fixtures for `emoxide::preprocess`: torchvision's `Resize` and `CenterCrop` on Pillow images.

Sources are the upper left parts of `tests/fixtures/image/source.png`, which tools/reference/pillow_resize.py writes.

Run from the repository root: python tools/reference/fit.py
Written with Python 3.11, torchvision 0.29.2, pillow 13.0.0.
"""

import json
from pathlib import Path

from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

FIXTURES = Path("crates/emoxide/tests/fixtures")
OUT = FIXTURES / "preprocess"
# The part's width and height; what `Resize` takes; the input's width and height.
CASES = [
    ((131, 112), {"shorter": 64}, (56, 56)),
    ((100, 112), {"shorter": 56}, (56, 56)),
    ((50, 37), {"shorter": 96}, (81, 80)),
    ((37, 50), {"shorter": 41}, (36, 40)),
    ((61, 61), {"width": 60, "height": 60}, (56, 56)),
    ((131, 112), {"width": 65, "height": 58}, (56, 57)),
    ((48, 48), {"width": 230, "height": 230}, (224, 224)),
    ((56, 56), {"shorter": 64}, (56, 56)),
]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    source = Image.open(FIXTURES / "image/source.png").convert("RGB")
    listed = []
    for index, (part, resize, (width, height)) in enumerate(CASES):
        size = resize["shorter"] if "shorter" in resize else (resize["height"], resize["width"])
        fit = Compose([Resize(size), CenterCrop((height, width))])
        name = f"fit-{index}.png"
        fit(source.crop((0, 0, *part))).save(OUT / name, optimize=True)
        listed.append({"part": part, "resize": resize, "width": width, "height": height, "expected": name})
    (OUT / "cases.json").write_text(json.dumps(listed, indent=1) + "\n")


if __name__ == "__main__":
    main()

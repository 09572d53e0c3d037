"""Writes the demo photographs in `assets/photos/` from public-domain and CC0 pictures in two Python wheels.

    pip download --no-deps matplotlib==3.11.2 && unzip matplotlib-*.whl 'matplotlib/mpl-data/sample_data/*'
    python tools/make_photos.py matplotlib/mpl-data/sample_data

Sources and licences stand in `assets/photos/README.md`.
Written with Python 3.11, pillow 13.0.0, scikit-image 0.26.0 (`skimage.data`), matplotlib 3.11.2 (`grace_hopper.jpg`),
numpy 2.4.6.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from skimage import data

OUT = Path(__file__).resolve().parents[1] / "assets/photos"


def scaled(image, height):
    return image.resize((round(image.width * height / image.height), height), Image.LANCZOS)


def save(image, name, **options):
    image.save(OUT / f"{name}.jpg", quality=90, subsampling=0, optimize=True, **options)


def main(sample_data):
    OUT.mkdir(parents=True, exist_ok=True)
    collins = Image.fromarray(data.astronaut())  # 512 x 512
    hopper = Image.open(sample_data / "grace_hopper.jpg").convert("RGB")  # 512 x 600
    cameraman = Image.fromarray(data.camera()).convert("RGB")  # 512 x 512, a head in profile
    coffee = Image.fromarray(data.coffee())  # 600 x 400
    cat = Image.fromarray(data.chelsea())  # 451 x 300
    rocket = Image.fromarray(data.rocket())  # 640 x 427

    save(collins, "astronaut")
    save(hopper, "hopper")
    save(cameraman.convert("L"), "profile")
    save(coffee, "none")
    save(cat, "cat")

    # Three people side by side, of different sizes, one mirrored.
    several = Image.new("RGB", (960, 480), (120, 130, 140))
    several.paste(scaled(collins.crop((120, 0, 400, 480)), 480), (0, 0))
    several.paste(scaled(hopper, 480), (280, 0))
    several.paste(scaled(ImageOps.mirror(collins.crop((150, 10, 350, 270))), 351), (690, 129))
    save(several, "several")

    # A tilted head and a tilted camera.
    turned = hopper.rotate(24, Image.BICUBIC, fillcolor=(40, 60, 120)).crop((60, 60, 460, 520))
    other = collins.rotate(-18, Image.BICUBIC, fillcolor=(190, 180, 170)).crop((90, 0, 400, 460))
    tilted = Image.new("RGB", (turned.width + other.width, 460))
    tilted.paste(turned, (0, 0))
    tilted.paste(other, (turned.width, 0))
    save(tilted, "tilted")

    # Faces of some 24 to 40 pixels in a wide scene.
    small = scaled(rocket, 600)
    for person, height, place in [(collins, 200, (30, 380)), (hopper, 120, (330, 460)), (collins, 150, (640, 430))]:
        small.paste(scaled(person, height), place)
    save(small, "small")

    # Under-exposed, with the noise and blur of a dim room. Not darker: at 0.2 one of MTCNN's suppressions is a tie, and
    # facenet-pytorch's own box moves by 2.9 pixels when 2 % of the values change by one grey level.
    values = np.asarray(hopper, dtype=np.float64) * 0.25
    values += np.random.default_rng(0).normal(4, 4, values.shape)
    dark = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    save(dark.filter(ImageFilter.GaussianBlur(0.8)), "dark")

    save(ImageOps.mirror(hopper).convert("L").crop((60, 40, 460, 480)), "grey")
    # Half of each face lies outside the picture or behind something.
    cut = Image.new("RGB", (640, 420), (90, 90, 90))
    cut.paste(scaled(collins.crop((224, 20, 420, 300)), 420), (0, 0))
    cut.paste(scaled(hopper.crop((100, 60, 420, 420)), 420), (300, 0))
    cut.paste((30, 60, 30), (300, 250, 640, 420))
    save(cut, "cut")

    # Stored on its side; EXIF orientation 6 says how to turn it.
    exif = Image.Exif()
    exif[0x0112] = 6
    save(scaled(collins, 400).rotate(90, expand=True), "sideways", exif=exif)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

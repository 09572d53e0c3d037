"""Composes test clips from the demo photographs: faces that cross, and one that leaves and returns.

    python tools/video/make_clips.py OUT [--frames N] [--size 640x360] [NAME...]

Writes OUT/NAME.mp4 through ffmpeg, and OUT/NAME.csv with where each person's head is in each frame (`frame,person,x,y,
width,height,visible`), for a test to hold tracks against. Names: crossing, returning, long (as many frames as asked for).
Written with Python 3.11, pillow 13.0.0, ffmpeg 5.1.
"""

import argparse
import csv
import math
import subprocess
from pathlib import Path

from PIL import Image

PHOTOS = Path(__file__).resolve().parents[2] / "assets/photos"
RATE = 30
# Head and shoulders in the photograph, and the head itself, in its pixels.
PEOPLE = {
    "collins": ("astronaut.jpg", (110, 0, 340, 260), (160, 50, 290, 220)),
    "hopper": ("hopper.jpg", (110, 40, 400, 370), (160, 90, 350, 330)),
}


def person(name, height):
    """The cut-out at this height in pixels, and the head's box in it."""
    file, cut, head = PEOPLE[name]
    image = Image.open(PHOTOS / file).convert("RGB").crop(cut)
    scale = height / image.height
    image = image.resize((round(image.width * scale), height), Image.LANCZOS)
    return image, [(head[i] - cut[i % 2]) * scale for i in range(4)]


def crossing(index, frames, width, height, sizes):
    """Both walk through the picture; Hopper passes in front. Middles in pixels, front last."""
    part = index / max(frames - 1, 1)
    low, high = 0.16 * width, 0.84 * width
    return [("collins", low + (high - low) * part, 0.52 * height), ("hopper", high + (low - high) * part, 0.5 * height)]


def returning(index, frames, width, height, sizes):
    """Collins stays; Hopper walks out at the right edge, is away for a second, and comes back there."""
    away = 30
    half = (frames - away) // 2
    reach = width + sizes["hopper"][0] * 0.55
    start = 0.68 * width
    if index < half:
        x = start + (reach - start) * index / half
    elif index < half + away:
        x = 2 * width
    else:
        x = reach - (reach - start) * (index - half - away) / max(frames - half - away - 1, 1)
    return [("collins", 0.25 * width, 0.5 * height), ("hopper", x, 0.5 * height)]


def long(index, frames, width, height, sizes):
    """Collins sways on the left, Hopper on the right, both out of step; for a third of every minute Hopper is away."""
    seconds = index / RATE
    x = 0.72 * width + 0.08 * width * math.sin(seconds * 0.9)
    if seconds % 60 > 40:
        x = 2 * width
    return [("collins", 0.28 * width + 0.08 * width * math.sin(seconds * 1.3), 0.5 * height), ("hopper", x, 0.5 * height)]


CLIPS = {"crossing": (crossing, 120), "returning": (returning, 150), "long": (long, None)}


def write(out, name, frames, width, height):
    path, default = CLIPS[name]
    frames = default or frames
    cuts = {who: person(who, round(0.62 * height)) for who in PEOPLE}
    sizes = {who: image.size for who, (image, _) in cuts.items()}
    ffmpeg = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    ffmpeg += ["-s", f"{width}x{height}", "-r", str(RATE), "-i", "-", "-pix_fmt", "yuv420p", "-crf", "18"]
    encoder = subprocess.Popen([*ffmpeg, str(out / f"{name}.mp4")], stdin=subprocess.PIPE)
    with open(out / f"{name}.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["frame", "person", "x", "y", "width", "height", "visible"])
        for index in range(frames):
            picture = Image.new("RGB", (width, height), (96, 110, 120))
            for who, x, y in path(index, frames, width, height, sizes):
                image, head = cuts[who]
                left, top = round(x - image.width / 2), round(y - image.height / 2)
                picture.paste(image, (left, top))
                box = [left + head[0], top + head[1], head[2] - head[0], head[3] - head[1]]
                shown = min(box[0] + box[2], width) - max(box[0], 0)
                table.writerow([index, who, *(f"{value:.1f}" for value in box), f"{max(shown, 0) / box[2]:.2f}"])
            encoder.stdin.write(picture.tobytes())
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise SystemExit(f"ffmpeg failed on {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=["crossing", "returning"])
    parser.add_argument("--frames", type=int, default=10_000, help="length of `long`")
    parser.add_argument("--size", default="640x360")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    width, height = map(int, arguments.size.split("x"))
    for name in arguments.names:
        write(arguments.out, name, arguments.frames, width, height)


if __name__ == "__main__":
    main()

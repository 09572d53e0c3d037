"""Resident memory over many calls of `predict`, drawn: `memory.py CALLS OUT.svg`. Needs psutil."""

import sys
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

import emoxide

sys.path.insert(0, str(Path(__file__).parents[1]))
from memory_plot import draw  # noqa: E402

ROOT = Path(__file__).parents[2]
calls, out = int(sys.argv[1]), Path(sys.argv[2])
face = Image.open(ROOT / "assets" / "photos" / "astronaut.jpg").convert("RGB").crop((150, 30, 310, 190)).resize((60, 60))
pixels, data = np.asarray(face), (ROOT / "assets" / "photos" / "small.jpg").read_bytes()
recognizer, process = emoxide.Recognizer(min_face=30), psutil.Process()
assert recognizer.predict(pixels).faces and recognizer.predict(data).faces

samples, begun = [], time.monotonic()
for call in range(calls + 1):
    if call % (calls // 200) == 0:
        samples.append((call, process.memory_info().rss / 2**20))
    # Nearly all calls give an array; some give a file, whose memory is another.
    recognizer.predict(data if call % 100 == 99 else pixels)
seconds = time.monotonic() - begun
later = [size for call, size in samples if call >= calls // 20]
print(
    f"{calls} calls in {seconds:.0f} s; {min(later):.1f} to {max(later):.1f} MiB from the {calls // 20}th call on, {samples[0][1]:.1f} before"
)
out.write_text(draw(f"{calls:,} calls of predict from Python", "calls", ["predict"], samples))

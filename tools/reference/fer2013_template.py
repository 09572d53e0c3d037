"""Where the five landmarks lie in FER2013's 48x48 crops.

FER2013 has no landmarks. A model trained on its crops wants new faces placed as FER2013's are; this script measures that
place. facenet-pytorch's MTCNN looks at training images enlarged four times (Pillow, bicubic) on a grey border of a quarter
of the side, which its proposal network needs as surroundings. Detections count when the score is above 0.95, the face is
frontal (nose within 12 % of the eyes' distance of their midline) and upright (eye line within 10 degrees of level).
The medians are made left-right symmetric about x = 0.5, where their own axis was measured (0.498).

Unit: position as pixel index in the 48x48 crop, divided by 48; so `t * side` is the pixel index in a crop of another side,
the convention of the ArcFace template. Points: left eye (image left), right eye, nose, left and right corner of the mouth.

Usage: python tools/reference/fer2013_template.py FER2013/train OUT.json
Written with Python 3.11, torch 2.15.0 (CPU), facenet-pytorch 2.6.0, numpy 2.4.6, pillow 13.0.0.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image

WANTED = 600
FACTOR = 4
SIDE = 48


def main(train: Path, out: Path) -> None:
    torch.set_num_threads(1)
    files = sorted(train.glob("*/*"))
    rng = np.random.default_rng(0)
    detector = MTCNN(min_face_size=80, post_process=False, keep_all=False)
    big = SIDE * FACTOR
    pad = big // 4
    kept, looked = [], 0
    for index in rng.permutation(len(files)):
        if len(kept) == WANTED:
            break
        looked += 1
        face = Image.open(files[index]).convert("RGB").resize((big, big), Image.BICUBIC)
        canvas = Image.new("RGB", (big + 2 * pad, big + 2 * pad), (128, 128, 128))
        canvas.paste(face, (pad, pad))
        _, scores, points = detector.detect(canvas, landmarks=True)
        if scores[0] is None or scores[0] <= 0.95:
            continue
        # Pixel index in the enlarged crop -> pixel index in the 48x48 crop (pixel centres) -> units of the side.
        p = ((points[0].astype(np.float64) - pad + 0.5) / FACTOR - 0.5) / SIDE
        eyes = p[1] - p[0]
        if abs(math.degrees(math.atan2(eyes[1], eyes[0]))) > 10:
            continue
        if abs(p[2, 0] - (p[0, 0] + p[1, 0]) / 2) > 0.12 * np.hypot(*eyes):
            continue
        kept.append(p)
    kept = np.stack(kept)
    median = np.median(kept, axis=0)
    # Not about pixel index 23.5 (0.4896): the detector's points lie half a pixel of 48 to the right of it, and will again
    # when a new face is placed by them.
    mirror = median[[1, 0, 2, 4, 3]] * [-1, 1] + [1, 0]
    template = (median + mirror) / 2
    spread = np.median(np.abs(kept - median), axis=0)
    out.write_text(
        json.dumps(
            {
                "template": np.round(template, 5).tolist(),
                "median": np.round(median, 5).tolist(),
                "median_absolute_deviation": np.round(spread, 5).tolist(),
                "images_looked_at": looked,
                "images_kept": len(kept),
                "unit": "pixel index / 48",
                "points": ["left eye", "right eye", "nose", "left mouth corner", "right mouth corner"],
            },
            indent=1,
        )
        + "\n"
    )
    print(out.read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

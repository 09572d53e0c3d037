"""What facenet-pytorch's MTCNN finds on the demo photographs, and what its networks answer to random input.

Usage: python tools/reference/mtcnn.py                   (writes crates/emoxide/tests/fixtures/face/)
       python tools/reference/mtcnn.py FOLDER            (writes FOLDER/mtcnn.json for all images in FOLDER;
                                                          test with EMOXIDE_MTCNN_FOLDER=FOLDER)
Written with Python 3.11, torch 2.15.0 (CPU), torchvision 0.29.2, facenet-pytorch 2.6.0, pillow 13.0.0.
"""

import json
import sys
from pathlib import Path

import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from PIL import Image, ImageOps
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "crates/emoxide/tests/fixtures/face"
PRESETS = {
    "facenet-pytorch": dict(thresholds=[0.6, 0.7, 0.7], factor=0.709, select_largest=True),
    "face-evolve": dict(thresholds=[0.6, 0.7, 0.8], factor=0.707, select_largest=False),
}


def detections(folder):
    found = {}
    for preset, options in PRESETS.items():
        detector = MTCNN(keep_all=True, min_face_size=20, **options)
        for path in sorted(folder.iterdir()):
            if path.suffix not in {".jpg", ".png"}:
                continue
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            boxes, scores, points = detector.detect(image, landmarks=True)
            faces = []
            if boxes is not None:
                for box, score, face in zip(boxes, scores, points):
                    faces.append(
                        {
                            "box": [round(float(v), 4) for v in box],
                            "score": round(float(score), 6),
                            "landmarks": [[round(float(v), 4) for v in point] for point in face],
                        }
                    )
            found.setdefault(path.name, {})[preset] = faces
    return found


def networks():
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    with torch.no_grad():
        # Odd and even sides, so that the ceiling of the pools matters.
        for name, network, shape in [
            ("pnet", PNet(), (2, 3, 37, 50)),
            ("rnet", RNet(), (3, 3, 24, 24)),
            ("onet", ONet(), (3, 3, 48, 48)),
        ]:
            tensors[f"{name}.input"] = torch.rand(shape, generator=generator) * 2 - 1
            outputs = network(tensors[f"{name}.input"])
            labels = ["offsets", "points", "scores"] if name == "onet" else ["offsets", "scores"]
            tensors |= {f"{name}.{label}": output.contiguous() for label, output in zip(labels, outputs)}
    save_file(tensors, OUT / "mtcnn_networks.safetensors")


def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        (folder / "mtcnn.json").write_text(json.dumps(detections(folder), indent=1) + "\n")
        return
    OUT.mkdir(parents=True, exist_ok=True)
    found = detections(ROOT / "assets/photos")
    (OUT / "mtcnn.json").write_text(json.dumps(found, indent=1) + "\n")
    networks()
    for name, presets in found.items():
        print(name, [(len(faces), [face["score"] for face in faces]) for faces in presets.values()])


if __name__ == "__main__":
    main()

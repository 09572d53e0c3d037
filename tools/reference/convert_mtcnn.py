"""Turns facenet-pytorch's MTCNN weights into `assets/mtcnn.safetensors`, with the licence text of the package beside it.

    pip download --no-deps facenet-pytorch==2.6.0
    python tools/reference/convert_mtcnn.py facenet_pytorch-2.6.0-py3-none-any.whl

Names: the file of origin (`pnet`, `rnet`, `onet`), then the PyTorch key, in Burn's spelling and layout:
  conv*.weight, conv*.bias    as they are, [out, in, rows, cols]
  prelu*.weight            -> prelu*.alpha
  dense*.weight [out, in]  -> dense*.weight [in, out], transposed
The order of `dense4`/`dense5` inputs stays width, height, channel; the networks flatten accordingly.

Written with Python 3.11, torch 2.15.0 (CPU), safetensors 0.8.0.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PACKAGE = "facenet-pytorch 2.6.0"


def main(wheel: str) -> None:
    tensors, sums = {}, {}
    with zipfile.ZipFile(wheel) as archive:
        for network in ["pnet", "rnet", "onet"]:
            raw = archive.read(f"facenet_pytorch/data/{network}.pt")
            sums[network] = hashlib.sha256(raw).hexdigest()
            for key, tensor in torch.load(io.BytesIO(raw), weights_only=True).items():
                layer, kind = key.split(".")
                if layer.startswith("prelu"):
                    kind = "alpha"
                elif layer.startswith("dense") and kind == "weight":
                    tensor = tensor.T
                tensors[f"{network}.{layer}.{kind}"] = tensor.float().contiguous()
        licence = archive.read("facenet_pytorch-2.6.0.dist-info/LICENSE.md").decode()
    metadata = {"source": PACKAGE, "licence": "MIT"} | {f"sha256.{name}.pt": digest for name, digest in sums.items()}
    save_file(tensors, ASSETS / "mtcnn.safetensors", metadata=metadata)
    (ASSETS / "mtcnn.LICENCE").write_text(licence)
    count = {name: sum(t.numel() for k, t in tensors.items() if k.startswith(name)) for name in sums}
    assert count == {"pnet": 6632, "rnet": 100178, "onet": 389040}, count
    print(count, sums)


if __name__ == "__main__":
    main(sys.argv[1])

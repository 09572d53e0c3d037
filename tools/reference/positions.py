"""Writes crates/emoxide/tests/fixtures/positions.safetensors: a table of positions as PyTorch's `interpolate` resamples it.

torch 2.15, numpy, safetensors.
"""

import portable
import torch

torch.set_num_threads(1)

WIDTH = 3

if __name__ == "__main__":
    table = portable.tensor("positions", (1, 1 + 14 * 14, WIDTH))
    out = {"14": table}
    for side, corners in ((side, corners) for side in (28, 7, 5, 22) for corners in (False, True)):
        grid = table[:, 1:].reshape(1, 14, 14, WIDTH).permute(0, 3, 1, 2)
        grid = torch.nn.functional.interpolate(grid, (side, side), mode="bilinear", align_corners=corners)
        name = f"{side} corners" if corners else str(side)
        out[name] = torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).reshape(1, side * side, WIDTH)], 1)
    portable.save(out, "positions")

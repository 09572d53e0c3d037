"""Writes crates/emoxide-kernels/tests/fixtures/involution.safetensors: the involution by torch.nn.functional.unfold.

torch 2.15, numpy, safetensors. In double precision, on portable values that the test computes again.
"""

import portable
import torch
import torch.nn.functional as F

# batch, channels, groups, rows, cols, kernel, stride
CASES = {
    "3x3": (2, 32, 2, 6, 9, 3, 1),
    "7x7": (1, 16, 1, 9, 7, 7, 1),
    "7x7 of every second pixel": (2, 6, 3, 8, 11, 7, 2),
    "5x5 of every third pixel": (1, 5, 1, 7, 10, 5, 3),
    "larger than the map": (2, 4, 2, 2, 3, 7, 2),
}


def involution(images, kernels, size, stride):
    batch, channels, _, _ = images.shape
    _, groups, taps, rows, cols = kernels.shape
    windows = F.unfold(images, size, padding=size // 2, stride=stride)
    windows = windows.view(batch, groups, channels // groups, taps, rows, cols)
    return (windows * kernels.unsqueeze(2)).sum(3).view(batch, channels, rows, cols)


def main():
    torch.set_num_threads(1)
    out = {}
    for case, (batch, channels, groups, rows, cols, size, stride) in CASES.items():
        output_rows, output_cols = (rows - 1) // stride + 1, (cols - 1) // stride + 1
        images = portable.tensor("images", (batch, channels, rows, cols)).double().requires_grad_()
        kernels = portable.tensor("kernels", (batch, groups, size * size, output_rows, output_cols)).double().requires_grad_()
        output = involution(images, kernels, size, stride)
        (output * portable.tensor("cotangent", output.shape)).sum().backward()
        out[f"{case}/sizes"] = torch.tensor([float(groups), float(size), float(stride)])
        out[f"{case}/output"], out[f"{case}/images"], out[f"{case}/kernels"] = output, images.grad, kernels.grad
    portable.save(out, "involution", crate="emoxide-kernels")


if __name__ == "__main__":
    main()

"""Writes crates/emoxide/tests/fixtures/ir.safetensors: a twin of face.evoLVe's IR networks, written from the facts (units,
strides, names) and not from its code, on portable weights.

torch 2.15, numpy, safetensors.
"""

import portable
import torch
from torch import nn

torch.set_num_threads(1)


class Unit(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class Ir(nn.Module):
    def __init__(self, widths, units, stem, classes=None, head=None):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem))
        body, inputs = [], stem
        for width, count in zip(widths, units):
            for index in range(count):
                body.append(Unit(inputs, width, 2 if index == 0 else 1))
                inputs = width
        self.body = nn.Sequential(*body)
        self.output_layer, embedding = None, inputs
        if head is not None:
            size, embedding = head
            side = size >> len(widths)
            # Dropout 0 here: its draws could not be compared.
            self.output_layer = nn.Sequential(
                nn.BatchNorm2d(inputs),
                nn.Dropout(0.0),
                nn.Flatten(),
                nn.Linear(inputs * side * side, embedding),
                nn.BatchNorm1d(embedding),
            )
        self.fc = nn.Linear(embedding, classes) if classes else None


def seams(model, images):
    features = model.body(model.input_layer(images))
    embedding = features.mean((2, 3)) if model.output_layer is None else model.output_layer(features)
    return features, embedding, embedding if model.fc is None else model.fc(embedding)


FULL = [64, 128, 256, 512]
CASES = {
    "ir18": (lambda: Ir(FULL, [2, 2, 2, 2], 64, classes=7), (2, 3, 64, 48)),
    "ir50": (lambda: Ir(FULL, [3, 4, 14, 3], 64, classes=7), (2, 3, 64, 48)),
    "tiny-face": (lambda: Ir([8, 12, 16, 24], [2, 1, 2, 1], 8, head=(64, 20)), (4, 3, 64, 64)),
    "tiny-both": (lambda: Ir([8, 12, 16], [1, 2, 1], 8, classes=8, head=(32, 20)), (4, 3, 32, 32)),
}

if __name__ == "__main__":
    out = {}
    for case, (build, shape) in CASES.items():
        model = build()
        portable.fill(model)
        portable.record(out, case, model, portable.tensor("images", shape), seams)
    portable.save(out, "ir")

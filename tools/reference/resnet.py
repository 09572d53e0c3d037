"""Writes crates/emoxide/tests/fixtures/resnet.safetensors: torchvision's ResNets on portable weights.

torch 2.15, torchvision of the same release, numpy, safetensors.
"""

import portable
import torch
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

torch.set_num_threads(1)


class Compact(ResNet):
    """torchvision's parts in the widths, the stem and the stages of a `ResNetConfig`."""

    def __init__(self, block, channels, stem_width, widths, blocks, first_stride, classes):
        super().__init__(block, [1, 1, 1, 1], num_classes=classes)
        self.conv1 = torch.nn.Conv2d(channels, stem_width, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(stem_width)
        self.maxpool = torch.nn.Identity()
        self.inplanes = stem_width
        for index in range(4):
            name = f"layer{index + 1}"
            if index < len(widths):
                stride = first_stride if index == 0 else 2
                setattr(self, name, self._make_layer(block, widths[index], blocks[index], stride=stride))
            else:
                setattr(self, name, torch.nn.Identity())
        self.fc = torch.nn.Linear(widths[-1] * block.expansion, classes)


def seams(model, images):
    x = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    features = model.layer4(model.layer3(model.layer2(model.layer1(x))))
    embedding = model.avgpool(features).flatten(1)
    return features, embedding, model.fc(embedding)


CASES = {
    "resnet18": (lambda: ResNet(BasicBlock, [2, 2, 2, 2], num_classes=7), (2, 3, 64, 48)),
    "resnet34": (lambda: ResNet(BasicBlock, [3, 4, 6, 3], num_classes=7), (2, 3, 64, 48)),
    "resnet50": (lambda: ResNet(Bottleneck, [3, 4, 6, 3], num_classes=7), (2, 3, 64, 48)),
    "compact-basic": (lambda: Compact(BasicBlock, 1, 8, [12, 16, 24], [2, 1, 2], 2, 8), (3, 1, 48, 40)),
    "compact-bottleneck": (lambda: Compact(Bottleneck, 3, 8, [6, 10], [2, 1], 1, 8), (3, 3, 24, 32)),
}

if __name__ == "__main__":
    out = {}
    for case, (build, shape) in CASES.items():
        model = build()
        portable.fill(model)
        portable.record(out, case, model, portable.tensor("images", shape), seams)
    portable.save(out, "resnet")

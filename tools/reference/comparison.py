"""Writes crates/emoxide/tests/fixtures/{alexnet,vgg,local_transformer,dacl_attention,dacl}.safetensors: the networks of
Lee's comparison on FER2013 and the official DACL, on portable weights.

torchvision's AlexNet and ResNets and PyTorch's encoder are used as they are; what stands around them is written from the
facts (layers, names) and not from the authors' code. Trunks keep torchvision's names.

torch 2.15, torchvision of the same release, numpy, safetensors.
"""

import portable
import torch
from resnet import Compact
from torch import nn
from torchvision.models import alexnet, resnet18
from torchvision.models.resnet import BasicBlock, Bottleneck

torch.set_num_threads(1)
# The encoder's own code for evaluation is another than for training.
torch.backends.mha.set_fastpath_enabled(False)


def full_alexnet(classes):
    model = alexnet(num_classes=classes, dropout=0.0)
    model.features[0] = nn.Conv2d(1, 64, 11, stride=4, padding=2)
    return model


def alexnet_seams(model, images):
    features = model.features(images)
    embedding = model.classifier[:-1](model.avgpool(features).flatten(1))
    return features, embedding, model.classifier[-1](embedding)


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, bias):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


class Vgg(nn.Module):
    def __init__(self, channels, image, widths, hidden, classes, pool=None):
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.features = nn.ModuleList(
            nn.Sequential(ConvNorm(before, width, True), ConvNorm(width, width, True))
            for before, width in zip(inputs, widths)
        )
        self.pool = nn.AdaptiveAvgPool2d(pool) if pool else nn.Identity()
        side = pool or image >> len(widths)
        self.classifier = nn.ModuleList(
            [nn.Linear(widths[-1] * side * side, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, classes)]
        )


def vgg_seams(model, images):
    features = images
    for stage in model.features:
        features = nn.functional.max_pool2d(stage(features), 2)
    first, second, last = model.classifier
    embedding = second(first(model.pool(features).flatten(1)).relu()).relu()
    return features, embedding, last(embedding)


class Trunk(nn.Module):
    """A ResNet of torchvision up to its last map."""

    def __init__(self, network):
        super().__init__()
        for name in ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]:
            setattr(self, name, getattr(network, name))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def compact(channels, widths, block=BasicBlock, first_stride=1):
    """One block a stage behind a small stem."""
    return Trunk(Compact(block, channels, 8, widths, [1] * len(widths), first_stride, 1))


def imagenet(channels, widths):
    """One block a stage behind torchvision's stem."""
    trunk = compact(channels, widths)
    trunk.conv1 = nn.Conv2d(channels, 8, 7, stride=2, padding=3, bias=False)
    trunk.maxpool = nn.MaxPool2d(3, 2, 1)
    return trunk


class Plain(nn.ModuleList):
    def __init__(self, channels, widths):
        super().__init__(ConvNorm(before, width, False) for before, width in zip([channels, *widths[:-1]], widths))

    def forward(self, x):
        for stage in self:
            x = nn.functional.max_pool2d(stage(x), 2)
        return x


class LocalTransformer(nn.Module):
    """Nothing is dropped here: draws could not be compared."""

    def __init__(self, stem, channels, width, depth, heads, hidden, classes, norm_first):
        super().__init__()
        self.stem_cnn = stem
        self.local_cnn1 = nn.Conv2d(channels, width, 3, padding=1)
        self.local_cnn2 = nn.Conv2d(channels, width, 3, padding=1)
        layer = nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, batch_first=True, norm_first=norm_first)
        self.transformer_encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.classifier = nn.Linear(width, classes)


def local_transformer_seams(model, images):
    features = model.stem_cnn(images)
    stacked = torch.cat([model.local_cnn1(features), model.local_cnn2(features)], dim=2)
    tokens = stacked.permute(0, 2, 3, 1).flatten(1, 2)
    embedding = model.transformer_encoder(tokens).mean(1)
    return features, embedding, model.classifier(embedding)


class Attention(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        keys = self.conv1(x).flatten(2)
        shares = torch.softmax(keys.transpose(1, 2) @ keys, dim=-1)
        seen = shares @ self.conv2(x).flatten(2).transpose(1, 2)
        return x + seen.transpose(1, 2).reshape(x.shape)


class DaclAttention(nn.Module):
    def __init__(self, trunk, channels, width, classes, pooled, places=1):
        super().__init__()
        self.base_model = trunk
        self.pooled = pooled
        self.mean = places == 1
        self.attention = Attention(channels, width)
        self.fc = nn.Linear(channels * places, classes)


def dacl_attention_seams(model, images):
    features = model.base_model(images)
    grid = features.mean((2, 3), keepdim=True) if model.pooled else features
    seen = model.attention(grid)
    embedding = seen.mean((2, 3)) if model.mean else seen.flatten(1)
    return features, embedding, model.fc(embedding)


def full_dacl_attention(classes):
    network = resnet18()
    network.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    return DaclAttention(Trunk(network), 512, 64, classes, pooled=True)


class Dacl(nn.Module):
    def __init__(self, trunk, channels, places, widths, classes):
        super().__init__()
        self.base_model = trunk
        layers, inputs = [], channels * places
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
            inputs = width
        layers[-1] = nn.Tanh()
        self.attention = nn.Sequential(*layers)
        self.attention_heads = nn.Linear(inputs, 2 * channels)
        self.fc = nn.Linear(channels, classes)


def dacl_seams(model, images):
    """Behind the logits stands what the sparse centre loss sees, so that it has gradients here too."""
    features = model.base_model(images)
    embedding = features.mean((2, 3))
    heads = model.attention_heads(model.attention(features.flatten(1)))
    attention = torch.softmax(heads.reshape(-1, embedding.shape[1], 2), dim=-1)[:, :, 1]
    return features, embedding, torch.cat([model.fc(embedding), attention], dim=1)


TOPICS = {
    "alexnet": (alexnet_seams, {"full": (lambda: full_alexnet(7), (2, 1, 64, 96))}),
    "vgg": (
        vgg_seams,
        {
            "whole": (lambda: Vgg(1, 48, [8, 12, 16, 24], 20, 7), (4, 1, 48, 48)),
            "pooled": (lambda: Vgg(3, 48, [8, 12, 16, 24], 20, 8, pool=2), (4, 3, 48, 80)),
        },
    ),
    "local_transformer": (
        local_transformer_seams,
        {
            "resnet-after": (
                lambda: LocalTransformer(imagenet(1, [8, 12, 16, 24]), 24, 32, 3, 4, 24, 7, False),
                (3, 1, 96, 64),
            ),
            "plain-before": (
                lambda: LocalTransformer(Plain(3, [8, 12, 16]), 16, 20, 2, 2, 28, 8, True),
                (3, 3, 32, 40),
            ),
        },
    ),
    "dacl_attention": (
        dacl_attention_seams,
        {
            "full": (lambda: full_dacl_attention(7), (2, 1, 64, 48)),
            "pooled": (
                lambda: DaclAttention(compact(1, [6, 10], Bottleneck), 40, 8, 7, pooled=True),
                (4, 1, 24, 32),
            ),
            "flattened": (
                lambda: DaclAttention(compact(3, [8, 12, 16], first_stride=2), 16, 8, 8, pooled=False, places=16),
                (4, 3, 32, 32),
            ),
            "mean": (lambda: DaclAttention(imagenet(1, [8, 12, 16]), 16, 6, 7, pooled=False), (4, 1, 64, 48)),
        },
    ),
    "dacl": (
        dacl_seams,
        {"small": (lambda: Dacl(compact(3, [8, 12, 16], first_stride=2), 16, 16, [24, 16, 8], 7), (6, 3, 32, 32))},
    ),
}

if __name__ == "__main__":
    for topic, (seams, cases) in TOPICS.items():
        out = {}
        for case, (build, shape) in cases.items():
            model = build()
            portable.fill(model)
            portable.record(out, case, model, portable.tensor("images", shape), seams)
        portable.save(out, topic)

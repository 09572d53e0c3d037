"""Writes crates/emoxide/tests/fixtures/transfer.safetensors: a twin of TransFER, written from the paper and the facts of
the authors' release (layers, names) and not from its code, on portable weights. `LA_conv` of the authors is `la_conv` here.

torch 2.15, numpy, safetensors.
"""

import ir
import portable
import torch
from torch import nn

torch.set_num_threads(1)


class LaNet(nn.Module):
    def __init__(self, channels, ratio, norm):
        super().__init__()
        between = channels // ratio
        self.la_conv1 = nn.Conv2d(channels, between, 1)
        self.bn1 = nn.BatchNorm2d(between) if norm else nn.Identity()
        self.la_conv2 = nn.Conv2d(between, 1, 1)
        self.bn2 = nn.BatchNorm2d(1) if norm else nn.Identity()

    def forward(self, x):
        return torch.sigmoid(self.bn2(self.la_conv2(torch.relu(self.bn1(self.la_conv1(x))))))


class LocalAttention(nn.Module):
    """Nothing is dropped here: draws could not be compared."""

    def __init__(self, branches, channels, ratio, norm):
        super().__init__()
        self.las = nn.ModuleList(LaNet(channels, ratio, norm) for _ in range(branches))

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.las], dim=1).amax(1, keepdim=True)


class Attention(nn.Module):
    def __init__(self, width, heads, bias, scale):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width)
        self.heads, self.scale = heads, scale

    def forward(self, x):
        batch, tokens, width = x.shape
        query, key, value = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        shares = torch.softmax(query @ key.transpose(2, 3) * self.scale, dim=-1)
        return self.proj((shares @ value).transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads, hidden, bias, scale, epsilon):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = Attention(width, heads, bias, scale)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = Mlp(width, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    def __init__(self, tokens, width, depth, heads, hidden, bias, scale, epsilon):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.blocks = nn.Sequential(*(Block(width, heads, hidden, bias, scale, epsilon) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=epsilon)

    def forward(self, pixels):
        token = self.cls_token.expand(len(pixels), -1, -1)
        return self.norm(self.blocks(torch.cat([token, pixels], dim=1) + self.pos_embed))[:, 0]


class Transfer(nn.Module):
    def __init__(
        self, widths, units, stem, image, branches, classes, ratio=16, norm=True, after=False, width=768, depth=8, heads=8,
        hidden=2304, bias=False, whole_scale=False, epsilon=1e-6,
    ):
        super().__init__()
        trunk = ir.Ir(widths, units, stem)
        self.extractor = nn.ModuleDict({"input_layer": trunk.input_layer, "body": trunk.body})
        channels, side = widths[-1], image >> len(widths)
        if branches:
            self.attention = LocalAttention(branches, channels, ratio, norm)
        self.convert = nn.ModuleDict({"proj": nn.Conv2d(channels, width, 1)})
        scale = (width if whole_scale else width // heads) ** -0.5
        self.vit = Vit(1 + side * side, width, depth, heads, hidden, bias, scale, epsilon)
        self.head = nn.ModuleDict({"fc": nn.Linear(width, classes)})
        self.branches, self.after = branches, after


def seams(model, images):
    features = model.extractor["body"](model.extractor["input_layer"](images))
    if model.branches and not model.after:
        features = features * model.attention(features)
    pixels = model.convert["proj"](features)
    if model.branches and model.after:
        pixels = pixels * model.attention(features)
    embedding = model.vit(pixels.flatten(2).transpose(1, 2))
    return features, embedding, model.head["fc"](embedding)


SMALL = {"ratio": 4, "width": 24, "depth": 2, "heads": 3, "hidden": 36}
CASES = {
    "full": (lambda: Transfer([64, 128, 256], [3, 4, 14], 64, 112, 2, 7), (2, 3, 112, 112)),
    "before": (lambda: Transfer([8, 12, 16], [1, 2, 1], 8, 32, 2, 7, **SMALL), (4, 3, 32, 32)),
    "after": (
        lambda: Transfer(
            [8, 12], [2, 1], 8, 32, 3, 8, norm=False, after=True, bias=True, whole_scale=True, epsilon=1e-5, **SMALL
        ),
        (4, 3, 32, 32),
    ),
    "none": (lambda: Transfer([8, 12, 16, 24], [1, 1, 2, 1], 8, 48, 0, 7, **SMALL), (4, 3, 48, 48)),
}

if __name__ == "__main__":
    out = {}
    for case, (build, shape) in CASES.items():
        model = build()
        portable.fill(model)
        portable.record(out, case, model, portable.tensor("images", shape), seams)
    portable.save(out, "transfer")

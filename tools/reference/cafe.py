"""Writes crates/emoxide/tests/fixtures/cafe.safetensors: a twin of CAFE, written from the paper and the facts of the authors'
release (layers, names) and not from its code, on portable weights. The authors' `features.0` and so on are `mask.conv1`.

CLIP's image tower is written the same way; in half precision it rounds behind every operation, as PyTorch computes on a GPU.
The fixed features of that are compared by themselves.

torch 2.15, torchvision of the same release, numpy, safetensors.
"""

import portable
import torch
from comparison import Trunk, compact, imagenet
from torch import nn
from torchvision.models import mobilenet_v2, resnet18, resnet50
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import Bottleneck

torch.set_num_threads(1)

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def exact(value):
    return value


def half(value):
    return value.half().to(value.dtype)


class LayerNorm(nn.LayerNorm):
    """In half precision too it computes in single precision, with weights of single precision."""


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x, rounded):
        batch, tokens, width = x.shape
        parts = rounded(nn.functional.linear(x, rounded(self.in_proj_weight), rounded(self.in_proj_bias)))
        query, key, value = parts.reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query = rounded(query * (width // self.heads) ** -0.5)
        shares = rounded(torch.softmax(rounded(query @ key.transpose(2, 3)), dim=-1))
        seen = rounded(shares @ value).transpose(1, 2).reshape(batch, tokens, width)
        return layer(self.out_proj, seen, rounded)


def layer(linear, x, rounded):
    return rounded(nn.functional.linear(x, rounded(linear.weight), rounded(linear.bias)))


class ResBlock(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.ln_1 = LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, hidden), "c_proj": nn.Linear(hidden, width)})

    def forward(self, x, rounded):
        x = rounded(x + self.attn(rounded(self.ln_1(x)), rounded))
        hidden = layer(self.mlp["c_fc"], rounded(self.ln_2(x)), rounded)
        hidden = rounded(hidden * rounded(torch.sigmoid(rounded(1.702 * hidden))))
        return rounded(x + layer(self.mlp["c_proj"], hidden, rounded))


class Clip(nn.Module):
    def __init__(self, channels, image, patch=32, width=768, depth=12, heads=12, hidden=3072, embedding=512, own_norm=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + (image // patch) ** 2, width))
        self.ln_pre = LayerNorm(width)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(ResBlock(width, heads, hidden) for _ in range(depth))})
        self.ln_post = LayerNorm(width)
        self.proj = nn.Parameter(torch.zeros(width, embedding))
        self.patch, self.own_norm = patch, own_norm

    def forward(self, images, rounded=exact):
        """The feature and the map of the other tokens."""
        if self.own_norm:
            mean, deviation, to_mean, to_deviation = (
                torch.tensor(values, dtype=images.dtype).reshape(1, 3, 1, 1) for values in IMAGENET + CLIP
            )
            images = (images * deviation + mean - to_mean) / to_deviation
        patches = rounded(nn.functional.conv2d(rounded(images), rounded(self.conv1.weight), stride=self.patch))
        tokens = patches.flatten(2).transpose(1, 2)
        token = rounded(self.class_embedding).expand(len(images), 1, -1)
        x = rounded(torch.cat([token, tokens], dim=1) + rounded(self.positional_embedding))
        x = rounded(self.ln_pre(x))
        for block in self.transformer["resblocks"]:
            x = block(x, rounded)
        feature = rounded(rounded(self.ln_post(x[:, 0])) @ rounded(self.proj))
        return feature, x[:, 1:].transpose(1, 2).reshape(patches.shape)


class MobileNet(nn.Module):
    """A MobileNetV2 of torchvision up to its last map."""

    def __init__(self, network):
        super().__init__()
        self.features = network.features

    def forward(self, x):
        return self.features(x)


def small_mobilenet():
    """torchvision rounds widths to multiples of its last argument."""
    settings = [[1, 6, 1, 1], [3, 8, 2, 2], [2, 10, 1, 1]]
    network = MobileNetV2(inverted_residual_setting=settings, round_nearest=2)
    network.features[0] = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
    first = network.features[1].conv
    first[0] = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
    first[1] = nn.Conv2d(8, 6, 1, bias=False)
    network.features[-1] = nn.Sequential(nn.Conv2d(10, 20, 1, bias=False), nn.BatchNorm2d(20), nn.ReLU6())
    return MobileNet(network)


class Cafe(nn.Module):
    """`kind`: sigmoid, raw, none or probe."""

    def __init__(self, clip, mask, embedding, classes, kind="sigmoid", trainable=False):
        super().__init__()
        if clip is not None:
            self.clip = clip.requires_grad_(trainable)
        if mask is not None:
            self.mask = mask
        self.fc = nn.Linear(embedding, classes)
        self.kind, self.embedding = kind, embedding


def seams(model, images):
    if model.kind != "none":
        fixed, features = model.clip(images)
    if model.kind != "probe":
        features = model.mask(images)
        raw = nn.functional.adaptive_avg_pool1d(features.mean((2, 3))[:, None], model.embedding)[:, 0]
    if model.kind == "sigmoid":
        embedding = fixed * torch.sigmoid(raw)
    elif model.kind == "raw":
        embedding = fixed * raw
    else:
        embedding = raw if model.kind == "none" else fixed
    return features, embedding, model.fc(embedding)


def full(mask=lambda: Trunk(resnet18())):
    return Cafe(Clip(3, 224), mask(), 512, 7)


def full_resnet50():
    return full(lambda: Trunk(resnet50()))


def full_mobilenet():
    return full(lambda: MobileNet(mobilenet_v2()))


def small_clip(channels=3, image=48, **settings):
    return Clip(channels, image, patch=16, width=24, depth=2, heads=3, hidden=36, embedding=30, **settings)


SMALL = (4, 3, 48, 48)
CASES = {
    "full": (full, (2, 3, 224, 224)),
    "sigmoid": (lambda: Cafe(small_clip(), imagenet(3, [8, 12, 16, 30]), 30, 7), SMALL),
    "wider": (lambda: Cafe(small_clip(), compact(3, [6, 10], Bottleneck, 2), 30, 8), SMALL),
    "grey-raw": (lambda: Cafe(small_clip(1), compact(1, [8, 12]), 30, 7, "raw"), (4, 1, 48, 48)),
    "mobilenet": (lambda: Cafe(small_clip(), small_mobilenet(), 30, 7), SMALL),
    "none": (lambda: Cafe(None, imagenet(3, [8, 12, 16, 30]), 30, 7, "none"), (4, 3, 48, 64)),
    "probe": (lambda: Cafe(small_clip(), None, 30, 7, "probe"), SMALL),
    "tuned": (lambda: Cafe(small_clip(own_norm=True), compact(3, [8, 30]), 30, 7, trainable=True), SMALL),
}


def features(out):
    """What a tower alone sees: that of ViT-B/32 and a small one, in double precision and in half precision. Behind twelve
    blocks the roundings of half precision are noise, and two computations of it are as far apart as either is from the
    exact features; a small tower's numbers are still the same ones but for a few."""
    for name, clip, shape in [("full", Clip(3, 224), (2, 3, 224, 224)), ("small", small_clip(), SMALL)]:
        state = {key: portable.weight(f"clip.{key}", value.shape) for key, value in clip.state_dict().items()}
        clip.load_state_dict(state)
        images = portable.tensor("images", shape)
        with torch.no_grad():
            rounded = out[f"features/{name}-half"] = clip(images, half)[0]
            exact = out[f"features/{name}-exact"] = clip.double()(images.double())[0]
        apart = (rounded - exact).square().mean().sqrt().item()
        print(f"{name} features: largest {exact.abs().max().item():.2f}, half precision moves them by {apart:.1e}")


if __name__ == "__main__":
    out = {}
    features(out)
    for case, (build, shape) in CASES.items():
        model = build()
        portable.fill(model)
        portable.record(out, case, model, portable.tensor("images", shape), seams)
    portable.save(out, "cafe")

"""Writes crates/emoxide/tests/fixtures/involution_vit.safetensors: a twin of involution and vision transformer side by side,
written from the paper and the facts of the public code (layers, names) and not from it, on portable weights.

torch 2.15, numpy, safetensors.
"""

import math

import portable
import torch
import torch.nn.functional as F
from involution import involution
from torch import nn
from transfer import Block

torch.set_num_threads(1)


class ConvBn(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


class Involution(nn.Module):
    def __init__(self, channels, kernel, stride, group):
        super().__init__()
        self.conv1 = ConvBn(channels, channels // 4, 1)
        self.conv2 = nn.ModuleDict({"conv": nn.Conv2d(channels // 4, kernel * kernel * (channels // group), 1)})
        self.kernel, self.stride, self.groups = kernel, stride, channels // group

    def forward(self, x):
        seen = x if self.stride == 1 else F.avg_pool2d(x, self.stride)
        kernels = self.conv2["conv"](self.conv1(seen))
        kernels = kernels.unflatten(1, (self.groups, self.kernel * self.kernel))
        return involution(x, kernels, self.kernel, self.stride)


class RedBlock(nn.Module):
    def __init__(self, inputs, width, stride, kernel, group):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Involution(width, kernel, stride, group)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x):
        carried = self.downsample(x) if hasattr(self, "downsample") else x
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x)).relu()
        return (self.bn3(self.conv3(x)) + carried).relu()


class RedNet(nn.Module):
    def __init__(self, stem=64, widths=(64, 128, 256, 512), blocks=(3, 4, 6, 3), kernel=7, group=16):
        super().__init__()
        half = stem // 2
        self.stem = nn.Sequential(
            ConvBn(3, half, 3, 2), Involution(half, 3, 1, group), nn.BatchNorm2d(half), nn.ReLU(), ConvBn(half, stem, 3)
        )
        self.channels = stem
        for stage, (width, count) in enumerate(zip(widths, blocks)):
            layer = []
            for index in range(count):
                layer.append(RedBlock(self.channels, width, 2 if stage and not index else 1, kernel, group))
                self.channels = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.stages = len(widths)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x


class StdConv(nn.Conv2d):
    """Standardised filters; TensorFlow's padding or an even one."""

    def __init__(self, inputs, outputs, kernel, stride, numerics):
        super().__init__(inputs, outputs, kernel, stride, bias=False)
        self.numerics = numerics

    def forward(self, x):
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, unbiased=False)
        weight = (self.weight - mean) / (variance + (1e-5 if self.numerics == "transunet" else 1e-8)).sqrt()
        kernel, stride = self.kernel_size[0], self.stride[0]
        if self.numerics == "transunet":
            return F.conv2d(x, weight, None, stride, kernel // 2)
        pads = []
        for size in (x.shape[3], x.shape[2]):
            missing = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [missing // 2, missing - missing // 2]
        return F.conv2d(F.pad(x, pads), weight, None, stride)


class ConvGn(nn.Module):
    def __init__(self, conv, norm):
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x):
        return self.norm(self.conv(x))


class Unit(nn.Module):
    def __init__(self, inputs, width, stride, groups, numerics):
        super().__init__()
        epsilon = 1e-5 if numerics == "timm" else 1e-6
        self.conv1 = StdConv(inputs, width, 1, 1, numerics)
        self.norm1 = nn.GroupNorm(groups, width, epsilon)
        self.conv2 = StdConv(width, width, 3, stride, numerics)
        self.norm2 = nn.GroupNorm(groups, width, epsilon)
        self.conv3 = StdConv(width, 4 * width, 1, 1, numerics)
        self.norm3 = nn.GroupNorm(groups, 4 * width, epsilon)
        if stride != 1 or inputs != 4 * width:
            conv = StdConv(inputs, 4 * width, 1, stride, numerics)
            every = numerics == "transunet"
            norm = nn.GroupNorm(4 * width if every else groups, 4 * width, 1e-5 if every else epsilon)
            self.downsample = ConvGn(conv, norm)

    def forward(self, x):
        carried = self.downsample(x) if hasattr(self, "downsample") else x
        x = self.norm1(self.conv1(x)).relu()
        x = self.norm2(self.conv2(x)).relu()
        return (self.norm3(self.conv3(x)) + carried).relu()


class Hybrid(nn.Module):
    def __init__(self, root=64, widths=(64, 128, 256), units=(3, 4, 9), groups=32, numerics="jax-same"):
        super().__init__()
        norm = nn.GroupNorm(groups, root, 1e-5 if numerics == "timm" else 1e-6)
        self.stem = ConvGn(StdConv(3, root, 7, 2, numerics), norm)
        stages, inputs = [], root
        for stage, (width, count) in enumerate(zip(widths, units)):
            blocks = []
            for index in range(count):
                blocks.append(Unit(inputs, width, 2 if stage and not index else 1, groups, numerics))
                inputs = 4 * width
            stages.append(nn.ModuleDict({"blocks": nn.Sequential(*blocks)}))
        self.stages = nn.ModuleList(stages)
        self.numerics, self.channels = numerics, inputs

    def forward(self, x):
        x = self.stem(x).relu()
        if self.numerics != "transunet":
            x = F.pad(x, (0, 1, 0, 1), value=-math.inf)
        x = F.max_pool2d(x, 3, 2)
        for stage in self.stages:
            x = stage["blocks"](x)
        return x


class Project(nn.Module):
    def __init__(self, inputs, outputs, norm=True, rectified=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)
        self.bn = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.rectified = rectified

    def forward(self, x):
        x = self.bn(self.conv(x))
        return x.relu() if self.rectified else x


def resized(map, size):
    return F.interpolate(map, size=tuple(size), mode="bilinear", align_corners=True)


class PatchEmbed(nn.Module):
    def __init__(self, embed, rednet, width, hybrid):
        super().__init__()
        if embed == "r50":
            self.backbone = Hybrid(**hybrid)
            self.proj = nn.Conv2d(self.backbone.channels, width, 1)
        elif embed == "patch16":
            self.proj = nn.Conv2d(3, width, 16, 16)
        else:
            self.project = Project(rednet, rednet // 2)
            self.proj = nn.Conv2d(rednet // 2, width, 1)
        self.embed = embed

    def forward(self, images, map):
        if self.embed == "r50":
            images = self.backbone(images)
        elif self.embed == "rednet-hybrid":
            images = resized(self.project(map), [2 * map.shape[2], 2 * map.shape[3]])
        return self.proj(images)


class Vit(nn.Module):
    def __init__(self, tokens, rednet, embed="r50", width=768, depth=12, heads=12, hidden=3072, token=False, hybrid={}):
        super().__init__()
        self.patch_embed = PatchEmbed(embed, rednet, width, hybrid)
        if token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens + token, width))
        scale = (width // heads) ** -0.5
        self.blocks = nn.Sequential(*(Block(width, heads, hidden, True, scale, 1e-6) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.token = token

    def forward(self, images, map):
        patches = self.patch_embed(images, map)
        tokens = patches.flatten(2).transpose(1, 2)
        if self.token:
            tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), tokens], dim=1)
        tokens = self.norm(self.blocks(tokens + self.pos_embed))
        token = tokens[:, 0] if self.token else None
        return tokens[:, int(self.token) :].transpose(1, 2).reshape(patches.shape), token


class Fusion(nn.Module):
    def __init__(self, inputs, kind="project-concat", grid="rednet", projected=1024, width=512, norm=True, rectified=True):
        super().__init__()
        if kind != "direct-concat":
            self.rednet = Project(inputs[0], projected, norm, rectified)
            self.vit = Project(inputs[1], projected, norm, rectified)
        seen = {"project-concat": 2 * projected, "direct-concat": sum(inputs), "sum": projected}[kind]
        self.both = Project(seen, width, norm, rectified)
        self.kind, self.grid = kind, grid

    def forward(self, rednet, vit):
        if self.kind != "direct-concat":
            rednet, vit = self.rednet(rednet), self.vit(vit)
        size = (rednet if self.grid == "rednet" else vit).shape[2:]
        rednet, vit = resized(rednet, size), resized(vit, size)
        return self.both(rednet + vit if self.kind == "sum" else torch.cat([rednet, vit], 1))


class InvolutionVit(nn.Module):
    """Nothing is dropped here: draws could not be compared."""

    def __init__(self, image, classes, branches="both", rednet={}, vit={}, fusion={}):
        super().__init__()
        channels = 0
        if branches != "vit" or vit.get("embed") == "rednet-hybrid":
            self.rednet = RedNet(**rednet)
            channels = self.rednet.channels
        if branches != "involution":
            self.vit = Vit((image // 16) ** 2, channels, **vit)
        if branches == "both":
            self.fusion = Fusion([channels, vit.get("width", 768)], **fusion)
        width = {"both": fusion.get("width", 512), "involution": channels, "vit": vit.get("width", 768)}[branches]
        self.fc = nn.Linear(width, classes)
        self.branches = branches


def seams(model, images):
    map = model.rednet(images) if hasattr(model, "rednet") else None
    token = None
    if model.branches == "both":
        map = model.fusion(map, model.vit(images, map)[0])
    elif model.branches == "vit":
        map, token = model.vit(images, map)
    embedding = map.mean((2, 3)) if token is None else token
    return map, embedding, model.fc(embedding)


REDNET = {"stem": 16, "widths": (8, 16, 16, 24), "blocks": (1, 2, 1, 1), "group": 8}
HYBRID = {"root": 8, "widths": (8, 12, 16), "units": (1, 2, 1), "groups": 4}
VIT = {"width": 24, "depth": 2, "heads": 3, "hidden": 36}
FUSION = {"projected": 20, "width": 16}


def small(image=64, classes=7, branches="both", rednet={}, vit={}, fusion={}):
    return InvolutionVit(image, classes, branches, REDNET | rednet, VIT | vit, FUSION | fusion)


CASES = {
    "full": (lambda: InvolutionVit(128, 7), (2, 3, 256, 64)),
    "both": (lambda: small(vit={"hybrid": HYBRID}), (4, 3, 128, 32)),
    "direct": (
        lambda: small(
            classes=8, vit={"embed": "patch16"}, fusion={"kind": "direct-concat", "grid": "vit", "norm": False}
        ),
        (4, 3, 64, 64),
    ),
    "sum": (
        lambda: small(vit={"embed": "rednet-hybrid"}, fusion={"kind": "sum", "rectified": False}),
        (4, 3, 32, 128),
    ),
    "serial": (lambda: small(branches="vit", vit={"embed": "rednet-hybrid"}), (4, 3, 64, 64)),
    "rednet": (lambda: small(branches="involution", rednet={"kernel": 3}), (4, 3, 96, 64)),
    "transunet": (lambda: small(branches="vit", vit={"hybrid": HYBRID | {"numerics": "transunet"}}), (4, 3, 128, 32)),
    "token": (
        lambda: small(branches="vit", vit={"token": True, "hybrid": HYBRID | {"numerics": "timm"}}),
        (4, 3, 64, 64),
    ),
}

if __name__ == "__main__":
    out = {}
    for case, (build, shape) in CASES.items():
        model = build()
        portable.fill(model)
        portable.record(out, case, model, portable.tensor("images", shape), seams)
    portable.save(out, "involution_vit")

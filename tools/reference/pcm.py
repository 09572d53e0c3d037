"""Writes crates/emoxide/tests/fixtures/pcm.safetensors: a twin of PCM, written from the paper and from what it leaves open,
on portable weights. There is no code of its authors; InsightFace's trunk is written from the facts (units, strides, names).

torch 2.15, torchvision of the same release, numpy, safetensors.
"""

import ir
import portable
import torch
from comparison import compact
from torch import nn

torch.set_num_threads(1)


class Unit(nn.Module):
    """A unit of InsightFace's trunk."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        carried = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + carried


class Iresnet(nn.Module):
    def __init__(self, widths, units, stem):
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.prelu = nn.PReLU(stem)
        self.count, self.channels, inputs = len(widths), widths, stem
        for index, (width, count) in enumerate(zip(widths, units)):
            stage = [Unit(inputs if unit == 0 else width, width, 2 if unit == 0 else 1) for unit in range(count)]
            setattr(self, f"layer{index + 1}", nn.Sequential(*stage))
            inputs = width

    def stages(self, x):
        x, maps = self.prelu(self.bn1(self.conv1(x))), []
        for index in range(self.count):
            x = getattr(self, f"layer{index + 1}")(x)
            maps.append(x)
        return maps


class IrTrunk(nn.Module):
    def __init__(self, widths, units, stem):
        super().__init__()
        trunk = ir.Ir(widths, units, stem)
        self.input_layer, self.body = trunk.input_layer, trunk.body
        self.channels, self.units = widths, units

    def stages(self, x):
        x, maps, begin = self.input_layer(x), [], 0
        for count in self.units:
            x = self.body[begin : begin + count](x)
            maps.append(x)
            begin += count
        return maps


class ResidualTrunk(nn.Module):
    """torchvision's parts, one block a stage."""

    def __init__(self, widths):
        super().__init__()
        trunk = compact(3, widths)
        for name in ["conv1", "bn1", *(f"layer{stage + 1}" for stage in range(len(widths)))]:
            setattr(self, name, getattr(trunk, name))
        self.channels = widths

    def stages(self, x):
        x, maps = self.bn1(self.conv1(x)).relu(), []
        for stage in range(len(self.channels)):
            x = getattr(self, f"layer{stage + 1}")(x)
            maps.append(x)
        return maps


class Branch(nn.Module):
    def __init__(self, inputs, width, kernel, norm):
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width) if norm else nn.Identity()

    def forward(self, x):
        return self.bn(self.conv(x)).relu().mean((2, 3))


class Mlp(nn.Module):
    def __init__(self, width, hidden, norm):
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(self.norm(x))))


class Layer(nn.Module):
    def __init__(self, width, heads, whole_scale, proj, norm, ratio):
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width) if proj else nn.Identity()
        self.mlp = Mlp(width, ratio * width, norm) if ratio else None
        self.heads, self.scale = heads, (width if whole_scale else width // heads) ** -0.5

    def forward(self, x):
        batch, tokens, width = x.shape
        query, key, value = self.qkv(self.norm(x)).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        shares = torch.softmax(query @ key.transpose(2, 3) * self.scale, dim=-1)
        x = x + self.proj((shares @ value).transpose(1, 2).reshape(batch, tokens, width))
        return x if self.mlp is None else x + self.mlp(x)


class Msh(nn.Module):
    def __init__(self, tokens, width, class_token, depth, *layer):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.layers = nn.Sequential(*(Layer(width, *layer) for _ in range(depth)))

    def forward(self, x):
        if self.cls_token is not None:
            x = torch.cat([x, self.cls_token.expand(len(x), -1, -1)], dim=1)
        return self.layers(x + self.pos_embed)


class Pcm(nn.Module):
    def __init__(
        self, trunk, classes, branches=5, width=16, kernel=3, norm=True, by_stage=False, mean_map=False, msh=True,
        class_token=True, depth=1, heads=4, whole_scale=False, out_proj=False, pre_norm=False, mlp_ratio=0,
        head="flatten", predict="global",
    ):
        super().__init__()
        self.backbone = trunk
        channels = trunk.channels
        one = branches * width if by_stage else len(channels) * width
        self.local = (len(channels) if by_stage else branches) if branches else 0
        tokens = self.local + 1 + (msh and class_token)
        if branches:
            self.pcm = nn.ModuleList(
                nn.ModuleList(Branch(inputs, width, kernel, norm) for _ in range(branches)) for inputs in channels
            )
        whole = channels[-1] if mean_map else one
        if not mean_map:
            self.add_module("global", nn.ModuleDict({"conv": nn.Conv2d(channels[-1], one, 3, padding=1)}))
        self.msh = Msh(tokens, one, class_token, depth, heads, whole_scale, out_proj, pre_norm, mlp_ratio) if msh else None
        if branches:
            self.head_loc = nn.Linear(self.local * one, classes)
        self.head_glo = nn.Linear(tokens * whole if head == "flatten" else whole, classes)
        self.branches, self.by_stage, self.mean_map = branches, by_stage, mean_map
        self.head, self.predict = head, predict


def seams(model, images):
    """Behind the logits stand those of both heads and all vectors of the branches, so that they have gradients too."""
    maps = model.backbone.stages(images)
    features = maps[-1]
    whole = features if model.mean_map else getattr(model, "global")["conv"](features).relu()
    tokens = whole.mean((2, 3))[:, None]
    if model.branches:
        # [batch, stages, branches, width]
        seen = torch.stack(
            [torch.stack([branch(x) for branch in branches], dim=1) for branches, x in zip(model.pcm, maps)], dim=1
        )
        local = (seen if model.by_stage else seen.transpose(1, 2)).flatten(2)
        tokens = torch.cat([local, tokens], dim=1)
    if model.msh is not None:
        tokens = model.msh(tokens)
    embedding = tokens.flatten(1)
    read = {"flatten": lambda: embedding, "class": lambda: tokens[:, -1], "mean": lambda: tokens.mean(1)}[model.head]()
    whole = model.head_glo(read)
    if not model.branches:
        return features, embedding, whole
    local = model.head_loc(tokens[:, : model.local].flatten(1))
    logits = {"global": whole, "local": local, "sum": whole + local}[model.predict]
    return features, embedding, torch.cat([logits, whole, local, seen.flatten(1)], dim=1)


def full(**settings):
    return Pcm(IrTrunk([64, 128, 256, 512], [3, 4, 14, 3], 64), 7, **settings)


def small(*widths, **settings):
    return Pcm(IrTrunk(list(widths), [1, 2, 1, 1][: len(widths)], 8), 7, **settings)


CASES = {
    "full": (full, (2, 3, 64, 48)),
    "small": (lambda: small(8, 12, 16, 24, branches=3, width=4), (4, 3, 48, 64)),
    "without-class": (lambda: small(8, 12, 16, branches=2, width=4, class_token=False, head="mean"), (4, 3, 32, 40)),
    "without-msh": (lambda: small(8, 12, 16, branches=2, width=4, msh=False, predict="local"), (4, 3, 32, 40)),
    "baseline": (lambda: small(8, 12, 16, branches=0, width=4, msh=False), (4, 3, 32, 40)),
    "baseline-mean": (lambda: small(8, 12, 16, branches=0, width=4, msh=False, mean_map=True), (4, 3, 32, 40)),
    "other": (
        lambda: Pcm(
            Iresnet([8, 12, 16], [2, 1, 1], 8), 8, branches=3, width=4, kernel=1, norm=False, by_stage=True, depth=2, heads=2,
            whole_scale=True, out_proj=True, pre_norm=True, mlp_ratio=2, head="class", predict="sum",
        ),
        (4, 3, 32, 48),
    ),
    "resnet": (lambda: Pcm(ResidualTrunk([8, 12, 16]), 7, branches=1, width=8, heads=2), (4, 3, 24, 32)),
}

if __name__ == "__main__":
    out = {}
    for case, (build, shape) in CASES.items():
        model = build()
        portable.fill(model)
        portable.record(out, case, model, portable.tensor("images", shape), seams)
        print(case, sum(value.numel() for value in model.parameters()))
    portable.save(out, "pcm")

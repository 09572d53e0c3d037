"""Writes crates/emoxide/tests/fixtures/authors/: small files with the names and in the wrappings of the authors' checkpoints,
and knows the same at full size for tools/check_imports.py.

The networks are the PyTorch twins of this folder, whose parameters have the names that ours have.
torch 2.15, torchvision of the same release, numpy, safetensors (through the twins).
"""

import dataclasses
import pathlib
import pickle
import re
from collections import OrderedDict
from typing import Callable

import cafe
import comparison
import involution_vit
import numpy as np
import pcm
import portable
import torch
import transfer
from clip_files import HUGGING_FACE, OPENAI, Multimodal, hostile, hugging_face, masks, renamed
from ir import Ir
from ir import seams as ir_seams
from resnet import Compact
from resnet import seams as resnet_seams
from torch import nn
from torchvision.models import resnet18, resnet50
from torchvision.models.resnet import BasicBlock

torch.set_num_threads(1)

OUT = pathlib.Path(__file__).parents[2] / "crates/emoxide/tests/fixtures/authors"

RAF = "surprise,fear,disgust,happiness,sadness,anger,neutral"
ALPHABETICAL = "anger,disgust,fear,happiness,neutral,sadness,surprise"


def staged(state):
    """mmcls counts the units of the trunk per stage: `extractor.body.7` of IR-50 is `extractor.body.2.0`. A later stage
    begins with a unit that has a convolution around it."""
    units = sorted({int(name.split(".")[2]) for name in state if name.startswith("extractor.body.")})
    places, stage, index = [], 0, 0
    for unit in units:
        if unit > 0 and f"extractor.body.{unit}.shortcut_layer.0.weight" in state:
            stage, index = stage + 1, 0
        places.append(f"extractor.body.{stage}.{index}.")
        index += 1
    return renamed((r"^extractor\.body\.(\d+)\.", lambda found: places[int(found[1])]))(state)


def pytorch(path, model, authors):
    torch.save(authors(model.state_dict()), path)


def mmcls(path, model, authors):
    meta = {"epoch": 33, "CLASSES": RAF.split(",")}
    torch.save({"meta": meta, "state_dict": authors(model.state_dict())}, path)


def parallel(path, model, authors):
    """As the official DACL saves it: from inside `DataParallel`."""
    state = renamed((r"^", "module."))(authors(model.state_dict()))
    torch.save({"epoch": 10, "model_state_dict": state}, path)


def paddle(path, model, authors):
    """Paddle's names and layouts, in the bytes that `paddle.save` writes: numpy arrays of a state dict, pickle protocol 4."""
    kinds = {name: type(module) for name, module in model.named_modules()}
    arrays = {}
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        module, _, leaf = name.rpartition(".")
        if kinds[module] is nn.Linear and leaf == "weight":
            value = value.t()
        if kinds[module] is nn.PReLU:
            leaf = "_weight"
        leaf = {"running_mean": "_mean", "running_var": "_variance"}.get(leaf, leaf)
        arrays[f"{module}.{leaf}" if module else leaf] = np.ascontiguousarray(value.detach().numpy())
    arrays = dict(authors(arrays))
    arrays["StructuredToParameterName@@"] = {name: f"parameter_{index}" for index, name in enumerate(arrays)}
    with open(path, "wb") as file:
        pickle.dump(arrays, file, protocol=4)


def google(path, model, authors):
    """As Google saves vision transformers: arrays with JAX's names and layouts."""
    arrays = {}
    for name, value in authors(model.state_dict()).items():
        value = value.detach().numpy()
        if name.endswith("/kernel"):
            # From outputs, inputs (and the window) to the window, inputs, outputs.
            value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        parts = re.fullmatch(r"(.*Attention_1/)qkv/(kernel|bias)", name)
        if parts:
            heads = model.vit.blocks[0].attn.heads
            for part, third in zip(("query", "key", "value"), np.split(value, 3, axis=-1)):
                arrays[f"{parts[1]}{part}/{parts[2]}"] = third.reshape(*third.shape[:-1], heads, -1)
        elif name.endswith("Attention_1/out/kernel"):
            arrays[name] = value.reshape(model.vit.blocks[0].attn.heads, -1, value.shape[-1])
        elif "/gn" in name or name.startswith("gn_root/"):
            arrays[name] = value.reshape(1, 1, 1, -1)
        else:
            arrays[name] = value
    np.savez(path, **{name: np.ascontiguousarray(value) for name, value in arrays.items()})


@dataclasses.dataclass
class Source:
    """One kind of checkpoint: the network, in our names, and how its authors name and wrap it."""

    network: str
    full: Callable[[], nn.Module]
    small: Callable[[], nn.Module]
    seams: Callable
    head: str
    classes: str
    write: Callable = pytorch
    authors: Callable = lambda state: state
    keys: str | None = None
    ending: str = "pth"
    # Parts of the network that the authors' file has not: for each the ending of another file, who writes it and its keys.
    parts: dict = dataclasses.field(default_factory=dict)
    # Mean and deviation of colour pictures as the network's preset has them; grey ones are left in 0..1.
    statistics: tuple = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    def save(self, path, model):
        self.write(path, model, self.authors)

    def logits(self, model, images):
        _, _, logits = self.seams(model, images)
        return logits[:, : len(self.classes.split(","))]


def wrapped(path, model, authors):
    """As CAFE's authors save it."""
    torch.save({"model_state_dict": authors(model.state_dict())}, path)


NOTEBOOK = renamed(
    (r"^stem_cnn\.conv1\.", "stem_cnn.features.0."),
    (r"^stem_cnn\.bn1\.", "stem_cnn.features.1."),
    *[(rf"^stem_cnn\.layer{stage}\.", f"stem_cnn.features.{stage + 3}.") for stage in (1, 2, 3, 4)],
)
OFFICIAL_DACL = renamed((r"^base_model\.", ""))
TRANSFER = renamed((r"\.la_conv", ".LA_conv"))
MMCLS_REDNET = renamed((r"^rednet\.", "backbone."), (r"^fc\.", "head.fc."))
TIMM_VIT = renamed((r"^vit\.", ""), (r"^fc\.", "head."))
# Google's arrays: scales of norms, and kernels of all else.
GOOGLE_VIT = renamed(
    (r"^vit\.", ""),
    (r"^patch_embed\.backbone\.stem\.conv\.weight$", "conv_root/kernel"),
    (r"^patch_embed\.backbone\.stem\.norm\.", "gn_root/"),
    (
        r"^patch_embed\.backbone\.stages\.(\d+)\.blocks\.(\d+)\.",
        lambda found: f"block{int(found[1]) + 1}/unit{int(found[2]) + 1}/",
    ),
    (r"/downsample\.conv\.weight$", "/conv_proj/kernel"),
    (r"/downsample\.norm\.", "/gn_proj/"),
    (r"/conv(\d)\.weight$", r"/conv\1/kernel"),
    (r"/norm(\d)\.", r"/gn\1/"),
    (r"^patch_embed\.proj\.", "embedding/"),
    (r"^cls_token$", "cls"),
    (r"^pos_embed$", "Transformer/posembed_input/pos_embedding"),
    (r"^blocks\.(\d+)\.", r"Transformer/encoderblock_\1/"),
    (r"^norm\.", "Transformer/encoder_norm/"),
    (r"/norm1\.", "/LayerNorm_0/"),
    (r"/norm2\.", "/LayerNorm_2/"),
    (r"/attn\.proj\.", "/MultiHeadDotProductAttention_1/out/"),
    (r"/attn\.qkv\.", "/MultiHeadDotProductAttention_1/qkv/"),
    (r"/mlp\.fc1\.", "/MlpBlock_3/Dense_0/"),
    (r"/mlp\.fc2\.", "/MlpBlock_3/Dense_1/"),
    (r"^fc\.", "head/"),
    (r"((?:^|/)(?:gn_root|gn_proj|gn\d|LayerNorm_\d|encoder_norm))/weight$", r"\1/scale"),
    (r"/weight$", "/kernel"),
)


def grey(network):
    network.conv1 = nn.Conv2d(1, network.conv1.out_channels, 7, stride=2, padding=3, bias=False)
    return network


def transfer_r18(norm_first=False):
    trunk = comparison.Trunk(grey(resnet18()))
    return comparison.LocalTransformer(trunk, 512, 2048, 8, 8, 2048, 7, norm_first)


def transfer_plain():
    trunk = comparison.Plain(1, [64, 128, 256, 512, 512])
    return comparison.LocalTransformer(trunk, 512, 2048, 8, 8, 2048, 7, False)


def small_transfer_r18():
    return comparison.LocalTransformer(comparison.imagenet(1, [8, 12]), 12, 8, 2, 2, 10, 3, False)


def small_dacl_attention():
    return comparison.DaclAttention(comparison.imagenet(1, [8, 12]), 12, 5, 3, pooled=True)


def small_dacl():
    return comparison.Dacl(comparison.compact(3, [6, 8]), 8, 64, [6, 5, 4], 3)


def small_cafe():
    tower = cafe.Clip(3, 16, patch=8, width=8, depth=2, heads=2, hidden=12, embedding=10)
    return cafe.Cafe(tower, comparison.imagenet(3, [8, 10]), 10, 3)


def vgg(pool):
    return lambda: comparison.Vgg(1, 224, [64, 128, 256, 512], 4096, 7, pool=pool)


def small_alexnet():
    model = nn.Module()
    widths = [4, 6, 8, 6, 4]
    convs = [nn.Conv2d(1, 4, 11, stride=4, padding=2), nn.Conv2d(4, 6, 5, padding=2)]
    convs += [nn.Conv2d(before, width, 3, padding=1) for before, width in zip(widths[1:], widths[2:])]
    pool = [nn.MaxPool2d(3, 2)]
    layers = [[conv, nn.ReLU()] + (pool if index in (0, 1, 4) else []) for index, conv in enumerate(convs)]
    model.features = nn.Sequential(*[layer for group in layers for layer in group])
    model.avgpool = nn.AdaptiveAvgPool2d(6)
    linear = [nn.Linear(4 * 36, 10), nn.Linear(10, 10), nn.Linear(10, 3)]
    drop = [nn.Dropout(0.0), nn.Dropout(0.0)]
    model.classifier = nn.Sequential(drop[0], linear[0], nn.ReLU(), drop[1], linear[1], nn.ReLU(), linear[2])
    return model


def full_transfer(branches=2, stages=3, after=False):
    widths, units = [64, 128, 256, 512][:stages], [3, 4, 14, 3][:stages]
    return lambda: transfer.Transfer(widths, units, 64, 112, branches, 7, after=after)


def small_transfer(depth=2, image=16, after=False):
    return transfer.Transfer(
        [4, 6, 8], [1, 2, 1], 4, image, 2, 3, ratio=4, after=after, width=8, depth=depth, heads=2, hidden=12
    )


SHORT = {"blocks": (1, 1, 1, 1), "kernel": 3}


def small_rednet():
    return involution_vit.small(classes=3, branches="involution", rednet=SHORT)


def full_vit(embed, image):
    return lambda: involution_vit.InvolutionVit(image, 7, "vit", vit={"embed": embed, "token": True})


def small_vit(image=64, embed="r50"):
    vit = {"embed": embed, "token": True} | ({"hybrid": involution_vit.HYBRID} if embed == "r50" else {})
    return involution_vit.small(image, 3, "vit", vit=vit)


HALF = ((0.5,) * 3, (0.5,) * 3)


def vit(network, full, small=None, **others):
    return Source(network, full, small, involution_vit.seams, "fc", RAF, statistics=HALF, **others)


def mmcls_transfer(network, full, small=None):
    """The release in PyTorch, which multiplies with the attention behind the projection."""
    apply = lambda state: staged(TRANSFER(state))
    return Source(network, full, small, transfer.seams, "head.fc", RAF, write=mmcls, authors=apply, keys="apvit")


def paddle_transfer(network, full, small=None):
    return Source(
        network, full, small, transfer.seams, "head.fc", RAF, write=paddle, authors=TRANSFER, ending="pdparams"
    )


def small_pcm():
    return pcm.Pcm(pcm.IrTrunk([4, 6, 8], [1, 2, 1], 4), 3, branches=2, width=4)


# No code of its authors is known; the only layer of attention has no number here.
PCM = renamed((r"^msh\.layers\.0\.", "msh."))

SOURCES = {
    "transfer-pytorch": mmcls_transfer(
        "transfer-pytorch", full_transfer(after=True), lambda: small_transfer(after=True)
    ),
    "transfer-paddle": paddle_transfer("transfer", full_transfer(), small_transfer),
    "transfer-4-paddle": paddle_transfer("transfer-4", full_transfer(branches=4)),
    "transfer-stage2-paddle": paddle_transfer("transfer-stage2", full_transfer(stages=2)),
    "transfer-stage4-paddle": paddle_transfer("transfer-stage4", full_transfer(stages=4)),
    "ir50": Source(
        "ir50",
        lambda: Ir([64, 128, 256, 512], [3, 4, 14, 3], 64, classes=7),
        None,
        ir_seams,
        "fc",
        RAF,
        statistics=((0.5,) * 3, (0.5,) * 3),
    ),
    "resnet50-grey": Source(
        "resnet50-grey", lambda: grey(resnet50(num_classes=7)), None, resnet_seams, "fc", ALPHABETICAL
    ),
    "alexnet": Source(
        "alexnet",
        lambda: comparison.full_alexnet(7),
        small_alexnet,
        comparison.alexnet_seams,
        "classifier.6",
        ALPHABETICAL,
    ),
    "vgg": Source("vgg", vgg(None), None, comparison.vgg_seams, "classifier.2", ALPHABETICAL),
    "vgg-pooled": Source("vgg-pooled", vgg(7), None, comparison.vgg_seams, "classifier.2", ALPHABETICAL),
    "transfer-resnet18": Source(
        "transfer-resnet18",
        transfer_r18,
        small_transfer_r18,
        comparison.local_transformer_seams,
        "classifier",
        ALPHABETICAL,
        authors=NOTEBOOK,
    ),
    "transfer-plain": Source(
        "transfer-plain", transfer_plain, None, comparison.local_transformer_seams, "classifier", ALPHABETICAL
    ),
    "dacl-resnet18": Source(
        "dacl-resnet18",
        lambda: comparison.full_dacl_attention(7),
        small_dacl_attention,
        comparison.dacl_attention_seams,
        "fc",
        ALPHABETICAL,
    ),
    "dacl": Source(
        "dacl",
        lambda: comparison.Dacl(comparison.Trunk(resnet18()), 512, 49, [3584, 512, 64], 7),
        small_dacl,
        comparison.dacl_seams,
        "fc",
        ALPHABETICAL,
        write=parallel,
        authors=OFFICIAL_DACL,
        statistics=((0.5752, 0.4495, 0.4012), (0.2086, 0.1911, 0.1827)),
    ),
    "pcm": Source("pcm", pcm.full, small_pcm, pcm.seams, "head_glo", RAF, authors=PCM),
    "pcm-baseline": Source(
        "pcm-baseline", lambda: pcm.full(branches=0, msh=False), None, pcm.seams, "head_glo", RAF
    ),
    "cafe": Source("cafe", cafe.full, small_cafe, cafe.seams, "fc", RAF, write=wrapped, authors=masks, parts=OPENAI),
    "cafe-hf": Source("cafe", cafe.full, None, cafe.seams, "fc", RAF, write=wrapped, authors=masks, parts=HUGGING_FACE),
    "rednet50": Source(
        "rednet50",
        lambda: involution_vit.InvolutionVit(224, 7, "involution"),
        small_rednet,
        involution_vit.seams,
        "fc",
        RAF,
        write=mmcls,
        authors=MMCLS_REDNET,
        keys="backbone",
    ),
    "vit-b16-google": vit(
        "vit-b16", full_vit("patch16", 224), None, write=google, authors=GOOGLE_VIT, ending="npz"
    ),
    "vit-r50-google": vit(
        "vit-r50", full_vit("r50", 384), small_vit, write=google, authors=GOOGLE_VIT, ending="npz"
    ),
    "vit-b16-timm": vit("vit-b16", full_vit("patch16", 224), None, authors=TIMM_VIT, keys="timm"),
    "vit-r50-timm": vit("vit-r50", full_vit("r50", 384), small_vit, authors=TIMM_VIT, keys="timm"),
}


def transinvnet(model):
    """The encoder as the author of TransInvNet has it, and a piece of what segments."""
    out = OrderedDict()
    rules = renamed(
        (r"^vit\.patch_embed\.proj\.", "transformer.transformer.embeddings.patch_embeddings."),
        (r"^vit\.pos_embed$", "transformer.transformer.embeddings.position_embeddings"),
        (r"^vit\.norm\.", "transformer.transformer.encoder.encoder_norm."),
        (r"^vit\.blocks\.", "transformer.transformer.encoder.layer."),
        (r"\.norm1\.", ".attention_norm."),
        (r"\.norm2\.", ".ffn_norm."),
        (r"\.attn\.proj\.", ".attn.out."),
        (r"\.mlp\.", ".ffn."),
        (r"^fusion\.rednet\.conv\.", "decoder.aspp1.conv.0."),
        (r"^fusion\.rednet\.bn\.", "decoder.aspp1.conv.1."),
        (r"^fusion\.vit\.conv\.", "decoder.aspp2.conv.0."),
        (r"^fusion\.vit\.bn\.", "decoder.aspp2.conv.1."),
    )
    state = {name: value for name, value in model.state_dict().items() if not name.startswith(("fc.", "fusion.both."))}
    for name, value in rules(state).items():
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3)):
                out[name.replace(".qkv.", f".{part}.")] = third.clone()
        else:
            out[name] = value
    out["decoder.segmentation.0.weight"] = portable.weight("decoder.segmentation.0.weight", (1, 4, 1, 1))
    return out


def timm(vit, width):
    """The encoder as timm's small vision transformer of 2020 has it, with its patch embedding and its head."""
    state = OrderedDict((name.removeprefix("vit."), value) for name, value in vit.items() if name.startswith("vit."))
    state["patch_embed.proj.weight"] = portable.weight("patch_embed.proj.weight", (width, 3, 2, 2))
    state["patch_embed.proj.bias"] = portable.weight("patch_embed.proj.bias", (width,))
    state["head.weight"] = portable.weight("head.weight", (10, width))
    state["head.bias"] = portable.weight("head.bias", (10,))
    return state


def agra(trunk, channels, width):
    """A checkpoint of CD-FER-Benchmark: units counted per stage from 1, a convolution behind them, and what adapts both to
    other data."""
    begins = [sum(trunk.units[:stage]) for stage in range(len(trunk.units))]

    def staged(found):
        stage = max(stage for stage, begin in enumerate(begins) if begin <= int(found[1]))
        return f"layer{stage + 1}.{int(found[1]) - begins[stage]}."

    state = renamed((r"^body\.(\d+)\.", staged))(trunk.state_dict())
    for name in ["weight", "bias"]:
        shape = (width, channels, 3, 3) if name == "weight" else (width,)
        state[f"output_layer.0.{name}"] = portable.weight(f"global.conv.{name}", shape)
    for name in ["Crop_Net.0.conv.weight", "GCN.source_gcn.weight", "fc.weight", "loc_fc.weight"]:
        state[name] = portable.weight(name, (2, 2))
    for name in ["SourceMean.running_mean", "TargetMean.running_mean", "SourceBN.bias", "TargetBN.bias", "fc.bias"]:
        state[name] = portable.weight(name, (2,))
    return state


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, source in SOURCES.items():
        if source.small is not None:
            model = source.small()
            portable.fill(model)
            source.save(OUT / f"{name}.{source.ending}", model)
            for part, (ending, write, _) in source.parts.items():
                write(OUT / f"{name}-{part}.{ending}", model)
    model = small_cafe()
    portable.fill(model)
    hugging_face(OUT / "cafe-clip.safetensors", model)
    torch.save(Multimodal(model).state_dict(), OUT / "cafe-clip.pth")
    hostile(OUT / "cafe-clip.pt", OUT / "hostile-clip.pt")
    # Starts: a deeper encoder for larger pictures, a residual network of ten classes.
    encoder = small_transfer(depth=3, image=32)
    portable.fill(encoder)
    torch.save(timm(encoder.state_dict(), 8), OUT / "timm.pth")
    celebrities = Compact(BasicBlock, 3, 8, [6, 8], [1, 1], 1, 10)
    portable.fill(celebrities)
    torch.save({"state_dict": celebrities.state_dict()}, OUT / "msceleb.pth")
    trunk = pcm.IrTrunk([4, 6, 8], [1, 2, 1], 4)
    portable.fill(trunk)
    torch.save(agra(trunk, 8, 12), OUT / "agra.pth")
    parallel_branches = involution_vit.small(rednet=SHORT, vit={"embed": "patch16"})
    portable.fill(parallel_branches)
    torch.save(transinvnet(parallel_branches), OUT / "transinvnet.pth")
    print(sum(file.stat().st_size for file in OUT.iterdir()), "bytes in", len(list(OUT.iterdir())), "files")


if __name__ == "__main__":
    main()

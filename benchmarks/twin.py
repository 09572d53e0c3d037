"""The PyTorch twin of a checkpoint: the network of `tools/reference`, built from the card and filled with its weights."""

import pathlib
import sys

import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from checkpoint import Refused, read_card

THREADS = torch.get_num_threads()
sys.path.append(str(pathlib.Path(__file__).parents[1] / "tools/reference"))
import ir  # noqa: E402
import portable  # noqa: E402
import resnet  # noqa: E402

torch.set_num_threads(THREADS)  # the reference modules set it to one

# Keys that a card leaves out have these values.
RESNET = {
    "input_channels": 3,
    "stem": "imagenet",
    "stem_width": 64,
    "block": "basic",
    "widths": [64, 128, 256, 512],
    "blocks": [2, 2, 2, 2],
    "first_stride": 1,
    "dropout": 0.0,
}
IR = {
    "input_channels": 3,
    "stem_width": 64,
    "widths": [64, 128, 256, 512],
    "units": [3, 4, 14, 3],
    "face_head": None,
    "classifier": True,
    "dropout": 0.0,
}
FACE_HEAD = {"image_size": 112, "embedding": 512, "dropout": 0.5}


class IrTwin(ir.Ir):
    """The reference's IR with a free number of input channels, and with dropout in both places where emoxide has it."""

    def __init__(self, config: dict, classes: int):
        head = config["face_head"] and {**FACE_HEAD, **config["face_head"]}
        super().__init__(
            config["widths"],
            config["units"],
            config["stem_width"],
            classes=classes if config["classifier"] else None,
            head=head and (head["image_size"], head["embedding"]),
        )
        self.input_layer[0] = nn.Conv2d(config["input_channels"], config["stem_width"], 3, padding=1, bias=False)
        self.dropout = nn.Dropout(config["dropout"])
        if head:
            self.output_layer[1] = nn.Dropout(head["dropout"])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images `[batch, channels, rows, cols]` to logits `[batch, classes]`."""
        features = self.body(self.input_layer(images))
        embedding = features.mean((2, 3)) if self.output_layer is None else self.output_layer(features)
        return embedding if self.fc is None else self.fc(self.dropout(embedding))


def build_resnet(config: dict, classes: int) -> nn.Module:
    """The reference's ResNet; its stem is compact, so another one takes its place where the card says so."""
    block = {"basic": BasicBlock, "bottleneck": Bottleneck}[config["block"]]
    channels, width = config["input_channels"], config["stem_width"]
    model = resnet.Compact(
        block, channels, width, config["widths"], config["blocks"], config["first_stride"], classes
    )
    if config["stem"] == "imagenet":
        model.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        model.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
    # Dropout of the embedding: behind the pool it has no name among the weights.
    model.avgpool = nn.Sequential(model.avgpool, nn.Dropout(config["dropout"]))
    return model


def build(network: dict, classes: int) -> nn.Module:
    """A network with fresh weights from a card's `network`."""
    kinds = {"resnet": (RESNET, build_resnet), "ir": (IR, IrTwin)}
    kind = network.get("kind")
    if kind not in kinds:
        raise Refused(f"network.kind `{kind}` has no PyTorch twin here; there are {', '.join(kinds)}")
    defaults, make = kinds[kind]
    settings = {key: value for key, value in network.items() if key != "kind"}
    unknown = sorted(settings.keys() - defaults.keys())
    if unknown:
        raise Refused(f"network.{unknown[0]}: these scripts do not know this setting")
    return make({**defaults, **settings}, classes)


def to_pytorch(model: nn.Module, tensors: dict) -> dict:
    """A checkpoint's tensors as a state dict of `model`: linear weights, kept as `[inputs, outputs]`, are turned round, and
    the counters of the norms, which a checkpoint lacks, are those of `model`."""
    state = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    state.update({name: value.t().contiguous() if name in linear else value for name, value in tensors.items()})
    return state


def load(path) -> tuple[nn.Module, dict]:
    """Network in float32, ready for inference, and card of a checkpoint. A tensor too many or too few is an error."""
    card = read_card(path)
    model = build(card["network"], len(card["classes"]))
    try:
        model.load_state_dict(to_pytorch(model, load_file(path)), strict=True)
    except RuntimeError as error:
        raise Refused(f"--model {path}: {error}") from error
    return model.float().eval(), card

"""Writes crates/emoxide/tests/fixtures/pth/: small PyTorch files as they are met in the wild, and bad ones.

torch 2.15, numpy, safetensors.
"""

import os
import pathlib
import pickle
from collections import OrderedDict

import portable
import torch
from ir import Ir
from resnet import Compact
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock

OUT = pathlib.Path(__file__).parents[2] / "crates/emoxide/tests/fixtures/pth"


def resnet():
    model = Compact(BasicBlock, 1, 4, [4, 6], [1, 1], 1, 3)
    portable.fill(model)
    return model.state_dict()


def ir():
    model = Ir([4, 4, 6], [2, 1, 2], 4, head=(16, 5))
    portable.fill(model)
    return model.state_dict()


def prefixed(state, prefix):
    return OrderedDict((prefix + name, value) for name, value in state.items())


class RunsCode:
    """Its pickle calls `os.system`; a reader that executes it leaves the file EXECUTED behind."""

    def __reduce__(self):
        return os.system, ("touch EXECUTED",)


class Recorder:
    """An object of the training script, as POSTER's checkpoints hold one."""


def staged(state, pattern, first):
    """Names units by stage: body.3 of an Ir with units 2, 1, 2 is the first one of stage 2."""
    place = {0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (2, 0), 4: (2, 1)}
    out = OrderedDict()
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "body":
            stage, index = place[int(parts[1])]
            name = pattern.format(stage + first, index) + "." + ".".join(parts[2:])
        out[name] = value
    return out


def paddle(state):
    """Paddle's names and layout: linear weights are [inputs, outputs]."""
    out = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.startswith("fc.weight") or name == "output_layer.3.weight":
            value = value.t()
        name = name.replace(".running_mean", "._mean").replace(".running_var", "._variance")
        if name == "input_layer.2.weight" or name.endswith("res_layer.2.weight"):
            name = name.replace(".weight", "._weight")
        out["extractor." + name] = value.contiguous()
    return out


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    net, face = resnet(), ir()

    def save(name, value, **how):
        torch.save(value, OUT / f"{name}.pth", **how)

    legacy = dict(_use_new_zipfile_serialization=False)
    save("zip", net)
    save("legacy", net, **legacy)
    save("wrapped", {"epoch": 3, "state_dict": net, "optimizer": {"lr": 0.1, "state": {0: torch.ones(2)}}})
    save("wrapped-model", {"model": net, "best": torch.tensor(0.5)}, **legacy)
    save("wrapped-model-state-dict", {"model_state_dict": prefixed(net, "module."), "epoch": 7})
    save("parallel", prefixed(net, "module."))
    save("parallel-legacy", {"state_dict": prefixed(net, "module.")}, **legacy)
    save("half", OrderedDict((name, value.half() if value.is_floating_point() else value) for name, value in net.items()))
    save("bfloat16", OrderedDict((n, v.bfloat16() if v.is_floating_point() else v) for n, v in net.items()), **legacy)
    save("parameters", OrderedDict((n, torch.nn.Parameter(v) if v.is_floating_point() else v) for n, v in net.items()))
    save("backbone", prefixed(OrderedDict(i for i in net.items() if not i[0].startswith("fc.")), "backbone."))
    save_file({name: value.contiguous() for name, value in net.items()}, OUT / "torch-names.safetensors")

    save("face", face)
    save("face-agra", staged(face, "layer{}.{}", 1))
    trunk = OrderedDict(i for i in face.items() if not i[0].startswith("output_layer."))
    save("face-apvit", {"state_dict": prefixed(staged(trunk, "body.{}.{}", 0), "extractor."), "meta": {"epoch": 1}})
    save_file(paddle(face), OUT / "face-paddle.safetensors")

    # Bad ones.
    save("hostile", {"state_dict": net, "note": RunsCode()})
    save("hostile-legacy", {"state_dict": net, "note": RunsCode()}, **legacy)
    save("hostile-protocol-4", {"state_dict": net, "note": RunsCode()}, pickle_protocol=4)
    (OUT / "hostile-plain.pth").write_bytes(pickle.dumps(RunsCode(), protocol=2))
    Recorder.__module__ = "__main__"
    save("object", {"state_dict": net, "recorder": Recorder()})
    save("no-tensors", {"epoch": 3})
    for name in ("zip", "legacy"):
        whole = (OUT / f"{name}.pth").read_bytes()
        (OUT / f"truncated-{name}.pth").write_bytes(whole[: len(whole) * 2 // 3])
    save("missing", OrderedDict(i for i in net.items() if i[0] not in ("layer2.0.bn1.bias", "fc.bias")))
    save("extra", OrderedDict([*net.items(), ("layer3.0.conv1.weight", torch.zeros(2)), ("zzz", torch.zeros(1))]))
    shaped = OrderedDict(net)
    shaped["fc.weight"] = torch.zeros(3, 5)
    save("shape", shaped)
    integers = OrderedDict(net)
    integers["fc.bias"] = torch.zeros(3, dtype=torch.int64)
    save("integers", integers)
    print(sum(file.stat().st_size for file in OUT.iterdir()), "bytes in", len(list(OUT.iterdir())), "files")


if __name__ == "__main__":
    main()

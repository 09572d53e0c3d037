"""Writes random weights of a named network, for architectures whose trained weights are not at hand: speed does not depend
on them. `emoxide models import` makes the file a checkpoint."""

import argparse

from safetensors.torch import save_file

import twin

NETWORKS = {
    "resnet18": {"kind": "resnet"},
    "resnet18-compact": {"kind": "resnet", "stem": "compact", "input_channels": 1},
    "resnet34": {"kind": "resnet", "blocks": [3, 4, 6, 3]},
    "resnet50": {"kind": "resnet", "block": "bottleneck", "blocks": [3, 4, 6, 3]},
    "ir18": {"kind": "ir", "units": [2, 2, 2, 2]},
    "ir50": {"kind": "ir"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("output", help="safetensors file to write")
    parser.add_argument("--classes", type=int, default=7, help="outputs of the classifier (default: 7)")
    arguments = parser.parse_args()
    model = twin.build(NETWORKS[arguments.network], arguments.classes)
    twin.portable.fill(model)
    save_file(model.state_dict(), arguments.output)


if __name__ == "__main__":
    main()

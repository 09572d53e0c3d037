"""The description ("card") inside an emoxide checkpoint, read without any package."""

import json
import struct

FORMAT = "1"


class Refused(Exception):
    """Something that the user can put right; its text says what, where and how."""


def read_card(path) -> dict:
    """The card of the checkpoint at `path`: network, classes, preprocess and more."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:  # what the safetensors format allows
                raise ValueError("the header is too long")
            metadata = json.loads(file.read(length)).get("__metadata__", {})
    except OSError as error:
        raise Refused(f"--model {path}: {error.strerror}") from error
    except (struct.error, ValueError) as error:
        raise Refused(f"--model {path}: not a complete safetensors file ({error})") from error
    if "emoxide.card" not in metadata:
        raise Refused(f"--model {path}: no emoxide checkpoint; foreign weights come in through `emoxide models import`")
    found = metadata.get("emoxide.format")
    if found != FORMAT:
        raise Refused(f"--model {path}: checkpoint format {found}, these scripts read {FORMAT}")
    return json.loads(metadata["emoxide.card"])


def input_shape(card: dict) -> list[int]:
    """Channels, rows and columns of one image."""
    preprocess = card["preprocess"]
    channels = {"grey": 1, "rgb": 3}[preprocess["channels"]]
    return [channels, preprocess["height"], preprocess["width"]]

"""Writes crates/emoxide/tests/fixtures/paddle/: files as Paddle itself writes them, and a few that it does not.

paddlepaddle 3.3 with numpy 2 writes all of them; then run once more with paddlepaddle 2.6 and numpy 1, which writes those of
the older versions (`v2-*.pdparams`). The weights are those of fixtures/pth/face-paddle.safetensors (`pth_files.py`).
safetensors.
"""

import inspect
import json
import pathlib
import pickle

import numpy as np
import paddle
from hashed import uniform
from paddle import nn
from paddle.framework import io as paddle_io
from paddle.framework import io_utils
from safetensors.numpy import load_file

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/emoxide/tests/fixtures"
OUT = FIXTURES / "paddle"
MAJOR = paddle.__version__.split(".")[0]


class Unit(nn.Layer):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2D(inputs),
            nn.Conv2D(inputs, outputs, 3, padding=1, bias_attr=False),
            nn.PReLU(outputs),
            nn.Conv2D(outputs, outputs, 3, stride=stride, padding=1, bias_attr=False),
            nn.BatchNorm2D(outputs),
        )
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2D(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2D(inputs, outputs, 1, stride=stride, bias_attr=False), nn.BatchNorm2D(outputs)
            )

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class Face(nn.Layer):
    """The small IR network of `pth_files.py` with its face head."""

    def __init__(self):
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2D(3, 4, 3, padding=1, bias_attr=False), nn.BatchNorm2D(4), nn.PReLU(4)
        )
        shapes = [(4, 4, 2), (4, 4, 1), (4, 4, 2), (4, 6, 2), (6, 6, 1)]
        self.body = nn.Sequential(*[Unit(*shape) for shape in shapes])
        self.output_layer = nn.Sequential(
            nn.BatchNorm2D(6), nn.Dropout(0.0), nn.Flatten(), nn.Linear(24, 5), nn.BatchNorm1D(5)
        )

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))


class Model(nn.Layer):
    def __init__(self):
        super().__init__()
        self.extractor = Face()

    def forward(self, x):
        return self.extractor(x)


def sliced(state, protocol):
    """Paddle's own code with a limit of a hundred bytes in the place of a gigabyte."""
    source = inspect.getsource(io_utils._unpack_saved_dict)
    assert "2**30 - 1" in source
    names = dict(vars(io_utils))
    exec(source.replace("2**30 - 1", "100"), names)
    saved = names["_unpack_saved_dict"](paddle_io._build_saved_state_dict(state), protocol)
    assert "UnpackBigParamInfor@@" in saved
    return pickle.dumps(saved, protocol=protocol)


class RunsCode:
    """Its pickle calls `os.system`; a reader that executes it leaves the file EXECUTED behind."""

    def __reduce__(self):
        import os

        return os.system, ("touch EXECUTED",)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    model = Model()
    weights = load_file(FIXTURES / "pth/face-paddle.safetensors")
    # The names in that file are what a reader expects; here they meet Paddle's own.
    assert set(weights) == set(model.state_dict()), set(weights) ^ set(model.state_dict())
    missing, unexpected = model.set_state_dict(weights)
    assert not missing and not unexpected
    state = model.state_dict()
    for protocol in (2, 3, 4):
        paddle.save(state, str(OUT / f"v{MAJOR}-protocol-{protocol}.pdparams"), protocol=protocol)
    paddle.save({"epoch": 33, "best": 0.9091, "state_dict": state}, str(OUT / f"v{MAJOR}-wrapped.pdparams"))
    if MAJOR == "2":
        return
    images = uniform("import", 2 * 3 * 16 * 16).reshape(2, 3, 16, 16).astype(np.float32)
    model.eval()
    outputs = model(paddle.to_tensor(images)).numpy()
    (OUT / "outputs.json").write_text(json.dumps([float(value) for value in outputs.ravel()]) + "\n")

    (OUT / "sliced.pdparams").write_bytes(sliced(state, 2))
    for name in ("float16", "bfloat16"):
        paddle.save({key: value.astype(name) for key, value in state.items()}, str(OUT / f"{name}.pdparams"))
    paddle.save({**state, "extractor.input_layer.0.weight": paddle.ones([4, 3, 3, 3], "int32")}, str(OUT / "integers.pdparams"))
    arrays = {key: np.asfortranarray(value.numpy()) for key, value in state.items()}
    (OUT / "fortran.pdparams").write_bytes(pickle.dumps(arrays, protocol=4))
    (OUT / "hostile.pdparams").write_bytes(pickle.dumps({**arrays, "note": RunsCode()}, protocol=4))
    (OUT / "scalar.pdparams").write_bytes(pickle.dumps({**arrays, "best": np.float32(0.9)}, protocol=4))
    spec = [paddle.static.InputSpec([2, 3, 16, 16])]
    paddle.jit.save(model, str(OUT / "served"), input_spec=spec)
    for path in OUT.glob("served.*"):
        if path.suffix != ".pdiparams":
            path.unlink()
    print(sum(file.stat().st_size for file in OUT.iterdir()), "bytes in", len(list(OUT.iterdir())), "files")


if __name__ == "__main__":
    main()

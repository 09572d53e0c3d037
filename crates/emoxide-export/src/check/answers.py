"""Lets other runtimes answer the images of a check: answers.py MODEL OUT RUNTIMES (FILE BATCH)...

Each FILE holds BATCH images as 32-bit floats; RUNTIMES are names with commas between. To OUT goes a JSON list, an object a runtime:
its name and version, and for each file the rows of its logits and probabilities. What is printed meanwhile is nobody's business.
"""

import sys

# Modules are those of this Python, not what lies in the working directory.
if sys.path[0] == "":
    del sys.path[0]

import json  # noqa: E402
import math  # noqa: E402


def lacking(error, name):
    sys.exit(f"this Python has no {error.name}; `{sys.executable} -m pip install {name}` installs it")


try:
    import numpy  # noqa: E402
except ImportError as error:
    lacking(error, "numpy")


def onnxruntime_answers(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape[1:]
    names = ["logits", "probabilities"]
    return onnxruntime.__version__, shape, lambda images: session.run(names, {"images": images})


def openvino_answers(path):
    import openvino

    core = openvino.Core()
    # Some processors would be given narrower numbers.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    shape = [axis.get_length() for axis in list(compiled.input("images").partial_shape)[1:]]

    def answer(images):
        found = compiled({"images": images})
        return [found[compiled.output(name)] for name in ("logits", "probabilities")]

    return openvino.__version__.split("-")[0], shape, answer


def rows(answers):
    """As lists; what is no number, or not finite, is absent, because JSON has no word for it."""
    return [[value if math.isfinite(value) else None for value in row] for row in answers.tolist()]


RUNTIMES = {"onnxruntime": onnxruntime_answers, "openvino": openvino_answers}

path, out, runtimes, files = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4:]
answers = []
for name in runtimes:
    try:
        version, shape, answer = RUNTIMES[name](path)
    except ImportError as error:
        lacking(error, name)
    batches = []
    for file, batch in zip(files[::2], files[1::2]):
        images = numpy.fromfile(file, dtype="<f4").reshape(int(batch), *shape)
        logits, probabilities = answer(images)
        batches.append({"logits": rows(logits), "probabilities": rows(probabilities)})
    answers.append({"runtime": name, "version": version, "batches": batches})
with open(out, "w") as file:
    json.dump(answers, file)

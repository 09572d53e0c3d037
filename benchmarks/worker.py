"""One peer in a process of its own, so that no peer's threads or memory touch another's.

Reads requests from standard input, one JSON object a line: {"batch", "warm", "runs", "logits": file or null}, and answers
each with a line {"times_ms": [...], "loss": last training loss or null}, or {"missing": package}, {"unsupported": text} or
{"error": text}. Times are of the forward pass, or of the whole training step, from images in memory to logits in memory.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import numpy as np

LEARNING_RATE = 1e-4
MOMENTUM = 0.9


class Unsupported(Exception):
    """What this machine cannot do."""


def torch_network(arguments):
    """PyTorch, the twin in the wanted precision and memory layout, and a function that brings images into both."""
    import torch

    import twin

    torch.set_num_threads(arguments.threads)
    layout = torch.channels_last if "channels-last" in arguments.peer else torch.contiguous_format
    dtype = torch.bfloat16 if arguments.peer.endswith("bf16") else torch.float32
    model, card = twin.load(arguments.model)
    model = model.to(dtype=dtype, memory_format=layout)
    return torch, model, card, lambda images: torch.from_numpy(images).to(dtype=dtype, memory_format=layout)


def torch_inference(arguments):
    """Eager PyTorch."""
    torch, model, _, bring = torch_network(arguments)

    def prepare(images):
        images = bring(images)

        def step():
            with torch.inference_mode():
                return model(images)

        return step, lambda logits: logits.float().numpy()

    return prepare


def torch_training(arguments):
    """Eager PyTorch: forward pass, cross entropy, backward pass, step of stochastic gradient descent with momentum."""
    torch, model, card, bring = torch_network(arguments)
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def prepare(images):
        labels = torch.arange(len(images)) % len(card["classes"])
        images = bring(images)

        def step():
            optimiser.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimiser.step()
            return loss.item()

        return step, float

    return prepare


def onnxruntime_inference(arguments):
    """ONNX Runtime on the CPU; the batch is fixed before the graph is optimised."""
    import onnxruntime

    def prepare(images):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_free_dimension_override_by_name("batch", len(images))
        session = onnxruntime.InferenceSession(str(arguments.folder / "network.onnx"), options, ["CPUExecutionProvider"])
        return lambda: session.run(["logits"], {"images": images}), lambda outputs: outputs[0]

    return prepare


def openvino_inference(arguments):
    """OpenVINO on the CPU, one stream; the batch is fixed before the graph is compiled."""
    import openvino

    core = openvino.Core()
    half = arguments.peer.endswith("bf16")
    if half and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsupported("no bfloat16 on this CPU")
    settings = {
        "INFERENCE_NUM_THREADS": arguments.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
    }

    def prepare(images):
        network = core.read_model(arguments.folder / "network.onnx")
        network.reshape(list(images.shape))
        request = core.compile_model(network, "CPU", settings).create_infer_request()

        def step():
            return request.infer({0: images}, share_inputs=True, share_outputs=True)

        return step, lambda outputs: np.array(outputs[0])

    return prepare


def opener(peer: str, train: bool):
    """The function that opens a peer; it returns `prepare(images)`, which returns the timed step and a function that makes
    the step's result an array."""
    if peer.startswith("torch"):
        return torch_training if train else torch_inference
    return onnxruntime_inference if peer.startswith("onnxruntime") else openvino_inference


def first_images(arguments, batch: int) -> np.ndarray:
    """float32 `[batch, channels, rows, cols]`; only these are read from the file."""
    images = np.load(arguments.folder / "images.npy", mmap_mode="r")
    return np.array(images[:batch])


def milliseconds(step) -> float:
    """Wall time of one call."""
    start = time.perf_counter_ns()
    step()
    return (time.perf_counter_ns() - start) / 1e6


def serve(arguments, answer) -> None:
    """Answers requests until there are no more. The last batch stays prepared."""
    prepare = opener(arguments.peer, arguments.train)(arguments)
    prepared, step, read = None, None, None
    for line in sys.stdin:
        request = json.loads(line)
        if request["batch"] != prepared:
            step, read = prepare(first_images(arguments, request["batch"]))
            prepared = request["batch"]
        for _ in range(request["warm"]):
            step()
        reply = {"times_ms": [milliseconds(step) for _ in range(request["runs"])], "loss": None}
        if arguments.train:
            reply["loss"] = float(read(step()))
        elif request["logits"]:
            np.save(request["logits"], read(step()))
        answer(reply)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("model")
    parser.add_argument("folder", type=pathlib.Path, help="what prepare.py wrote")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--train", action="store_true")
    arguments = parser.parse_args()
    # Whatever libraries print goes to standard error; standard output is for answers.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value) -> None:
        print(json.dumps(value), file=output, flush=True)

    try:
        serve(arguments, answer)
        return
    except ImportError as error:
        answer({"missing": error.name or str(error)})
    except Unsupported as error:
        answer({"unsupported": str(error)})
    except Exception as error:  # of any library; the parent shows it beside the peer's name
        answer({"error": f"{type(error).__name__}: {error}"})
    sys.exit(1)


if __name__ == "__main__":
    main()

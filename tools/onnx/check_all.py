#!/usr/bin/env python3
"""Exports every network with random weights as ONNX and lets ONNX Runtime and OpenVINO answer with it.

usage: check_all.py BINARY RANDOM_CHECKPOINT [--float16] [NAME ...]

RANDOM_CHECKPOINT is the example of `emoxide-export` that writes a checkpoint of an architecture. Without names, all networks of
`BINARY models list` are exported, and the embedded model. Printed is a table in Markdown: bytes of the file and the largest
difference of a logit, as a share of the largest logit, in batches of 1 and 7. It fails where the command does, which allows 1e-4.

numpy, onnxruntime, openvino.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time


def run(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
    return done.stdout


def row(binary, random_checkpoint, work, name, options):
    """The line of a network, and whether it passed."""
    model, checkpoint, file = name, work / "network.safetensors", work / "network.onnx"
    begun = time.monotonic()
    try:
        if name != "default":
            run(random_checkpoint, name, checkpoint)
            model = checkpoint
        checks = ["--check=onnxruntime,openvino", "--python", sys.executable, "--json"]
        report = json.loads(run(binary, "models", "export", model, "--format", "onnx", "-o", file, *options, *checks))
    except RuntimeError as error:
        return f"| {name} | failed: {error} | | | | |", False
    finally:
        checkpoint.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    found = {(check["runtime"], check["batch"]): f"{check['relative']:.1e}" for check in report["checks"]}
    cells = [found[runtime, batch] for runtime in ("onnxruntime", "openvino") for batch in (1, 7)]
    seconds = time.monotonic() - begun
    print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return f"| {name} | {report['bytes'] / 1e6:.1f} MB | {' | '.join(cells)} |", True


def main():
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    if len(arguments) < 2:
        sys.exit(__doc__)
    binary, random_checkpoint, *names = arguments
    if not names:
        listed = json.loads(run(binary, "models", "list", "--json"))
        names = ["default"] + [line["name"] for line in listed if line["weights"] is None]
    print("| network | file | ONNX Runtime, 1 | ONNX Runtime, 7 | OpenVINO, 1 | OpenVINO, 7 |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        for name in names:
            line, passed = row(binary, random_checkpoint, pathlib.Path(work), name, options)
            failed += not passed
            print(line, flush=True)
    if failed:
        sys.exit(f"{failed} of {len(names)} networks failed")


if __name__ == "__main__":
    main()

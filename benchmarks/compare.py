"""Times an emoxide checkpoint against other programs on the same weights, the same images and the same threads.

First every side's logits are compared with PyTorch's in float32; then all sides take turns, round after round. The
figure is the median over the rounds of each round's median. Tables go to standard output and, with all raw times, into
the folder --output.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import numpy as np
except ImportError:
    sys.exit("error: numpy is not installed: pip install -r requirements.txt")

import report
from checkpoint import Refused, read_card
from sides import (
    HERE,
    INFERENCE_ENGINES,
    INFERENCE_PEERS,
    NEED_ONNX,
    TRAINING_ENGINES,
    TRAINING_PEERS,
    Emoxide,
    Peer,
    Program,
    Setting,
    Unavailable,
)

# float32 logits agree within ABSOLUTE + RELATIVE * |reference|.
RELATIVE, ABSOLUTE = 1e-3, 1e-4
PAUSE = 0.1  # seconds between turns, in which idle threads of the last side stop spinning
FEWEST = 20  # timed runs in all rounds together, below which a median says little


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def counts(text: str) -> list[int]:
    """`1,2,8` as numbers above zero; `...` between two numbers doubles the first until the second: `1,...,64`."""
    numbers, doubling = [], False
    for word in text.split(","):
        if word == "..." and numbers:
            doubling = True
            continue
        value = positive(word)
        while doubling and numbers[-1] * 2 < value:
            numbers.append(numbers[-1] * 2)
        numbers, doubling = [*numbers, value], False
    if doubling:
        raise argparse.ArgumentTypeError(f"{text}: nothing follows `...`")
    return list(dict.fromkeys(numbers))


def positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number above zero")
    return int(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = HERE.parent / "assets/default.safetensors"
    parser.add_argument("--model", nargs="+", default=[str(default)], metavar="FILE",
                        help="emoxide checkpoints (default: the embedded model's file)")
    parser.add_argument("--emoxide", default="emoxide", metavar="PATH", help="the program (default: from PATH)")
    parser.add_argument("--engines", metavar="A,B",
                        help="emoxide's engines, ratios are to the first (default: compiled,burn or training), of "
                        + ", ".join([*INFERENCE_ENGINES, *TRAINING_ENGINES]))
    peers = list(dict.fromkeys([*INFERENCE_PEERS, *TRAINING_PEERS]))
    parser.add_argument("--peers", metavar="A,B", help=f"which peers (default: all), of {', '.join(peers)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--batch", type=counts, metavar="N,N",
                      help="images (default: 1,8,32; for training 8,32)")
    size.add_argument("--sizes", type=counts, metavar="N,N",
                      help="in place of --batch: also draw time against batch; 1,...,64 doubles")
    parser.add_argument("--threads", type=counts, default=[2], metavar="N,N", help="threads of every side (default: 2)")
    parser.add_argument("--rounds", type=positive, default=5, help="turns that every side takes (default: 5)")
    parser.add_argument("--runs", type=positive, default=10, help="timed runs a turn (default: 10)")
    parser.add_argument("--warm", type=positive, default=3, help="untimed runs before them, peers only (default: 3)")
    parser.add_argument("--train", action="store_true", help="time training steps, not inference")
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "results", metavar="DIR",
                        help="folder of results.json, table.md and the plot (default: results beside this file)")
    arguments = parser.parse_args()
    known = TRAINING_PEERS if arguments.train else INFERENCE_PEERS
    arguments.peers = arguments.peers.split(",") if arguments.peers else list(known)
    for peer in arguments.peers:
        if peer not in known:
            kind = "training" if arguments.train else "inference"
            parser.error(f"--peers {peer}: no such peer of {kind}; there are {', '.join(known)}")
    default = "training" if arguments.train else "compiled,burn"
    arguments.engines = (arguments.engines or default).split(",")
    for engine in arguments.engines:
        engines = TRAINING_ENGINES if arguments.train else INFERENCE_ENGINES
        if engine not in engines:
            kind = "training" if arguments.train else "inference"
            parser.error(f"--engines {engine}: no such engine of {kind}; there are {', '.join(engines)}")
    arguments.batch = arguments.sizes or arguments.batch or ([8, 32] if arguments.train else [1, 8, 32])
    if arguments.train and 1 in arguments.batch:
        parser.error("--train at batch 1: batch normalisation cannot train on one image; begin at 2")
    return arguments


def names(models: list[str]) -> list[str]:
    """What the tables call the networks: the names in their cards, or those of their files if two cards have the same."""
    cards = [read_card(model)["name"] for model in models]
    return cards if len(set(cards)) == len(cards) else [pathlib.Path(model).stem for model in models]


def prepare(model: str, folder: pathlib.Path, arguments: argparse.Namespace) -> str | None:
    """Images, reference logits and ONNX file; returns why there is no ONNX file."""
    onnx = any(peer.startswith(NEED_ONNX) for peer in arguments.peers)
    command = [sys.executable, str(HERE / "prepare.py"), model, str(folder), "--images", str(max(arguments.batch))]
    command += ["--threads", str(max(arguments.threads)), *(["--onnx"] if onnx else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or [f"prepare.py ended with {done.returncode}"]
        if words[-1].startswith("ModuleNotFoundError"):
            words.append(f"{words[-1]}; the reference needs it: pip install -r requirements.txt")
        raise Refused(words[-1].removeprefix("error: "))
    status = json.loads((folder / "status.json").read_text())
    return f"not installed ({status['missing']})" if status["missing"] else status["error"]


def agree(side, batch: int, reference: np.ndarray) -> dict:
    """How far a side's logits are from the reference, `[batch, classes]` both."""
    row = {"batch": batch, "engine": side.engine, "precision": side.precision, "status": None, "verdict": ""}
    try:
        logits = side.logits(batch)
    except Unavailable as error:
        return {**row, "status": str(error), "largest": None, "scale": None}
    if logits.shape != reference.shape:
        raise Refused(f"{side.engine}: logits of shape {list(logits.shape)}, expected {list(reference.shape)}")
    difference = np.abs(logits.astype(np.float64) - reference)
    close = bool(np.all(difference <= ABSOLUTE + RELATIVE * np.abs(reference)))  # false for NaN too
    row["verdict"] = ("yes" if close else "no") if side.precision == "f32" else "not required"
    return {**row, "largest": float(difference.max()), "scale": float(np.abs(reference).max())}


def check(sides: list, batches: list[int], reference: np.ndarray) -> list[dict]:
    """Compares all sides at all batches; a float32 side that computes something else ends the comparison."""
    rows = [agree(side, batch, reference[:batch]) for batch in batches for side in sides]
    wrong = [f"{row['engine']} at batch {row['batch']} by {row['largest']:.3g}" for row in rows if row["verdict"] == "no"]
    if wrong:
        raise Refused(
            f"logits differ from PyTorch's by more than {ABSOLUTE} + {RELATIVE} of them: {'; '.join(wrong)}. To time "
            "them would mean nothing; name the others with --peers or --engines to leave these out"
        )
    return rows


def measure(sides: list, batch: int, rounds: int) -> tuple[list[list[list[float]]], list[str | None]]:
    """Milliseconds of each side, round and run; and for each side why it has none."""
    times, status = [[] for _ in sides], [None] * len(sides)
    for _ in range(rounds):
        for index, side in enumerate(sides):
            if status[index] is None:
                try:
                    times[index].append(side.times(batch))
                except Unavailable as error:
                    status[index], times[index] = str(error), []
            time.sleep(PAUSE)
    return times, status


def rows_of(sides: list, batch: int, arguments: argparse.Namespace, name: str, threads: int) -> list[dict]:
    """One row a side; the first side is what the others are divided by."""
    times, status = measure(sides, batch, arguments.rounds)
    medians = [statistics.median(map(statistics.median, rounds)) if rounds else None for rounds in times]
    rows = []
    for side, rounds, median, why in zip(sides, times, medians, status):
        rows.append({
            "model": name, "engine": side.engine, "precision": side.precision, "batch": batch, "threads": threads,
            "median_ms": median, "images_per_second": median and batch / median * 1e3,
            "ratio": median and median / medians[0],
            "peak_bytes": side.peak(batch) if median and not arguments.no_memory else None,
            "status": why, "rounds_ms": rounds,
        })
    return rows


def compare(model: str, name: str, program: Program, arguments: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """Rows and agreements of one network."""
    rows, agreements = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        say(f"{name}: reference and exports")
        no_onnx = prepare(model, folder, arguments)
        reference = np.load(folder / "logits.npy")
        for threads in arguments.threads:
            setting = Setting(model, folder, threads, arguments.train, arguments.warm, arguments.runs)
            with contextlib.ExitStack() as stack:
                sides = [Emoxide(program, engine, setting) for engine in arguments.engines]
                sides += [Peer(key, setting, no_onnx if key.startswith(NEED_ONNX) else None) for key in arguments.peers]
                for side in sides:
                    stack.callback(side.close)
                if not arguments.train:
                    say(f"{name}, {threads} threads: agreement of the logits")
                    found = check(sides, arguments.batch, reference)
                    agreements += [{"model": name, "threads": threads, **row} for row in found]
                for batch in arguments.batch:
                    say(f"{name}, {threads} threads: batch {batch}")
                    rows += rows_of(sides, batch, arguments, name, threads)
    return rows, agreements


def write(arguments: argparse.Namespace, host: dict, rows: list[dict], agreements: list[dict]) -> None:
    """Everything into the output folder, and the tables to standard output."""
    task = "a training step" if arguments.train else "inference"
    title = f"{task[:1].upper()}{task[1:]} on {host['cpu']}"
    runs = f"warm, images in memory; median of {arguments.rounds} rounds of {arguments.runs} runs, all engines in turn"
    text = f"{title}: {runs}. Ratio: above 1, emoxide is faster.\n\n{report.speed_table(rows)}"
    if agreements:
        text += f"\nLogits against PyTorch in float32, on the same images:\n\n{report.agreement_table(agreements)}"
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    settings = {key: getattr(arguments, key) for key in ("train", "batch", "threads", "rounds", "runs", "warm")}
    result = {"host": host, "settings": settings, "rows": rows, "agreement": agreements}
    (folder / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "table.md").write_text(text)
    if arguments.sizes:
        report.write_csv(rows, folder / "sizes.csv")
        problem = report.plot(rows, title, [folder / "sizes.svg", folder / "sizes.png"])
        if problem:
            say(problem)
    print(text, end="")
    say(f"written to {folder}")


def main() -> int:
    arguments = parse()
    if arguments.rounds * arguments.runs < FEWEST:
        say(f"note: {arguments.rounds} rounds of {arguments.runs} runs; a figure to publish needs {FEWEST} or more")
    try:
        program = Program(arguments.emoxide)
        host = report.host(program.version())
        rows, agreements = [], []
        for model, name in zip(arguments.model, names(arguments.model)):
            found = compare(model, name, program, arguments)
            rows, agreements = rows + found[0], agreements + found[1]
        write(arguments, host, rows, agreements)
    except Refused as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; nothing was written")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

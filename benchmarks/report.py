"""Tables, files and the plot of a comparison. A row is a dictionary; times are in milliseconds, memory in bytes."""

import csv
import importlib.metadata
import os
import pathlib
import platform

PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "openvino", "numpy")
FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def processor() -> dict:
    """Name of the CPU, processors that this process may use, and the instructions that matter here."""
    name, flags = platform.processor() or platform.machine(), set()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = set(value.split())
    except OSError:
        pass  # not Linux
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": name, "processors": usable, "instructions": [flag for flag in FLAGS if flag in flags]}


def host(emoxide: str) -> dict:
    """Machine, system, and the version of everything that took part; null is not installed."""
    versions = {"emoxide": emoxide, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {**processor(), "system": f"{platform.system()} {platform.release()}", "versions": versions}


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines) + "\n"


def number(value, form: str) -> str:
    return "" if value is None else format(value, form)


def speed_table(rows: list[dict]) -> str:
    """One line a measurement; a ratio above 1 means that emoxide is faster."""
    header = ["network", "threads", "batch", "engine", "precision", "median ms", "images/s", "ratio to emoxide"]
    lines = []
    for row in rows:
        peak = row["peak_bytes"]
        lines.append(
            [
                *(row["model"], str(row["threads"]), str(row["batch"]), row["engine"], row["precision"]),
                row["status"] or number(row["median_ms"], ".3f"),
                number(row["images_per_second"], ".1f"),
                number(row["ratio"], ".2f"),
                number(peak and peak / 2**20, ".0f"),
            ]
        )
    return markdown([*header, "peak MiB"], lines)


def agreement_table(rows: list[dict]) -> str:
    """Largest differences of the logits from PyTorch in float32, over all batches and numbers of threads."""
    worst = {}
    for row in rows:
        key = (row["model"], row["engine"], row["precision"])
        if key not in worst or (row["largest"] or 0) > (worst[key]["largest"] or 0):
            worst[key] = row
    lines = [
        [*key, row["status"] or number(row["largest"], ".2e"), number(row["scale"], ".2e"), row["verdict"]]
        for key, row in worst.items()
    ]
    header = ["network", "engine", "precision", "largest difference", "largest logit", "within tolerance"]
    return markdown(header, lines)


def write_csv(rows: list[dict], path: pathlib.Path) -> None:
    """Every row without its single runs, with the time of one image."""
    keys = ["model", "threads", "batch", "engine", "precision", "median_ms", "ms_per_image", "status"]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, keys, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            each = row["median_ms"] / row["batch"] if row["median_ms"] is not None else None
            writer.writerow({**row, "ms_per_image": each})


def plot(rows: list[dict], title: str, paths: list[pathlib.Path]) -> str | None:
    """Draws milliseconds an image against the batch, one line an engine, one panel for each network and number of threads.
    Returns why it could not."""
    try:
        import matplotlib
    except ImportError:
        return "no plot: matplotlib is not installed"
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogFormatter, NullLocator

    models = list(dict.fromkeys(row["model"] for row in rows))
    threads = list(dict.fromkeys(row["threads"] for row in rows))
    batches = sorted({row["batch"] for row in rows})
    names = list(dict.fromkeys(f"{row['engine']} {row['precision']}" for row in rows))
    size = (5.5 * len(threads), 4.2 * len(models) + 0.6)
    figure, panels = pyplot.subplots(len(models), len(threads), figsize=size, squeeze=False, layout="constrained")
    for (line, model), (column, count) in ((a, b) for a in enumerate(models) for b in enumerate(threads)):
        panel = panels[line][column]
        for index, name in enumerate(names):
            here = [
                row
                for row in rows
                if (row["model"], row["threads"], f"{row['engine']} {row['precision']}") == (model, count, name)
            ]
            points = sorted((row["batch"], row["median_ms"] / row["batch"]) for row in here if row["median_ms"])
            # An engine without points stands in the legend with the reason.
            why = next((f": {row['status']}" for row in here if row["status"]), "")[:60]
            width = 2.5 if name.startswith("emoxide") else 1.2
            x, y = [batch for batch, _ in points], [each for _, each in points]
            panel.plot(x, y, marker="o", markersize=3, linewidth=width, color=f"C{index}", label=name + why)
        panel.set(xscale="log", yscale="log", xlabel="batch [images]", ylabel="time of an image [ms]")
        panel.set_title(f"{model}, {count} thread{'s' if count > 1 else ''}")
        panel.set_xticks(batches, labels=[str(batch) for batch in batches])
        panel.xaxis.set_minor_locator(NullLocator())
        for formatted in (panel.yaxis.set_major_formatter, panel.yaxis.set_minor_formatter):
            formatted(LogFormatter(minor_thresholds=(1.5, 0.5)))
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=7)
    figure.suptitle(title, fontsize=9)
    for path in paths:
        figure.savefig(path, dpi=150)
    return None

"""Draws the memory that `emoxide predict` takes over a long clip, and its speed.

    python tools/video/make_clips.py /tmp/clips long --frames 10000
    python tools/video/measure_memory.py target/release/emoxide /tmp/clips/long.mp4 docs/video-memory.svg

Samples the resident memory of the program and of the ffmpeg that it starts twice a second (Linux: /proc), against the rows
written so far. Written with Python 3.11; nothing else is needed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from memory_plot import draw  # noqa: E402


def resident(pid):
    """MiB of a process; 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0.0


def children(pid):
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def frames(path, state):
    """Frames in the NDJSON so far; reads what is new."""
    if path.exists():
        with open(path, "rb") as file:
            file.seek(state["at"])
            new = file.read()
            state["at"] += len(new)
            state["frames"] += new.count(b"\n")
    return state["frames"]


def main(program, clip, svg, *options):
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.ndjson"
        command = [program, "predict", clip, "--format", "ndjson", "-o", str(rows), "--quiet", *options]
        began, samples, state = time.monotonic(), [], {"at": 0, "frames": 0}
        process = subprocess.Popen(command)
        while process.poll() is None:
            own = resident(process.pid)
            peer = sum(resident(child) for child in children(process.pid))
            done = frames(rows, state)
            if done and own and peer:
                samples.append((done, own, peer))
            time.sleep(0.5)
        seconds, done = time.monotonic() - began, frames(rows, state)
        if process.returncode != 0:
            raise SystemExit(f"emoxide ended with {process.returncode}")
    tenth = max(len(samples) // 10, 1)
    early, late = (sorted(s[1] for s in part)[len(part) // 2] for part in (samples[4 * tenth : 5 * tenth], samples[-tenth:]))
    said = f"{Path(clip).name}, {done} frames: {done / seconds:.1f} frames/s; emoxide {early:.0f} MiB in the middle, {late:.0f} MiB at the end"
    print(said, f"(most {max(s[1] for s in samples):.0f} MiB; ffmpeg at most {max(s[2] for s in samples):.0f} MiB)")
    rows = samples[:: len(samples) // 400 + 1]
    Path(svg).write_text(draw(said, "frames answered", ["emoxide", "ffmpeg"], rows))


if __name__ == "__main__":
    main(*sys.argv[1:])

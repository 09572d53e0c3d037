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

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 340, 70, 50, 20, 50


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


def line(points, x, y, colour):
    path = " ".join(f"{x(frame):.1f},{y(value):.1f}" for frame, value in points)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>'


def draw(title, samples):
    last, most = max(s[0] for s in samples) or 1, max(max(s[1], s[2]) for s in samples) * 1.15

    def x(frame):
        return LEFT + frame / last * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)

    text = 'font-family="sans-serif" font-size="13" fill="#212529"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="26" {text}>{title}</text>')
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1000) if most / step <= 6)
    for value in range(0, int(most) + 1, step):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#dee2e6"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" {text}>{value}</text>')
    for part in range(6):
        frame = round(last * part / 5)
        parts.append(f'<text x="{x(frame):.1f}" y="{HEIGHT - 28}" text-anchor="middle" {text}>{frame}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle" {text}>frames answered</text>')
    parts.append(f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle" {text}>resident MiB</text>')
    for column, colour, name, at in ((1, "#0072B2", "emoxide", 0), (2, "#D55E00", "ffmpeg", 110)):
        parts.append(line([(s[0], s[column]) for s in samples], x, y, colour))
        parts.append(f'<path d="M{LEFT + at} 40h24" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + at + 30}" y="44" {text}>{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


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
    Path(svg).write_text(draw(said, samples[:: len(samples) // 400 + 1]))


if __name__ == "__main__":
    main(*sys.argv[1:])

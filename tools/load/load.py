#!/usr/bin/env python3
"""Requests from many connections at once to a running server: what it answers, how fast, and in how much memory.

    emoxide serve --port 5005 --log-level warn &
    python3 tools/load/load.py --pid $! --connections 64 --seconds 60
    python3 tools/load/load.py --connections 1 --seconds 20

Needs Python 3.9 alone. `--pid` reads the server's resident memory from /proc. Latencies are those of answers with status 200, from
the first byte sent to the last byte received. `--until-refused` ends without an error when the server stops accepting, and says how
many answers were lost: requests sent on a connection that the server had accepted before the signal, and closed without an answer.
"""

import argparse
import asyncio
import collections
import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from memory_plot import draw  # noqa: E402


def request(path, picture, host):
    body = Path(picture).read_bytes()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    await reader.readexactly(int(headers.get("content-length", 0)))
    return int(lines[0].split()[1]), headers.get("connection") == "close"


async def client(arguments, data, end, seen):
    reader = writer = None
    while time.monotonic() < end:
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(arguments.host, arguments.port)
                fresh = True
            start = time.monotonic()
            writer.write(data)
            await writer.drain()
            status, closes = await answer(reader)
        except ConnectionRefusedError:
            if arguments.until_refused:
                return
            raise
        except (asyncio.IncompleteReadError, ConnectionError):
            # A kept connection may be closed at any time between two requests; a fresh one must be answered.
            seen["lost" if fresh else "closed between requests"] += 1
            writer = None
            continue
        fresh = False
        seen[status] += 1
        if status == 200:
            seen.latencies.append(time.monotonic() - start)
        elif arguments.pause:
            await asyncio.sleep(arguments.pause)
        if closes:
            writer.close()
            writer = None
    if writer:
        writer.close()


async def memory(pid, end, samples):
    start = time.monotonic()
    while pid and time.monotonic() < end:
        try:
            fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
        except (FileNotFoundError, IndexError):
            return
        samples.append((time.monotonic() - start, int(fields.split()[0]) // 1024))
        await asyncio.sleep(1)


class Seen(collections.Counter):
    def __init__(self):
        super().__init__()
        self.latencies = []


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5005)
    parser.add_argument("--path", default="/v1/predict")
    parser.add_argument("--picture", default="assets/photos/astronaut.jpg")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=0, help="seconds to wait after a refusal")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--plot", help="draw the memory over the run into this SVG file; needs --pid")
    parser.add_argument("--until-refused", action="store_true")
    arguments = parser.parse_args()

    data = request(arguments.path, arguments.picture, arguments.host)
    seen, samples = Seen(), []
    start = time.monotonic()
    end = start + arguments.seconds
    clients = [client(arguments, data, end, seen) for _ in range(arguments.connections)]
    watcher = asyncio.create_task(memory(arguments.pid, end, samples))
    await asyncio.gather(*clients)
    took = time.monotonic() - start
    watcher.cancel()

    times = sorted(seen.latencies)
    at = lambda share: round(1e3 * times[min(len(times) - 1, int(share * len(times)))], 1) if times else None
    if arguments.plot:
        title = f"{arguments.connections} connections, {took:.0f} s: {len(times) / took:.1f} requests/s"
        Path(arguments.plot).write_text(draw(title, "seconds", ["emoxide serve"], samples))
    print(json.dumps({
        "connections": arguments.connections,
        "seconds": round(took, 1),
        "answers": {str(key): count for key, count in sorted(seen.items(), key=str)},
        "requests_per_second": round(len(times) / took, 1),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "longest_ms": at(1),
        "rss_mib": [mib for _, mib in samples[:: max(1, len(samples) // 8)]],
    }))


asyncio.run(main())

#!/usr/bin/env python3
"""Many clients that never finish their requests, and one that does: its answers must come as if it were alone.

    ulimit -n 20000
    emoxide serve --port 5005 --log-level warn --upload-timeout 120 --header-timeout 120 &
    python3 tools/load/hostile.py --pid $! --uploads 10000 --heads 500

An upload sends its head and 1000 bytes of its body, a head a byte every few seconds (slow loris). Both sides need as many open files.
"""

import argparse
import asyncio
import json
import time
import urllib.request
from pathlib import Path


def ask(url, body):
    request = urllib.request.Request(url + "/v1/predict", body, {"Content-Type": "image/jpeg"})
    start = time.monotonic()
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status == 200 and json.load(answer)["faces"]
    return time.monotonic() - start


async def half(arguments, data, opened):
    try:
        _, writer = await asyncio.open_connection(arguments.host, arguments.port)
        writer.write(data)
        await writer.drain()
        opened.append(writer)
    except OSError as error:
        opened.append(None)
        if opened.count(None) == 1:
            print(f"not opened: {error}")


async def drip(writers, pause):
    while True:
        for writer in writers:
            try:
                writer.write(b"a")
            except OSError:
                pass
        await asyncio.sleep(pause)


def rss(pid):
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
    return int(fields.split()[0]) // 1024


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5005)
    parser.add_argument("--picture", default="assets/photos/astronaut.jpg")
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--heads", type=int, default=500)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--pid", type=int)
    arguments = parser.parse_args()

    url = f"http://{arguments.host}:{arguments.port}"
    picture = Path(arguments.picture).read_bytes()
    alone = [await asyncio.to_thread(ask, url, picture) for _ in range(arguments.requests)]
    before = rss(arguments.pid) if arguments.pid else None

    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    uploads, heads = [], []
    for start in range(0, arguments.uploads, 200):
        count = min(200, arguments.uploads - start)
        await asyncio.gather(*(half(arguments, head + picture[:1000], uploads) for _ in range(count)))
    await asyncio.gather(*(half(arguments, b"POST /v1/predict HTTP/1.1\r\nX-Slow: ", heads) for _ in range(arguments.heads)))
    dripping = asyncio.create_task(drip([writer for writer in heads if writer], 2))
    beside = [await asyncio.to_thread(ask, url, picture) for _ in range(arguments.requests)]
    dripping.cancel()

    milliseconds = lambda times: {"median": round(1e3 * sorted(times)[len(times) // 2], 1), "longest": round(1e3 * max(times), 1)}
    print(json.dumps({
        "half_uploads": len([writer for writer in uploads if writer]),
        "slow_heads": len([writer for writer in heads if writer]),
        "alone_ms": milliseconds(alone),
        "beside_ms": milliseconds(beside),
        "rss_mib": {"before": before, "beside": rss(arguments.pid) if arguments.pid else None},
    }))


asyncio.run(main())

"""Pictures a second of one and of two Ray workers, beside the command line's, on one machine.

    python tools/python/measure_ray.py target/release/emoxide [PICTURES]

Takes copies of assets/photos, 600 unless told otherwise. Each worker has one core and one thread; the command line has one thread,
then two. Model and cluster start before the clock does: a run over 12 pictures is timed too, and taken off.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray

import emoxide.ray

PHOTOS = sorted((Path(__file__).parents[2] / "assets" / "photos").glob("*.jpg"))


def timed(work, *arguments):
    began = time.monotonic()
    work(*arguments)
    return time.monotonic() - began


def main(program, count="600"):
    count = int(count)
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        for place, copies in ((few, 12), (many, count)):
            place.mkdir()
            for index in range(copies):
                shutil.copy(PHOTOS[index % len(PHOTOS)], place / f"{index:05}.jpg")

        def report(name, work):
            start = timed(work, few)
            took = timed(work, many) - start
            print(f"{name}: {(count - 12) / took:.1f} pictures/s (start {start:.1f} s)", flush=True)

        def command(threads):
            environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}

            def work(place):
                subprocess.run([program, "predict", place, "--format", "csv", "-o", f"{folder}/faces.csv", "-q"], env=environment, stderr=subprocess.DEVNULL)

            return work

        def workers(concurrency):
            def work(place):
                output = f"{folder}/{place.name}-{concurrency}"
                emoxide.ray.analyze(str(place), output=output, concurrency=concurrency, part_size=25, batch_size=8)

            return work

        for threads in (1, 2):
            report(f"emoxide predict, {threads} threads", command(threads))
        ray.init(num_cpus=2, log_to_driver=False)
        for concurrency in (1, 2):
            report(f"Ray, {concurrency} workers", workers(concurrency))


if __name__ == "__main__":
    main(*sys.argv[1:])

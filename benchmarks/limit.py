"""What this machine can do, and what networks ask of it: the roofline of docs/performance.md.

Products a second of two large square matrices and bytes a second of copying, both by PyTorch; then, for every checkpoint
named, the floating-point operations of one image, two for a multiplication and its addition.
"""

import argparse
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

SIZE, ROUNDS = 3072, 7
COPIED = 256 * 1024 * 1024


def median(call) -> float:
    """Median seconds of a call, after one that does not count."""
    call()
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def operations(path: str) -> int:
    import twin
    from checkpoint import input_shape, read_card

    model, _ = twin.load(path)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *input_shape(read_card(path))))
    return counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads (default: 2)")
    parser.add_argument("checkpoints", nargs="*", metavar="FILE", help="emoxide checkpoints")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.randn(SIZE, SIZE, generator=generator) for _ in range(2))
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = left.to(kind), right.to(kind)
        print(f"{name:9}{2 * SIZE**3 / median(lambda: a @ b) / 1e9:8.1f} GFLOP/s")
    source, target = (torch.ones(COPIED // 4) for _ in range(2))
    print(f"copying  {2 * COPIED / median(lambda: target.copy_(source)) / 1e9:8.1f} GB/s, read and written")
    for path in arguments.checkpoints:
        print(f"{path}: {operations(path) / 1e9:.3f} GFLOP an image")


if __name__ == "__main__":
    main()

"""What this machine can multiply: GFLOP/s of PyTorch's product of two large square matrices, the limit that
docs/performance.md compares convolutions with.

python limit.py [THREADS]
"""

import statistics
import sys
import time

import torch

SIZE, ROUNDS = 3072, 7


def rate(left: torch.Tensor, right: torch.Tensor) -> float:
    """Median GFLOP/s."""
    left @ right
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - begin)
    return 2 * SIZE**3 / statistics.median(times) / 1e9


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.randn(SIZE, SIZE, generator=generator) for _ in range(2))
    print(f"float32  {rate(left, right):8.1f} GFLOP/s, {torch.get_num_threads()} threads")
    print(f"bfloat16 {rate(left.bfloat16(), right.bfloat16()):8.1f} GFLOP/s")


if __name__ == "__main__":
    main()

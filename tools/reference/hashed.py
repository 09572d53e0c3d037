"""Numbers that a test can compute again, bit for bit; numpy alone. The twin in Rust is `emoxide_testing::portable`."""

import numpy as np


def uniform(name: str, count: int) -> np.ndarray:
    """`count` float64 in [-1, 1): a 32-bit integer hash (the murmur3 finaliser) of the index, offset by FNV-1a of the name."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = (np.arange(count, dtype=np.uint64) + seed) % 2**32
    x = x * 0x9E3779B1 % 2**32
    x ^= x >> 16
    x = x * 0x85EBCA6B % 2**32
    x ^= x >> 13
    x = x * 0xC2B2AE35 % 2**32
    x ^= x >> 16
    return x.astype(np.float64) / 2**31 - 1.0

"""Draws of torch's CPU generator, for the test beside this file.

    python reference.py > reference.json      what is committed: short draws in full, long ones as a hash of their bits
    python reference.py --wide > wide.json    far more, for a look by hand:
                                              NOISE_REFERENCE=wide.json cargo test -p thumbforge-diffusion noise

Each row is one generator and the draws that it was asked for, one after another. Made with torch 2.11.0 on x86-64.
"""
import json
import sys

import numpy as np
import torch

MASK = (1 << 64) - 1


def fnv(words):
    """FNV-1a over 32-bit words."""
    value = 0xCBF29CE484222325
    for word in words:
        value = ((value ^ int(word)) * 0x100000001B3) & MASK
    return f"{value:016x}"


def row(seed, counts, whole=False):
    generator = torch.Generator("cpu").manual_seed(seed)
    draws = []
    for count in counts:
        words = torch.randn(count, generator=generator, dtype=torch.float32).numpy().view(np.uint32)
        draws.append({"count": count, "hash": fnv(words), "words": [int(w) for w in words] if whole else None})
    return {"seed": seed, "draws": draws}


def main():
    rows = [row(0, [1, 3, 15, 16, 17, 2], True), row(2**64 - 1, [33, 5], True)]
    rows += [row(seed, range(1, 101)) for seed in (1, 42)]
    rows += [row(seed, [16 * 64 * 64, 7, 16 * 12 * 17]) for seed in (7, 1234567890123)]
    if "--wide" in sys.argv:
        rows += [row(seed, [1 << 20, 3, (1 << 20) + 5]) for seed in range(100, 108)]
        rows += [row(seed, [9, 40, 9, 1, 1, 100]) for seed in range(2000)]
        rows += [row(3000, [11] * 20000)]
    print(json.dumps(rows, separators=(",", ":")))


main()

"""A permutation of 0 … size-1 that is computed and not stored: a Feistel network over the key, walked until inside."""

from __future__ import annotations

import hashlib
import math
from typing import Final

ROUNDS: Final = 4


def permuted(index: int, size: int, key: str) -> int:
    """Where `index` goes: no two indices below `size` go to one place, and another key gives another order."""
    if size < 2:
        return 0
    half = math.isqrt(size - 1) + 1  # its square is at least `size` and little more, so walking ends soon
    index = _mixed(index % size, half, key)
    while index >= size:
        index = _mixed(index, half, key)
    return index


def _mixed(value: int, half: int, key: str) -> int:
    left, right = divmod(value, half)
    for turn in range(ROUNDS):
        digest = hashlib.blake2b(f"{key}/{turn}/{right}".encode(), digest_size=8).digest()
        left, right = right, (left + int.from_bytes(digest, "big")) % half
    return left * half + right

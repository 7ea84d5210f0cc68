"""Keyed random numbers: every draw is a pure function of its key and its place, never of a global generator.

A key is made from what the draw is about (`key(seed, "switch", epoch, example)`); the i-th number under a key is a hash
of (key, i). So a draw is the same on 1 or 64 GPUs, with any number of workers, before and after a resume, and numbers
can be made one by one or by the million, in any order.

The hash is the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
2014).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

MASK = 0xFFFFFFFFFFFFFFFF
GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
_GOLDEN, _MIX_1, _MIX_2, _27, _30, _31 = map(np.uint64, (GOLDEN, MIX_1, MIX_2, 27, 30, 31))


def mix(value: int) -> int:
    """SplitMix64's output function on one 64-bit integer: a bijection that scatters neighbouring values."""
    value &= MASK
    value = ((value ^ (value >> 30)) * MIX_1) & MASK
    value = ((value ^ (value >> 27)) * MIX_2) & MASK
    return value ^ (value >> 31)


def key(*parts: int | str) -> int:
    """A 64-bit key from integers and strings; the order of the parts counts."""
    state = 0
    for part in parts:
        if isinstance(part, str):
            number = int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
        else:
            number = int(part)
        state = mix(((state + GOLDEN) & MASK) ^ mix((number + GOLDEN) & MASK))
    return state


def bits(a_key: int, places: NDArray[np.uint64] | int) -> NDArray[np.uint64]:
    """64 random bits for each place (or for places 0 .. n-1): `mix(key + (place + 1) * GOLDEN)`, uint64."""
    if isinstance(places, int):
        places = np.arange(places, dtype=np.uint64)
    value = places.astype(np.uint64) * _GOLDEN + np.uint64((a_key + GOLDEN) & MASK)
    value = (value ^ (value >> _30)) * _MIX_1
    value = (value ^ (value >> _27)) * _MIX_2
    return value ^ (value >> _31)


def uniforms(a_key: int, places: NDArray[np.uint64] | int) -> NDArray[np.float64]:
    """A number in [0, 1) for each place (or for places 0 .. n-1): the top 53 bits of `bits`."""
    return (bits(a_key, places) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform(*parts: int | str) -> float:
    """One number in [0, 1) for one key."""
    return (mix(key(*parts)) >> 11) * 2.0**-53


def generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator (Philox, counter-based) for work that wants many shapes of draw under one key."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))


class Permutation:
    """A keyed shuffle of 0 .. size-1 whose i-th element is computed, not stored.

    A four-round Feistel network over the next even number of bits, walked until the value falls inside the range (cycle
    walking; under four rounds on average, since the domain is at most four times the size). Costs no memory at any
    size.
    """

    ROUNDS = 4

    def __init__(self, size: int, a_key: int) -> None:
        if size < 1:
            raise ValueError(f"a permutation needs at least one element, got {size}")
        self.size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._keys = [key(a_key, round_) for round_ in range(self.ROUNDS)]

    def __call__(self, places: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """The shuffled element at each place; places in 0 .. size-1, any shape, int64."""
        value = np.atleast_1d(np.asarray(places, dtype=np.int64)).astype(np.uint64)
        if value.size and int(value.max()) >= self.size:
            raise IndexError(f"place {int(value.max())} of a permutation of {self.size}")
        value = self._feistel(value)
        outside = value >= self.size
        while outside.any():
            value[outside] = self._feistel(value[outside])
            outside = value >= self.size
        return value.astype(np.int64).reshape(np.shape(places))

    def _feistel(self, value: NDArray[np.uint64]) -> NDArray[np.uint64]:
        half = np.uint64(self._half)
        low_mask = np.uint64((1 << self._half) - 1)
        left, right = value >> half, value & low_mask
        for a_key in self._keys:
            left, right = right, left ^ (bits(a_key, right) & low_mask)
        return (left << half) | right

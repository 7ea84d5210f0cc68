"""The flat arrays that a compiled table consists of: what the compiled loops read and what is saved, one file each.

All of them are read-only, so that a table in memory and one mapped from disk run the same compiled code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT, SINGLE, INNER, OUTER = 1, 2, 4, 8
"""Flags of a token: keys begin with it; it is a key; keys go on after it inside the word; keys go on after a word
border."""
BEGINS_SHIFT, JOINS_SHIFT, BORDER_BITS = 4, 10, 0x3F
"""Where in a token's `kinds` the bits stand that tell how it begins and what its end joins (characters.py)."""
BARE, LANGUAGE = 3, 5
"""Columns of `candidates`; the sequence with a space stands behind the bare one."""
SIZE_BITS = 5
BLOCKED = -2
"""Code of a key that is found like any other and never switched, so that it shields its parts (can in can't)."""
LAST = 0xFFFFFFFF


class Arrays(NamedTuple):
    """A compiled table, as the loops see it."""

    root: NDArray[np.int32]
    """[vocab]: node of the trie reached by a first token, 0 where no key begins with it."""
    single: NDArray[np.int32]
    """[vocab]: code of the key that the token is by itself, -1 where it is none."""
    kinds: NDArray[np.uint16]
    """[vocab]: flags of a token as the beginning of keys (`ROOT` ...), how it begins << 4, what its end joins << 10."""
    head: NDArray[np.uint8]
    """[vocab, 4]: first bytes of a token."""
    tail: NDArray[np.uint8]
    """[vocab, 4]: last bytes of a token."""
    n_bytes: NDArray[np.uint8]
    """[vocab]: bytes of a token, at most 255."""
    classes: NDArray[np.uint8]
    """[0x110000], or [1] where no token holds a part of a character: class of each code point."""
    edge_keys: NDArray[np.uint64]
    """[slots], a power of two: node << 32 | token; open addressing."""
    edge_nodes: NDArray[np.int32]
    """[slots]: node at the end of the edge."""
    codes: NDArray[np.int32]
    """[nodes]: code of the key that ends here (first candidate of its group << 1 | spaced), -1 where none ends,
    `BLOCKED` where one ends that is never switched."""
    has_children: NDArray[np.uint8]
    """[nodes]: whether a key goes on from here."""
    candidates: NDArray[np.uint32]
    """[candidates, 6]: three thresholds (cumulative share in units of 2**-32 by probability, uniform, best), the token
    sequence without and with a leading space (start in `pieces` << SIZE_BITS | length), the target language. The
    candidates of a group follow one another; the last one's thresholds are the largest number."""
    pieces: NDArray[np.uint16] | NDArray[np.int32]
    """Token ids of all translations; uint16 where the vocabulary has at most 65,536 tokens."""


def read_only(arrays: Arrays) -> Arrays:
    """The same arrays, contiguous and locked."""
    views: list[Any] = [np.ascontiguousarray(array).view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return Arrays(*views)


def layout(arrays: Arrays) -> dict[str, list[Any]]:
    """Type and shape of each array, as JSON holds them; the compiled loops rely on them."""
    return {name: [array.dtype.str, list(array.shape)] for name, array in arrays._asdict().items()}


def save(arrays: Arrays, folder: Path) -> None:
    """Write one .npy file per array."""
    for name, array in arrays._asdict().items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load(folder: Path) -> Arrays:
    """Map the arrays from disk: takes milliseconds, and processes share the memory."""
    return Arrays(
        *(np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in Arrays._fields)
    )

"""Word types that begin alike and types that end alike: the classes through which the aligner shares what it learns.

The first letters of a word hold most forms of an inflected word together (take, takes, taken); the last letters find
compounds and words derived in the same way. Neither needs resources. The classes of both languages are numbered
together, because words that begin alike in both are often cognates (parlement and parliament, 1998 and 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LETTERS = 4
"""Letters of a beginning or an ending. On the tuning sentences of docs/benchmarks.md, beginnings of 3 and of 5 letters
were worse by half a point of error rate, endings of 3 by 0.2."""
HAN = "\u3400", "\u9fff"
"""First and last of the common Chinese characters; one of them has a meaning, so one is enough."""


@dataclass(frozen=True, slots=True)
class Classes:
    """One way to put the types of both languages into classes."""

    source: NDArray[np.int32]
    """[source types] class of each type, from 0"""
    target: NDArray[np.int32]
    """[target types] the same; equal numbers mean the same letters in both languages"""

    @classmethod
    def of(cls, affix: Callable[[str], str], source_types: Sequence[str], target_types: Sequence[str]) -> Classes:
        """The classes of types that have the same affix."""
        numbers: dict[str, int] = {}
        source, target = (
            np.array([numbers.setdefault(affix(word), len(numbers)) for word in types], dtype=np.int32)
            for types in (source_types, target_types)
        )
        return cls(source, target)


def beginning(word: str) -> str:
    """The first letters of a word, or its first character if that is Chinese."""
    return word[:1] if HAN[0] <= word[:1] <= HAN[1] else word[:LETTERS]


def ending(word: str) -> str:
    """The last letters of a word, or its last character if that is Chinese."""
    return word[-1:] if HAN[0] <= word[-1:] <= HAN[1] else word[-LETTERS:]

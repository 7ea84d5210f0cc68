"""A compact set of texts already seen, for dropping duplicates from streams of any length.

Each text is kept as 64 bits of its BLAKE2b hash in an open-addressing table: 12 to 24 bytes per text (a Python set of
the same numbers takes about 90), three times as much for the moment in which the table doubles. The hash has no
per-process salt, so two runs drop the same. Among n different texts about n^2 / 2^65 are taken for another:
0.0003 of a hundred million.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

FIRST_SLOTS = 1 << 10


class Fingerprints:
    """Texts by their fingerprint; `add` says whether one is new."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * FIRST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: bytes) -> bool:
        """Remember a text; True when it was not there yet."""
        fingerprint = int.from_bytes(blake2b(text, digest_size=8).digest(), "little") or 1  # 0 marks an empty slot
        if not _put(self._slots, fingerprint):
            return False
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            larger = array("Q", bytes(16 * len(self._slots)))
            for one in self._slots:
                if one:
                    _put(larger, one)
            self._slots = larger
        return True


def _put(slots: array[int], fingerprint: int) -> bool:
    last = len(slots) - 1
    place = fingerprint & last
    while there := slots[place]:
        if there == fingerprint:
            return False
        place = (place + 1) & last
    slots[place] = fingerprint
    return True

"""`rejects.tsv`: the sentence pairs that a corpus lost, to be read by eye or mended.

`Drops` counts what was left out; this file shows it: one line per pair with reason, file, line, and both sides. Written
while the corpora stream by, whole or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from prealign import files

HEADER = ("reason", "file", "line", "source", "target")
PER_REASON = 10_000
"""Lines written per reason; the counts of a manifest go on."""
SIDE_LENGTH = 1_000
"""Characters of each side that are shown."""
ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def rejects_beside(folder: Path) -> Path:
    """The rejects file of a dictionary folder. It lies beside it and stays when `strict` leaves no dictionary."""
    return folder.with_name(folder.name + ".rejects.tsv")


class Rejects:
    """The open file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._counts: Counter[str] = Counter()
        file.write("\t".join(HEADER) + "\n")

    def add(self, reason: str, file: str, line: int, source: str, target: str) -> None:
        """Write one pair, unless its reason has had its 10,000; tabs and line ends are written as \\t, \\n, \\r."""
        self._counts[reason] += 1
        if self._counts[reason] <= PER_REASON:
            sides = (side[:SIDE_LENGTH].translate(ESCAPES) for side in (source, target))
            self._file.write("\t".join((reason, file.translate(ESCAPES), str(line), *sides)) + "\n")


@contextmanager
def rejects_file(path: Path | None) -> Iterator[Rejects | None]:
    """Write `rejects.tsv` to `path` when the block ends well; None writes nothing."""
    if path is None:
        yield None
        return
    with (
        files.whole(path) as temporary,
        # backslashreplace: half of a surrogate pair, which JSON can hold and UTF-8 cannot, is written as \udXXX
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        yield Rejects(file)

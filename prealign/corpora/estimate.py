"""How much parallel text there is, told before it is read: files, bytes, and a guess at the number of pairs.

For the log line before `build-dict` and for `--dry-run`. Looks at the first megabyte of each file only.
"""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from prealign.corpora.documents import BROKEN, MAGIC_XZ, open_bytes
from prealign.corpora.pair_formats import kind_of
from prealign.corpora.parquet import parquet_rows
from prealign.corpora.sentence_pairs import Corpus

SAMPLE_BYTES = 1 << 20
UNIT = re.compile(rb"<tu[\s>]")


def extent(corpora: Sequence[Corpus]) -> str:
    """For example "3 files, 12.4 MB, about 250,000 sentence pairs"."""
    files = [file for corpus in corpora for file in corpus.files]
    n_bytes = sum(file.stat().st_size for file in files)
    pairs = sum(guessed_pairs(corpus.path) for corpus in corpora)
    rounded = round(pairs, 2 - len(str(pairs)))  # two digits
    number = f"{len(files)} file" if len(files) == 1 else f"{len(files)} files"
    return f"{number}, {n_bytes / 1e6:,.1f} MB, about {rounded:,} sentence pairs"


def guessed_pairs(path: Path) -> int:
    """Records of the file, exact for Parquet and for files up to a megabyte.

    Otherwise the density of the first megabyte is taken for the whole. The content of a compressed file is taken to be
    as much larger than the file as that megabyte is than its own compression. Over 15 corpora the guess was 0.85 to
    1.2 times the truth, and 1.7 times for two that are sorted by length, short sentences first.
    """
    kind = kind_of(path)
    if kind == ".parquet":
        return parquet_rows(path)
    try:
        with open_bytes(path) as file:
            sample = file.read(SAMPLE_BYTES)
            is_whole = not file.read(1)
    except BROKEN:  # the reader will say so
        return 0
    records = len(UNIT.findall(sample)) if kind == ".tmx" else sample.count(b"\n")
    if is_whole:
        return records if kind == ".tmx" or not sample or sample.endswith(b"\n") else records + 1
    with path.open("rb") as file:
        head = file.read(len(MAGIC_XZ))
    if sample.startswith(head):
        taken = len(sample)
    else:
        taken = len(lzma.compress(sample) if head == MAGIC_XZ else zlib.compress(sample))
    return round(records * path.stat().st_size / taken)

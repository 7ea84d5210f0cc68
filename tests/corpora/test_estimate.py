"""What is told before the work."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from prealign.corpora.estimate import extent, guessed_pairs
from prealign.corpora.sentence_pairs import Corpus

LINE = "A cat number {n} sat there.\tEine Katze Nummer {n} saß dort.\n"


def text(lines: int) -> bytes:
    return "".join(LINE.format(n=number * 7919 % 1000) for number in range(lines)).encode()


def test_small_files_are_counted(tmp_path: Path) -> None:
    for name, content, pairs in (
        ("a.tsv", b"a\tb\nc\td", 2),
        ("b.tsv", b"a\tb\nc\td\n", 2),
        ("c.tsv", b"", 0),
        ("d.tsv.gz", gzip.compress(b"a\tb\n"), 1),
        ("e.tmx", b"<tmx><body><tu>\n\n</tu><tu id='2'></tu></body></tmx>", 2),
        ("f.tsv.gz", gzip.compress(b"a\tb\n")[:-4], 0),
    ):
        (tmp_path / name).write_bytes(content)
        assert guessed_pairs(tmp_path / name) == pairs, name


def test_large_files_are_guessed(tmp_path: Path) -> None:
    lines = 60_000  # 3.5 MB
    (tmp_path / "a.tsv").write_bytes(text(lines))
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(text(lines)))
    assert guessed_pairs(tmp_path / "a.tsv") == pytest.approx(lines, rel=0.02)
    assert guessed_pairs(tmp_path / "b.tsv.gz") == pytest.approx(lines, rel=0.1)


def test_extent(tmp_path: Path) -> None:
    (tmp_path / "c.en").write_bytes(b"x\n" * 1234)
    (tmp_path / "c.de").write_bytes(b"y\n" * 1234)
    (tmp_path / "a.tsv").write_bytes(b"a\tb\n")
    assert extent([Corpus(tmp_path / "a.tsv")]) == "1 file, 0.0 MB, about 1 sentence pairs"
    both = [Corpus(tmp_path / "c.en", tmp_path / "c.de"), Corpus(tmp_path / "a.tsv")]
    assert extent(both) == "3 files, 0.0 MB, about 1,200 sentence pairs"

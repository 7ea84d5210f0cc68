"""Any bytes given to any reader: pairs or a sentence, never another error, and lines never shift."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import Corpus, read_pairs
from prealign.errors import PrealignError

FRAGMENTS = [
    *(b"\t", b"\n", b"\r", b"\r\n", b" ", b" ||| ", b"|||", b"\0", b"a cat", "eine Kätze".encode(), "Кот".encode()),
    *("\u2028".encode(), b"word " * 600, b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe"),
    *(b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\xfd7zXZ\0", b"BZh", b"BZh91AY&SY", b"\x28\xb5\x2f\xfd", b"PAR1"),
    *(b"{", b"}", b"[", b'{"en": "a", "de": "b"}', b'{"en": "\\ud800", "de": "b"}', b'{"en": NaN}', b"1" * 5000),
    *(
        b'{"translation": {"en": "a", "de": 1}}',
        b'<?xml version="1.0" encoding="',
        b"UTF-16",
        b'"?>',
        b"<tmx>",
        b"<body>",
    ),
    *(
        b"<tu>",
        b"<tuv xml:lang='en'>",
        b"<tuv lang='de'>",
        b"<seg>",
        b"</seg></tuv>",
        b"</tu>",
        b"<tu/>",
        b"</body></tmx>",
    ),
    *(b"<!DOCTYPE x [", b"<!ENTITY e 'x'>", b"]>", b"&e;", b"&#0;"),
]
SOUP = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=6), max_size=24).map(b"".join)
NAMES = ["a.tsv", "a.txt", "a.jsonl", "a.tmx"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


@pytest.mark.parametrize("name", NAMES)
@given(content=SOUP)
@settings(max_examples=200, deadline=None)
def test_any_bytes(folder: Path, name: str, content: bytes) -> None:
    check(folder, name, content)


@given(content=SOUP)
@settings(max_examples=25, deadline=None)  # 70 ms each
def test_any_bytes_as_parquet(folder: Path, content: bytes) -> None:
    check(folder, "a.parquet", content)


def check(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    drops = Drops()
    try:
        pairs = list(read_pairs([Corpus(folder / name)], "en", "de", drops, folder / "rejects.tsv"))
    except PrealignError as error:
        assert str(folder / name) in str(error)  # noqa: PT017 - no error is right too
        return
    assert all(pair.source and pair.target and pair.source == pair.source.strip() for pair in pairs)
    shown = (folder / "rejects.tsv").read_bytes().decode("utf-8")
    assert shown.count("\n") == 1 + sum(drops.counts.values())
    str(drops.as_dict()).encode()  # a card can hold the samples


SIDE = st.sampled_from(["", " ", "ok", "😀", "\u2028", "a\x0cb", "Кот", "\r", "x" * 3000]).map(str.encode)
FAULTY = st.sampled_from([b"\xff", b"caf\xe9", b"\xe4\xbd"])


@given(lines=st.lists(st.tuples(SIDE | FAULTY, SIDE | FAULTY), max_size=20))
@settings(max_examples=200, deadline=None)
def test_moses_pairs_never_shift(folder: Path, lines: list[tuple[bytes, bytes]]) -> None:
    for side, name in enumerate(("c.en", "c.de")):
        numbered = (b"%d " % number + line[side] if line[side].strip() else b"" for number, line in enumerate(lines))
        (folder / name).write_bytes(b"".join(line + b"\n" for line in numbered))
    drops = Drops()
    pairs = list(read_pairs([Corpus(folder / "c.en", folder / "c.de")], "en", "ru", drops))
    assert all(pair.source.split()[0] == pair.target.split()[0] for pair in pairs)
    assert len(pairs) + sum(drops.counts.values()) == len(lines)

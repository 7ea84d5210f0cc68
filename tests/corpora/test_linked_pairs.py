"""Which pairs are kept, that their links come with them from any chunk, and that the file is read as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prealign.corpora.linked_pairs import LinkedPair, LinkedPairs, read_linked_pairs
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter
from prealign.errors import PrealignError

PAIRS = [SentencePair(f"{n} old houses", f"{n} alte Häuser") for n in range(40)]


def kept(pairs: list[SentencePair], at_most: int, path: Path, chunk: int = 40) -> list[LinkedPair]:
    """Pair n is linked 0-0, and 1-1 if its number is even."""
    keeper = LinkedPairs(at_most, 7, (Segmenter("en"), Segmenter("de")))
    for begin in range(0, len(pairs), chunk):
        here = pairs[begin : begin + chunk]
        links = [[(0, 0)] + [(1, 1)] * (int(pair.source.split()[0]) % 2 == 0) for pair in here]
        for pair in here:
            keeper.offer(pair)
        keeper.link(
            np.cumsum([0, *map(len, links)]), np.array([link for some in links for link in some], dtype=np.int32)
        )
    keeper.write(path)
    return list(read_linked_pairs(path))


def test_neither_chunks_nor_order_decide_what_is_kept(tmp_path: Path) -> None:
    whole = kept(PAIRS, 12, tmp_path / "a")
    assert len(whole) == 12
    assert kept(PAIRS, 12, tmp_path / "b", chunk=7) == whole
    assert kept(PAIRS[::-1], 12, tmp_path / "c", chunk=9) == whole
    assert kept(PAIRS, 5, tmp_path / "d", chunk=3) == whole[:5]
    assert len(kept(PAIRS, 99, tmp_path / "e")) == 40
    for pair in whole:
        assert pair.links == [(0, 0), (1, 1)][: 2 - int(pair.source.split()[0]) % 2]


@pytest.mark.parametrize(
    ("languages", "source", "target", "words"),
    [
        (
            ("en", "zh"),
            "The  old\thouse 🏠, here.",
            "老房子在这里。",
            (["The", "old", "house", "here"], ["老房子", "在", "这里"]),
        ),
        (("fr", "th"), "L’été, d’abord", "ฤดูร้อนก่อน", (["L’", "été", "d’", "abord"], ["ฤดู", "ร้อน", "ก่อน"])),
        (("ar", "tr"), "البيت القديم", "İki\nev", (["البيت", "القديم"], ["İki", "ev"])),
    ],
)
def test_words_are_found_again_in_any_script(languages, source, target, words, tmp_path: Path) -> None:
    keeper = LinkedPairs(1, 1, (Segmenter(languages[0]), Segmenter(languages[1])))
    keeper.offer(SentencePair(source, target))
    keeper.link(np.array([0, 2]), np.array([[0, 0], [1, 1]], dtype=np.int32))
    keeper.write(tmp_path / "links.tsv")
    (found,) = read_linked_pairs(tmp_path / "links.tsv")
    assert [found.source[a:b] for a, b in found.source_words] == words[0]
    assert [found.target[a:b] for a, b in found.target_words] == words[1]
    assert found.source == source.replace("\t", " ")
    assert found.links == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    "line",
    [
        "a b\tc",
        "a b\tc\t0-1 2-3\t0-1\t0-1",
        "a b\tc\t0-1 2-4\t0-1\t0-0",
        "a b\tc\t2-3 0-1\t0-1\t0-0",
        "a b\tc\t0-1\t0-x\t",
    ],
)
def test_a_changed_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "links.tsv"
    path.write_text(f"a b\tc\t0-1 2-3\t0-1\t1-0\n{line}\n")
    with pytest.raises(PrealignError, match=r"links.tsv, line 2: not a linked sentence pair"):
        list(read_linked_pairs(path))

"""Links from files: pieces between spaces against our words, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prealign.alignment.given_links import GivenLinks, write_links
from prealign.alignment.parallel_words import Links, ParallelWords
from prealign.corpora.sentence_pairs import LinkLine, SentencePair
from prealign.corpora.words import Segmenter
from prealign.errors import PrealignError


def taken(source: str, target: str, line: str, languages: str = "en-de", method: str = "auto") -> list[list[int]]:
    left, right = (Segmenter(language, method) for language in languages.split("-"))
    aligner = GivenLinks()
    aligner.add(SentencePair(source, target, links=LinkLine(line, Path("corpus.links"), 7)), left, right)
    text = ParallelWords.of([(left.words(source), right.words(target))])
    return aligner.links(text, "intersect").links.tolist()


@pytest.mark.parametrize(
    ("source", "target", "line", "links"),
    [
        ("a house", "ein Haus", "0-0 1-1", [[0, 0], [1, 1]]),
        ("Yes , a house .", "Ja , ein Haus .", "0-0 1-1 2-2 3-3 4-4", [[0, 0], [1, 1], [2, 2]]),  # marks are no words
        ("Yes, a house.", "Ja, ein Haus.", "0-0 2-2", [[0, 0], [2, 2]]),  # not tokenised: words begin in pieces
        ("my e-mail", "meine E-Mail", "1-1", [[1, 1], [1, 2], [2, 1], [2, 2]]),  # a piece of two words
        ("10\u00a0000 men", "10\u00a0000 Mann", "1-1", [[2, 2]]),  # U+00A0 divides our words, not the pieces
        ("a house", "ein Haus", "1-1 1-1", [[1, 1]]),
        ("a house", "ein Haus", "", []),
    ],
)
def test_pieces_become_words(source: str, target: str, line: str, links: list[list[int]]) -> None:
    assert taken(source, target, line) == links


def test_scripts_without_spaces_are_cut_as_they_were() -> None:
    assert taken("an old house", "一座 老 房子 。", "0-0 1-1 2-2", "en-zh", "spaces") == [[0, 0], [1, 1], [2, 2]]
    assert taken("كتاب قديم", "old book", "0-1 1-0", "ar-en") == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0-0 2-1", r"corpus\.links, line 7: a link names source word 2, but the sentence has 2 words"),
        ("0-0 1:1", r"corpus\.links, line 7: '1:1' is not a link"),
        ("0-0 \\xff", r"corpus\.links, line 7: .* made on just this text: a house \| ein Haus"),
    ],
)
def test_lines_that_do_not_fit_are_told_with_their_place(line: str, sentence: str) -> None:
    with pytest.raises(PrealignError, match=sentence):
        taken("a house", "ein Haus", line)


def test_written_links_read_back(tmp_path: Path) -> None:
    pairs = [(["My", "dog"], ["Mein", "Hund"]), (["alone"], []), (["سلام"], ["和平"])]
    text = ParallelWords.of(pairs)
    write_links(tmp_path, text, Links(np.array([0, 2, 2, 3]), np.array([[0, 0], [1, 1], [0, 0]], dtype=np.int32)))
    assert (tmp_path / "links.pharaoh").read_text(encoding="utf-8") == "0-0 1-1\n\n0-0\n"
    assert (tmp_path / "words.txt").read_text(encoding="utf-8") == "My dog ||| Mein Hund\nalone ||| \nسلام ||| 和平\n"

"""Links in files: those made elsewhere, for `aligner: links`, and those of a build written for other tools.

Files made elsewhere count what stands between spaces, as every aligner's input does; our words are found by a
segmenter, which drops punctuation and may cut finer. A link between two pieces links the words that begin in them.
"""

from __future__ import annotations

import re
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from prealign.alignment.links import Symmetrisation, format_pharaoh, parse_pharaoh
from prealign.alignment.parallel_words import Links, ParallelWords
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter
from prealign.errors import PrealignError

LINKS_FILE = "links.pharaoh"
WORDS_FILE = "words.txt"
PIECES = re.compile(r"[^ \t]+")
"""Aligners cut their input at spaces and tabs; other white space (U+00A0 in French numbers) is part of a word there."""


class GivenLinks:
    """The aligner that takes the links it is given, pair by pair, while the corpus is read."""

    name = "links"
    cased = False

    def __init__(self) -> None:
        self._links = array("i")
        self._offsets = array("q", [0])

    def add(self, pair: SentencePair, source: Segmenter, target: Segmenter) -> None:
        """Take the links of the next pair.

        Raises:
            PrealignError: the line is not Pharaoh's form, or names a word that the sentence does not have.
        """
        assert pair.links is not None
        pieces = _words_of_pieces(pair.source, source), _words_of_pieces(pair.target, target)
        try:
            links = parse_pharaoh(pair.links.text, *map(len, pieces))
        except PrealignError as error:
            raise PrealignError(
                f"{pair.links.path}, line {pair.links.number}: {error} Words are what stands between spaces, so the "
                f"links must have been made on just this text: {pair.source[:60]} | {pair.target[:60]}"
            ) from None
        words = {(i, j) for left, right in links.tolist() for i in pieces[0][left] for j in pieces[1][right]}
        for i, j in sorted(words):
            self._links.extend((i, j))
        self._offsets.append(len(self._links) // 2)

    def signature(self) -> dict[str, Any]:
        return {"name": self.name}

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        """See `aligners.Aligner.links`."""
        assert len(text) == len(self._offsets) - 1
        taken = Links(np.array(self._offsets, dtype=np.int64), np.array(self._links, dtype=np.int32).reshape(-1, 2))
        self._links, self._offsets = array("i"), array("q", [0])  # what is added next belongs to the next text
        return taken


def write_links(folder: Path, text: ParallelWords, links: Links) -> None:
    """Write the words and links of a corpus: line i of `links.pharaoh` belongs to line i of `words.txt`.

    `words.txt` has `source words ||| target words`, as fast_align and eflomal read it. Both files together are input
    for `aligner: links`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / WORDS_FILE).open("w", encoding="utf-8", newline="\n") as words_file,
        (folder / LINKS_FILE).open("w", encoding="utf-8", newline="\n") as links_file,
    ):
        for place, (source, target) in enumerate(text):
            words_file.write(f"{' '.join(source)} ||| {' '.join(target)}\n")
            links_file.write(format_pharaoh(links.links[links.offsets[place] : links.offsets[place + 1]]) + "\n")


def _words_of_pieces(text: str, segmenter: Segmenter) -> list[list[int]]:
    """For each piece between spaces, the positions of the words that begin in it."""
    ends = [piece.end() for piece in PIECES.finditer(text)]
    words: list[list[int]] = [[] for _ in ends]
    piece = 0
    for place, (start, _) in enumerate(segmenter.spans(text)):
        while start >= ends[piece]:
            piece += 1
        words[piece].append(place)
    return words

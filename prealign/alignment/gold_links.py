"""Gold links, made by people: reading them, and how well other links agree with them.

Beside the pipeline: what an aligner does is judged here, by `prealign dictionary links` and by the benchmarks. Two
forms are read. XL-WA's, one sentence pair per line: source words, target words, sure links, and where the set has them
the possible ones, with tabs between. Pharaoh's: one line of links per sentence pair, `1-2` sure, `1?2` or `1p2`
possible.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.given_links import PIECES
from prealign.alignment.links import parse_pharaoh
from prealign.alignment.parallel_words import WordPair
from prealign.corpora.documents import read_lines
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

Links = NDArray[np.int32]
"""[links, 2] of one sentence pair, positions of source and target words from 0."""
NO_LINKS = "-"
"""What stands in a column of XL-WA's form that has no links."""
POSSIBLE = re.compile(r"(\d+)[?p](\d+)")
COLUMNS = range(3, 5)
Lengths = tuple[int | None, int | None]
"""Words of the source and the target sentence."""
UNKNOWN: Lengths = (None, None)


class GoldLinks(NamedTuple):
    """The gold links of some sentence pairs, and their words where the file has them."""

    sure: list[Links]
    possible: list[Links]
    """Allowed but not asked for."""
    words: list[WordPair] | None


def read_gold(path: Path, first: int = 0) -> GoldLinks:
    """Read gold links in XL-WA's or Pharaoh's form; a file with tabs is in XL-WA's.

    Args:
        first: number of a sentence's first word in this file, 0 or 1.
    Raises:
        PrealignError: a line has another form, or names a word that its sentence does not have.
    """
    sure: list[Links] = []
    possible: list[Links] = []
    words: list[WordPair] = []
    for number, line in read_lines(path):
        place, fields = f"{path}, line {number}", line.split("\t")
        if number > 1 and (len(fields) > 1) != bool(words):
            raise PrealignError(f"{place}: some lines have tabs and some have none. Give one form.")
        if len(fields) == 1:
            asked = [item for item in line.split() if not POSSIBLE.fullmatch(item)]
            allowed = [POSSIBLE.sub(r"\1-\2", item) for item in line.split() if POSSIBLE.fullmatch(item)]
            sure.append(_links(" ".join(asked), first, UNKNOWN, place))
            possible.append(_links(" ".join(allowed), first, UNKNOWN, place))
        elif len(fields) in COLUMNS:
            pair = PIECES.findall(fields[0]), PIECES.findall(fields[1])
            lengths = len(pair[0]), len(pair[1])
            words.append(pair)
            sure.append(_links(fields[2], first, lengths, place))
            possible.append(_links(fields[3] if len(fields) > 3 else NO_LINKS, first, lengths, place))
        else:
            raise PrealignError(
                f"{place} has {len(fields)} columns; gold links have three or four: source words, target words, sure "
                "links, possible links, with tabs between."
            )
    if not sure:
        raise PrealignError(f"{path} is empty; gold links have a line for each sentence pair.")
    if first == 0 and not any((links == 0).any() for links in [*sure, *possible]):
        log.warning("%s: no link names a word 0. If words are counted from 1 there, say so.", path)
    return GoldLinks(sure, possible, words or None)


def read_links(path: Path, gold: GoldLinks, first: int = 0) -> list[Links]:
    """Links of the gold sentences, made elsewhere: Pharaoh's form, line i for sentence pair i.

    Raises:
        PrealignError: a line is no links or names a word beyond the sentence; the file has more or fewer lines.
    """
    lines = [line for _, line in read_lines(path)]
    if len(lines) != len(gold.sure):
        raise PrealignError(
            f"{path} has {len(lines):,} lines and the gold links {len(gold.sure):,}; line i of both must be the same "
            "sentence pair."
        )
    lengths = [UNKNOWN] * len(lines) if gold.words is None else [(len(s), len(t)) for s, t in gold.words]
    return [
        _links(line, first, of_pair, f"{path}, line {number}")
        for number, (line, of_pair) in enumerate(zip(lines, lengths), start=1)
    ]


def _links(text: str, first: int, lengths: Lengths, place: str) -> Links:
    """The links of a column, their words counted from 0."""
    try:
        links = parse_pharaoh("" if text == NO_LINKS else text)
        links = links - np.int32(first)
        if links.size and links.min() < 0:
            raise PrealignError("a link names word 0, but words are said to count from 1.")
        for column, side in ((0, "source"), (1, "target")):
            last, length = links[:, column].max(initial=-1), lengths[column]
            if length is not None and last >= length:
                raise PrealignError(
                    f"a link names {side} word {last + first}, but the sentence has {length} words, and they are said "
                    f"to count from {first}."
                )
    except PrealignError as error:
        raise PrealignError(f"{place}: {error}") from None
    return links


@dataclass(frozen=True, slots=True)
class LinkScore:
    """Agreement with gold links: A the links, S the sure ones, P the sure and possible ones (Och and Ney 2003)."""

    precision: float
    """|A & P| / |A|"""
    recall: float
    """|A & S| / |S|"""
    f1: float
    """2 precision recall / (precision + recall)"""
    alignment_error_rate: float
    """1 - (|A & S| + |A & P|) / (|A| + |S|)"""

    @classmethod
    def of(cls, counts: NDArray[np.int64] | NDArray[np.float64]) -> Self:
        """From |A|, |S|, |A & S|, |A & P| [4], summed over sentences or averaged."""
        n_links, n_sure, n_right_sure, n_right = counts.tolist()
        precision = n_right / n_links if n_links else 0.0
        recall = n_right_sure / n_sure if n_sure else 0.0
        return cls(
            precision=precision,
            recall=recall,
            f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
            alignment_error_rate=1.0 - (n_right_sure + n_right) / (n_links + n_sure) if n_links + n_sure else 0.0,
        )


def agreement(
    links: Iterable[Links], sure: Iterable[Links], possible: Sequence[Links] | None = None
) -> NDArray[np.int64]:
    """|A|, |S|, |A & S| and |A & P| of every sentence pair, [sentence pairs, 4].

    Args:
        possible: links that are allowed but not asked for; none: the sure links are all there are. May repeat sure
        links.
    """
    counts = []
    for place, (found, wanted) in enumerate(zip(links, sure, strict=True)):
        found_set = {(i, j) for i, j in found.tolist()}
        sure_set = {(i, j) for i, j in wanted.tolist()}
        allowed = sure_set if possible is None else sure_set | {(i, j) for i, j in possible[place].tolist()}
        counts.append((len(found_set), len(sure_set), len(found_set & sure_set), len(found_set & allowed)))
    return np.array(counts, dtype=np.int64).reshape(-1, 4)


def score_links(links: Iterable[Links], sure: Iterable[Links], possible: Sequence[Links] | None = None) -> LinkScore:
    """Score links against gold links; arguments as in `agreement`, counts are summed over sentence pairs."""
    counts = agreement(links, sure, possible).sum(axis=0)
    if not counts[1]:
        raise PrealignError("the gold links hold no sure link, so nothing can be measured against them.")
    return LinkScore.of(counts)

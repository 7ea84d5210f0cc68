"""A stretch of parallel text, cut into words, linked and counted: the step from sentence pairs to `LinkCounts`.

Words are aligned under their folded form, so that "The" and "the" are one word.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.aligners import Aligner
from prealign.alignment.bitext import Side, SideBuilder
from prealign.alignment.given_links import GivenLinks, write_links
from prealign.alignment.parallel_words import Links, ParallelWords
from prealign.config.dictionary import DictionarySettings
from prealign.corpora.drops import SAMPLES_PER_REASON, Drops
from prealign.corpora.linked_pairs import LinkedPairs
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter, fold
from prealign.dictionary.counts import LinkCounts, summed
from prealign.dictionary.runs import BREAK, NOTHING, SPACE, Text, count_runs, one_to_one, places_of

JOINS = {" ": SPACE, "": NOTHING}
"""What may stand between the words of a run."""
LEFT_OVER = "links that tie neither two words nor a run of words"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much text was read and linked; extents add up."""

    sentence_pairs: int = 0
    source_running_words: int = 0
    target_running_words: int = 0
    links: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(
            self.sentence_pairs + other.sentence_pairs,
            self.source_running_words + other.source_running_words,
            self.target_running_words + other.target_running_words,
            self.links + other.links,
        )


def count_text(
    pairs: Iterable[SentencePair],
    segmenters: tuple[Segmenter, Segmenter],
    aligner: Aligner,
    settings: DictionarySettings,
    drops: Drops,
    links_folder: Path | None = None,
    kept: LinkedPairs | None = None,
    *,
    whole: bool = False,
) -> tuple[LinkCounts, Extent]:
    """Link the words of sentence pairs and count the links.

    The links of a sentence pair count as much as its weight.

    Args:
        segmenters: how words are found, source and target.
        drops: receives links that are not counted, by reason.
        links_folder: where the links and the words they count are kept; none: nowhere.
        kept: receives the pairs with their links, and keeps some.
        whole: the pairs are all of the corpus, and their counts are not added to others.
    """
    sources, targets = (_Words(segmenter, with_joins=settings.multi_word) for segmenter in segmenters)
    weights = array("f")
    for pair in pairs:
        sources.add(pair.source)
        targets.add(pair.target)
        weights.append(pair.weight)
        if isinstance(aligner, GivenLinks):
            aligner.add(pair, *segmenters)
        if kept is not None:
            kept.offer(pair)
    source, source_types = sources.folded()
    target, target_types = targets.folded()
    text = ParallelWords(source, target, source_types, target_types)
    found = aligner.links(_spelt(sources, targets) if aligner.cased else text, settings.symmetrisation)
    if kept is not None:
        kept.link(found.offsets, found.links)
    if links_folder is not None:
        write_links(links_folder, _spelt(sources, targets), found)
    of_pairs = np.frombuffer(weights, dtype=np.float32)
    singles = count_links(source, target, found, of_pairs, only_one_to_one=settings.multi_word)
    counts = LinkCounts(source_types, target_types, *singles, sources.inside(), targets.inside())
    if settings.multi_word:
        runs = count_runs(sources.text(), targets.text(), found, of_pairs, whole=whole)
        drops.extend(_told(text, found, runs.left_over))
        counts = counts.joined_by(runs)
    return counts, Extent(len(weights), len(source.words), len(target.words), len(found.links))


def _told(text: ParallelWords, links: Links, left_over: NDArray[np.bool_]) -> dict[str, Any]:
    """The links left over [links], as `Drops.extend` takes them."""
    chosen = np.flatnonzero(left_over)
    some = chosen[:SAMPLES_PER_REASON]
    source, target = (places[some] for places in places_of(links, text.source, text.target))
    samples = [
        f"{text.source_types[i]} | {text.target_types[j]}"
        for i, j in zip(text.source.words[source].tolist(), text.target.words[target].tolist())
    ]
    return {LEFT_OVER: {"count": len(chosen), "samples": samples}} if samples else {}


def folded_text(pairs: Iterable[SentencePair], segmenters: tuple[Segmenter, Segmenter]) -> ParallelWords:
    """Sentence pairs in folded words: what an aligner is trained on."""
    sources, targets = map(_Words, segmenters)
    for pair in pairs:
        sources.add(pair.source)
        targets.add(pair.target)
    (source, source_types), (target, target_types) = sources.folded(), targets.folded()
    return ParallelWords(source, target, source_types, target_types)


class _Words:
    """One language while its sentences stream by: word forms as numbers, and which of them open a sentence."""

    def __init__(self, segmenter: Segmenter, *, with_joins: bool = False) -> None:
        """with_joins: remember what stands between the words, for `text`."""
        self._segmenter = segmenter
        self._forms = SideBuilder()
        self._openings = bytearray()
        self._joins = bytearray()
        self._with_joins = with_joins

    def add(self, sentence: str) -> None:
        words, openings = self._segmenter.words_and_openings(sentence)
        self._forms.add(words)
        self._openings.extend(openings)
        if self._with_joins:
            self._joins.extend(_joins(sentence, self._segmenter.spans(sentence)))

    def text(self) -> Text:
        """All that is known of the text, for counting runs of words."""
        joins, opens = (np.frombuffer(flags, dtype=np.uint8) for flags in (self._joins, self._openings))
        return Text(*self.folded(), *self.spelt(), joins, opens)

    def spelt(self) -> tuple[Side, list[str]]:
        """The text in word forms, and the forms."""
        return self._forms.side(), list(self._forms.types)

    def folded(self) -> tuple[Side, list[str]]:
        """The text in folded words, and these."""
        side, forms = self.spelt()
        types: dict[str, int] = {}
        language = self._segmenter.language
        of_form = np.array([types.setdefault(fold(form, language), len(types)) for form in forms], dtype=np.int32)
        return Side(of_form[side.words], side.offsets, len(types)), list(types)

    def inside(self) -> dict[str, int]:
        """How often each form stands inside a sentence."""
        side, forms = self.spelt()
        inside = np.frombuffer(self._openings, dtype=np.uint8) == 0
        return dict(zip(forms, np.bincount(side.words[inside], minlength=len(forms)).tolist()))


def _joins(sentence: str, spans: list[tuple[int, int]]) -> list[int]:
    """What stands before each word: see `runs.BREAK`."""
    gaps = (sentence[end:start] for (_, end), (start, _) in pairwise(spans))
    return [BREAK, *(JOINS.get(gap, BREAK) for gap in gaps)][: len(spans)]


def _spelt(sources: _Words, targets: _Words) -> ParallelWords:
    (source, source_forms), (target, target_forms) = sources.spelt(), targets.spelt()
    return ParallelWords(source, target, source_forms, target_forms)


def count_links(
    source: Side, target: Side, links: Links, weights: NDArray[np.float32], *, only_one_to_one: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """How often each pair of types was linked: source types, target types, sums of weights, each [pairs].

    Args:
        weights: of each sentence pair, [sentences].
        only_one_to_one: leave out links of words that have several.
    """
    of_links = np.repeat(weights, np.diff(links.offsets))
    places = places_of(links, source, target)
    if only_one_to_one:
        chosen = one_to_one(places)
        of_links, places = of_links[chosen], (places[0][chosen], places[1][chosen])
    return summed(source.words[places[0]], target.words[places[1]], of_links)

"""A stretch of parallel text, cut into words, linked and counted: the step from sentence pairs to `LinkCounts`.

Words are aligned under their folded form, so that "The" and "the" are one word.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.aligners import Aligner
from prealign.alignment.bitext import Side, SideBuilder
from prealign.alignment.given_links import GivenLinks, write_links
from prealign.alignment.parallel_words import Links, ParallelWords
from prealign.config.dictionary import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter, fold
from prealign.dictionary.counts import LinkCounts


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
) -> tuple[LinkCounts, Extent]:
    """Link the words of sentence pairs and count the links.

    The links of a sentence pair count as much as its weight.

    Args:
        segmenters: how words are found, source and target.
        drops: receives sentence pairs that the aligner cannot take.
        links_folder: where the links and the words they count are kept; none: nowhere.
    """
    sources, targets = map(_Words, segmenters)
    weights = array("f")
    for pair in pairs:
        sources.add(pair.source)
        targets.add(pair.target)
        weights.append(pair.weight)
        if isinstance(aligner, GivenLinks):
            aligner.add(pair, *segmenters)
    source, source_types = sources.folded()
    target, target_types = targets.folded()
    text = ParallelWords(source, target, source_types, target_types)
    found = aligner.links(_spelt(sources, targets) if aligner.cased else text, settings.symmetrisation, drops)
    if links_folder is not None:
        write_links(links_folder, _spelt(sources, targets), found)
    counts = LinkCounts(
        source_types,
        target_types,
        *count_links(source, target, found, np.frombuffer(weights, dtype=np.float32)),
        sources.inside(),
        targets.inside(),
    )
    return counts, Extent(len(weights), len(source.words), len(target.words), len(found.links))


class _Words:
    """One language while its sentences stream by: word forms as numbers, and which of them open a sentence."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._forms = SideBuilder()
        self._openings = bytearray()

    def add(self, sentence: str) -> None:
        words, openings = self._segmenter.words_and_openings(sentence)
        self._forms.add(words)
        self._openings.extend(openings)

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


def _spelt(sources: _Words, targets: _Words) -> ParallelWords:
    (source, source_forms), (target, target_forms) = sources.spelt(), targets.spelt()
    return ParallelWords(source, target, source_forms, target_forms)


def count_links(
    source: Side, target: Side, links: Links, weights: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """How often each pair of types was linked: source types, target types, sums of weights, each [pairs].

    weights: of each sentence pair, [sentences].
    """
    sentences = np.repeat(np.arange(len(source)), np.diff(links.offsets))
    source_types = source.words[source.offsets[sentences] + links.links[:, 0]].astype(np.int64)
    target_types = target.words[target.offsets[sentences] + links.links[:, 1]]
    n_targets = max(1, target.n_types)
    keys, places = np.unique(source_types * n_targets + target_types, return_inverse=True)
    counts = np.bincount(places, weights[sentences], minlength=len(keys)).astype(np.float64)
    return keys // n_targets, keys % n_targets, counts

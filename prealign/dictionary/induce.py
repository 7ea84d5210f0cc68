"""From sentence pairs to a dictionary: segment, align, count the links, keep what passes the thresholds.

The middle of `build-dict`. Words are aligned under their folded form, so that "The" and "the" are one word; each
entry is then written in the form that the word takes most often inside sentences, so German nouns keep their capital
and a sentence's first word does not get one. What is left out is counted by reason.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign import draws
from prealign.alignment.bitext import Side, SideBuilder
from prealign.alignment.statistical import StatisticalAligner
from prealign.config.settings import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter, fold, has_digit, lower
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry, probability
from prealign.errors import PrealignError


def induce(
    pairs: Iterable[SentencePair],
    source_language: str,
    target_language: str,
    settings: DictionarySettings,
    seed: int,
    drops: Drops,
    segmenters: tuple[Segmenter, Segmenter] | None = None,
) -> Dictionary:
    """Extract a dictionary from sentence pairs.

    A pair of words is kept when it was linked `min_count` times, both its probabilities reach `min_probability`, it is
    among the source word's `top_k` most probable, and neither word has a digit. A probability is the pair's share of
    all links of its word. A word whose only translation is itself is left out. The links of a sentence pair count as
    much as its weight; sums are rounded where a whole number is wanted (`Entry.count`, `min_count`).

    Args:
        pairs: sentences with their translations.
        seed: chooses the sentence pairs when `max_sentence_pairs` leaves some out.
        drops: receives the word pairs left out, by reason.
        segmenters: how words are found, source and target; none: as suits the languages.
    Returns:
        The dictionary; its card tells aligner, options, segmenters, counts and drops.
    """
    if settings.max_sentence_pairs is not None:
        pairs = _sample(pairs, settings.max_sentence_pairs, seed)
    sources, targets = map(_Words, segmenters or (Segmenter(source_language), Segmenter(target_language)))
    weights = array("f")
    for source, target, weight in pairs:
        sources.add(source)
        targets.add(target)
        weights.append(weight)
    source_side, source_spelling = sources.finish()
    target_side, target_spelling = targets.finish()
    if not len(source_side.words) or not len(target_side.words):
        raise PrealignError(
            f"the parallel text {source_language}-{target_language} holds no sentence pair with words on both sides, "
            "so there is nothing to align. Check its columns and its languages."
        )
    aligner = StatisticalAligner(source_side, target_side)
    aligner.train()
    link_offsets, links = aligner.links(settings.symmetrisation)
    linked = count_links(source_side, target_side, link_offsets, links, np.frombuffer(weights, dtype=np.float32))
    entries = _entries(linked, source_spelling, target_spelling, settings, drops)
    card: dict[str, Any] = {
        "aligner": aligner.signature(),
        "symmetrisation": settings.symmetrisation,
        "min_count": settings.min_count,
        "min_probability": settings.min_probability,
        "top_k": settings.top_k,
        "source_segmenter": sources.segmenter.signature,
        "target_segmenter": targets.segmenter.signature,
        "sentence_pairs": len(source_side.offsets) - 1,
        "source_running_words": len(source_side.words),
        "target_running_words": len(target_side.words),
        "links": len(links),
        "dropped": drops.as_dict(),
    }
    return Dictionary(source_language, target_language, entries, card)


class _Words:
    """One language while its sentences stream by: word forms as numbers, and how often each form opens a sentence."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.language = segmenter.language
        self.segmenter = segmenter
        self._forms = SideBuilder()
        self._openings = bytearray()

    def add(self, sentence: str) -> None:
        words, openings = self.segmenter.words_and_openings(sentence)
        self._forms.add(words)
        self._openings.extend(openings)

    def finish(self) -> tuple[Side, list[str]]:
        """The corpus in folded word types, and the spelling of each type for the dictionary."""
        side = self._forms.side()
        forms = list(self._forms.types)
        types: dict[str, int] = {}
        folded = np.array([types.setdefault(fold(form, self.language), len(types)) for form in forms], dtype=np.int32)
        inside = np.frombuffer(self._openings, dtype=np.uint8) == 0
        counts = np.bincount(side.words[inside], minlength=len(forms))
        spelling = [""] * len(types)
        most = [-1] * len(types)
        for form, of_type, count in zip(forms, folded.tolist(), counts.tolist()):
            if count > most[of_type]:
                # Met only where sentences open: the capital is taken for the sentence's, not the word's.
                spelling[of_type] = form if count else lower(form, self.language)
                most[of_type] = count
        return Side(folded[side.words], side.offsets, len(types)), spelling


def _sample(pairs: Iterable[SentencePair], size: int, seed: int) -> Iterator[SentencePair]:
    """The `size` pairs with the smallest keyed hashes, in their order in the corpus."""
    keyed = ((draws.key(seed, "sentence pairs", place), place, pair) for place, pair in enumerate(pairs))
    return (pair for _, _, pair in sorted(heapq.nsmallest(size, keyed), key=lambda item: item[1]))


def count_links(
    source: Side, target: Side, link_offsets: NDArray[np.int64], links: NDArray[np.int32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """How often each pair of types was linked: source types, target types, sums of weights, each [pairs].

    weights: of each sentence pair, [sentences].
    """
    sentences = np.repeat(np.arange(len(source)), np.diff(link_offsets))
    source_types = source.words[source.offsets[sentences] + links[:, 0]].astype(np.int64)
    target_types = target.words[target.offsets[sentences] + links[:, 1]]
    keys, places = np.unique(source_types * target.n_types + target_types, return_inverse=True)
    counts = np.bincount(places, weights[sentences]).astype(np.float64)
    return keys // target.n_types, keys % target.n_types, counts


def _entries(
    linked: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
    source_spelling: list[str],
    target_spelling: list[str],
    settings: DictionarySettings,
    drops: Drops,
) -> list[Entry]:
    """The pairs that pass the thresholds, spelt for the dictionary; the others are counted in `drops`."""
    source_types, target_types, counts = linked
    of_source = np.bincount(source_types, counts, minlength=len(source_spelling))
    of_target = np.bincount(target_types, counts, minlength=len(target_spelling))
    order = np.lexsort((target_types, -counts, source_types))  # most frequent translation of each word first
    entries: list[Entry] = []
    of_one_word: list[Entry] = []
    for place in order.tolist():
        source_type, target_type, count = int(source_types[place]), int(target_types[place]), float(counts[place])
        entry = Entry(
            source_spelling[source_type],
            target_spelling[target_type],
            round(count),
            probability(count, of_source[source_type]),
            probability(count, of_target[target_type]),
        )
        if of_one_word and of_one_word[0].source != entry.source:
            entries += _without_copy(of_one_word, drops)
            of_one_word = []
        reason = _fault(entry, len(of_one_word), settings)
        if reason is None:
            of_one_word.append(entry)
        else:
            drops.add(reason, _told(entry))
    return entries + _without_copy(of_one_word, drops)


def _fault(entry: Entry, already_kept: int, settings: DictionarySettings) -> str | None:
    """Why an entry stays out, or None."""
    if has_digit(entry.source) or has_digit(entry.target):
        return "word pairs with a digit"
    if entry.count < settings.min_count:
        return "word pairs below min_count"
    if min(entry.p_target_given_source, entry.p_source_given_target) < settings.min_probability:
        return "word pairs below min_probability"
    if already_kept >= settings.top_k:
        return "word pairs beyond top_k"
    return None


def _without_copy(of_one_word: list[Entry], drops: Drops) -> list[Entry]:
    """The entries of a word, or none of them if its only translation is itself ("Tom"): switching it would do nothing.

    A copy beside other translations stays, so that "restaurant" is not always switched to "restaurants".
    """
    if len(of_one_word) == 1 and of_one_word[0].source == of_one_word[0].target:
        drops.add("words whose only translation is the word itself", _told(of_one_word[0]))
        return []
    return of_one_word


def _told(entry: Entry) -> str:
    return f"{entry.source} | {entry.target} ({entry.count})"

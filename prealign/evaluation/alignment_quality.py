"""How good word links and dictionaries are, beside answers made by people, with intervals over sentences and words.

`prealign dictionary links` and `prealign dictionary quality` print what is computed here. Links are scored by
precision, recall, F1 and alignment error rate (`alignment.gold_links`), dictionaries by P@1 and coverage
(`dictionary.quality`). All of these are made from sums over sentence pairs or words, so resampling those gives the
interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.aligners import Aligner
from prealign.alignment.gold_links import GoldLinks, Links, LinkScore, agreement
from prealign.alignment.links import Symmetrisation
from prealign.alignment.parallel_words import ParallelWords, WordPair
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter, fold
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.quality import answers, share_of_answers
from prealign.errors import PrealignError
from prealign.evaluation.uncertainty import FEWEST_ITEMS, Interval, bootstrap, percentile_interval


class Score(NamedTuple):
    """A number and where it would lie for other sentences or words of the same kind."""

    value: float
    interval: Interval | None
    """95 %, percentiles of the bootstrap; None over fewer than ten items."""


class Quality(NamedTuple):
    """The scores of one set of links or one dictionary against one gold set."""

    scores: dict[str, Score]
    n_items: int
    """Sentence pairs, or words of the gold dictionary."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            name: {"value": score.value, **(score.interval._asdict() if score.interval else {})}
            for name, score in self.scores.items()
        }


def quality_of_links(links: Sequence[Links], gold: GoldLinks) -> Quality:
    """Score the links of the gold sentences.

    Raises:
        PrealignError: the gold set asks for no link at all.
    """
    counts = agreement(links, gold.sure, gold.possible)
    if not counts[:, 1].any():
        raise PrealignError("The gold links hold no sure link, so nothing can be measured against them.")
    return Quality(_resampled(counts.astype(np.float64), lambda sums: asdict(LinkScore.of(sums)), "links"), len(counts))


def quality_of_dictionary(dictionary: Dictionary, gold: Dictionary) -> Quality:
    """Score a dictionary on the words of a gold dictionary; `dictionary.quality.against_gold` names the scores."""
    found = answers(dictionary, gold)
    if not len(found):
        raise PrealignError("The gold dictionary has no entries, so nothing can be measured against it.")
    return Quality(_resampled(found, share_of_answers, "dictionary"), len(found))


def link_gold(
    words: Sequence[WordPair],
    pairs: Iterable[SentencePair],
    segmenters: tuple[Segmenter, Segmenter],
    aligner: Aligner,
    symmetrisation: Symmetrisation,
) -> list[Links]:
    """Let an aligner link the gold sentences, together with other text for it to learn from.

    Args:
        words: the gold sentences; they keep the words that the gold links count.
        pairs: text of the same languages; may be empty.
        segmenters: how the words of `pairs` are found, source and target.
    """
    source, target = segmenters
    text: Iterable[WordPair] = chain(words, ((source.words(pair.source), target.words(pair.target)) for pair in pairs))
    if not aligner.cased:
        text = (
            ([fold(word, source.language) for word in left], [fold(word, target.language) for word in right])
            for left, right in text
        )
    found = aligner.links(ParallelWords.of(text), symmetrisation)
    return [found.links[start:end] for start, end in pairwise(found.offsets[: len(words) + 1].tolist())]


def _resampled(
    counts: NDArray[np.float64], score: Callable[[NDArray[np.float64]], Mapping[str, float]], of: str
) -> dict[str, Score]:
    """The scores of sums [columns] of the counts [items, columns], and their intervals over the items."""
    values = score(counts.sum(axis=0))
    if len(counts) < FEWEST_ITEMS:
        return {name: Score(value, None) for name, value in values.items()}
    means = bootstrap(counts, np.ones_like(counts), "quality of", of)  # [resamples, columns]; scores are of ratios
    found = [score(row) for row in means]
    return {
        name: Score(value, percentile_interval(np.array([scores[name] for scores in found]), len(counts)))
        for name, value in values.items()
    }

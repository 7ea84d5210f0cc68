"""Links and dictionaries against gold: values by hand, and intervals that hold what they should."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prealign.alignment.gold_links import GoldLinks
from prealign.alignment.links import Symmetrisation
from prealign.alignment.parallel_words import Links, ParallelWords, gather_links
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.alignment_quality import link_gold, quality_of_dictionary, quality_of_links


def array(*links: tuple[int, int]) -> NDArray[np.int32]:
    return np.array(links, dtype=np.int32).reshape(-1, 2)


class FirstWords:
    """An aligner that links the first words of every pair, and remembers what it was given."""

    name = "first"

    def __init__(self, cased: bool) -> None:
        self.cased = cased
        self.given: list[tuple[list[str], list[str]]] = []

    def signature(self) -> dict[str, Any]:
        return {}

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        self.given = list(text)
        return gather_links([array((0, 0))] * len(text))


def test_links_by_hand() -> None:
    gold = GoldLinks([array((0, 0), (1, 1)), array((0, 0))], [array((1, 0)), array()], None)
    found = quality_of_links([array((0, 0), (1, 0)), array((0, 1))], gold)
    # A = 3, S = 3, A & S = 1, A & P = 2
    values = {name: score.value for name, score in found.scores.items()}
    assert values == pytest.approx(
        {"precision": 2 / 3, "recall": 1 / 3, "f1": 4 / 9, "alignment_error_rate": 1 - 3 / 6}
    )
    assert found.n_items == 2
    assert all(score.interval is None for score in found.scores.values())  # two sentences are too few for one
    assert found.as_dict()["recall"] == {"value": pytest.approx(1 / 3)}


def test_interval_of_an_error_rate_that_is_a_mean() -> None:
    """Every sentence has one link, asked for and given: the error rate is the share of wrong ones, a binomial."""
    n, wrong = 400, 100
    links = [array((0, int(place < wrong))) for place in range(n)]
    found = quality_of_links(links, GoldLinks([array((0, 0))] * n, [array()] * n, None)).scores["alignment_error_rate"]
    assert found.value == pytest.approx(0.25)
    assert found.interval is not None
    half = 1.96 * np.sqrt(0.25 * 0.75 / n)  # normal approximation, 0.042
    assert found.interval.low == pytest.approx(0.25 - half, abs=0.01)
    assert found.interval.high == pytest.approx(0.25 + half, abs=0.01)


def test_a_dictionary_by_hand() -> None:
    gold = Dictionary.from_pairs([("bank", "Ufer"), ("dog", "Hund"), ("sea", "Meer")], "en", "de")
    ours = Dictionary.from_pairs([("bank", "Bank"), ("dog", "hund")], "en", "de")
    values = {name: score.value for name, score in quality_of_dictionary(ours, gold).scores.items()}
    assert values["precision_at_1"] == pytest.approx(1 / 2)
    assert values["coverage"] == pytest.approx(2 / 3)
    assert values["right_at_1"] == pytest.approx(1 / 3)


def test_nothing_to_measure_against() -> None:
    with pytest.raises(PrealignError, match="no sure link"):
        quality_of_links([array((0, 0))], GoldLinks([array()], [array((0, 0))], None))
    with pytest.raises(PrealignError, match="no entries"):
        quality_of_dictionary(Dictionary("en", "de", []), Dictionary("en", "de", []))


@pytest.mark.parametrize("cased", [False, True])
def test_gold_sentences_keep_their_words_and_come_first(cased: bool) -> None:
    aligner = FirstWords(cased)
    segmenters = Segmenter("en"), Segmenter("tr")
    more: Iterable[SentencePair] = [SentencePair("Go, now!", "IŞIK git!")]
    found = link_gold([(["Yes", "."], ["Evet", "."]), (["I"], ["Ben"])], more, segmenters, aligner, "intersect")
    assert [links.tolist() for links in found] == [[[0, 0]], [[0, 0]]]
    spelt = [(["Yes", "."], ["Evet", "."]), (["I"], ["Ben"]), (["Go", "now"], ["IŞIK", "git"])]
    folded = [(["yes", "."], ["evet", "."]), (["i"], ["ben"]), (["go", "now"], ["ışık", "git"])]
    assert aligner.given == (spelt if cased else folded)

"""Scores, measures and items of word retrieval from states that can be checked by eye."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prealign.evaluation.retrieval import Gold
from prealign.evaluation.word_scores import WordRetrieval, items_of, measures_of

GOLD = Gold(np.array([0, 0, 1]), np.array([0, 2, 1]), n_queries=2, n_candidates=3)  # a: A and C; b: B
STATES = torch.tensor(
    [
        [[1.0, 0], [0, 1], [1, 0], [0, 1], [1, 0]],  # a, b, A, B, C: translations at one place
        [[1.0, 0], [0, 1], [0, 1], [1, 0], [0, 1]],  # each at the wrong word's place
    ]
)


@pytest.fixture
def found() -> WordRetrieval:
    return WordRetrieval.of(STATES, GOLD, "en--de test|n:2x3")


def test_the_summary_is_the_mean_of_layers_and_directions(found: WordRetrieval) -> None:
    assert found.p_at_1 == [1.0, 0.0]
    assert found.forward.mrr == [1.0, pytest.approx((1 / 2 + 1 / 3) / 2)]  # behind B; behind A and C
    assert found.backward.mrr == [1.0, 1 / 2]
    summary = found.summary
    assert (summary["p_at_1"], summary["best_layer"], summary["best_layer_p_at_1"]) == (0.5, 0, 1.0)
    assert summary["mrr"] == pytest.approx((1 + 5 / 12 + 1 + 1 / 2) / 4)
    assert summary["chance"] == pytest.approx(((2 / 3 + 1 / 3) / 2 + 1 / 2) / 2)
    assert found.signature.startswith("en--de test|n:2x3|layers:2|v:")


def test_items_give_the_value_and_directions_weigh_the_same(found: WordRetrieval) -> None:
    items = list(items_of("en--de", "held_out", ["a", "b"], ["A", "B", "C"], GOLD, found))
    assert [item.item for item in items] == ["en: a", "en: b", "de: A", "de: B", "de: C"]
    assert sum(item.weight for item in items[:2]) == pytest.approx(sum(item.weight for item in items[2:]))
    assert sum(item.score for item in items) / sum(item.weight for item in items) == pytest.approx(0.5)
    assert items[1].detail == {"places": [1, 3], "layer": 1, "nearest": "A", "right": ["B"]}


@pytest.mark.parametrize(("kind", "of", "headline"), [("held_out", "held out", True), ("muse", "muse", False)])
def test_only_p_at_1_of_held_out_words_is_a_headline(found: WordRetrieval, kind: str, of: str, headline: bool) -> None:
    measures = list(measures_of("word_retrieval", "en--de", kind, found, "words"))
    assert [(m.name, m.headline) for m in measures] == [
        ("P@1", headline), ("P@5", False), ("MRR", False), ("CSLS P@1", False),
    ]  # fmt: skip
    assert {m.of for m in measures} == {f"en–de {of}"}
    assert [m.test for m in measures] == [f"en--de {kind}", None, None, None]
    assert "among 2 source and 3 target words; mean over all layers" in measures[0].note

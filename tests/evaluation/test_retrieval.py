"""Retrieval by cosine: ranks by hand, ties and broken numbers, chance against every order of the candidates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from prealign.evaluation.retrieval import Gold, best_ranks, chance, diagonal, score


def at(*degrees: float) -> torch.Tensor:
    """Unit vectors of the plane by their angle, of different lengths, since only the angle may count."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1) * torch.arange(1, len(degrees) + 1)[:, None]


def gold(pairs: list[tuple[int, int]], n_queries: int, n_candidates: int) -> Gold:
    query, candidate = np.array(pairs).T
    return Gold(query, candidate, n_queries, n_candidates)


def test_ranks_by_hand():
    # Candidates at 0, 20, 60, 90 degrees. Query at 8: 0 is nearer than 20, the right one. Query at 70: 60 is nearest
    # and right. Query at 50: the order is 60, 20, 90, 0; right are 0 and 90, the better of them behind two wrong ones.
    ranks = best_ranks(at(8, 70, 50), at(0, 20, 60, 90), gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4))
    assert ranks.tolist() == [2, 1, 3]


def test_scores_by_hand():
    layers = torch.stack([at(8, 70, 50), at(20, 60, 90)])
    scores = score(layers, torch.stack([at(0, 20, 60, 90)] * 2), gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4))
    assert scores.p_at_1 == pytest.approx([1 / 3, 1.0])
    assert scores.p_at_5 == [1.0, 1.0]
    assert scores.mrr == pytest.approx([(1 / 2 + 1 + 1 / 3) / 3, 1.0])
    assert scores.chance["p_at_1"] == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)


def test_a_second_right_candidate_does_not_push_the_first_back():
    assert best_ranks(at(10), at(12, 11, 80), gold([(0, 0), (0, 1)], 1, 3)).tolist() == [1]


def test_a_collapsed_model_finds_nothing():
    same = torch.ones(4, 3)
    assert best_ranks(same, same, diagonal(4)).tolist() == [4, 4, 4, 4]


def test_numbers_that_are_none_find_nothing():
    broken = torch.full((3, 2), torch.nan)
    assert best_ranks(broken, broken, diagonal(3)).tolist() == [3, 3, 3]


def test_zero_states_find_nothing():
    assert best_ranks(torch.zeros(2, 3), torch.eye(2, 3), diagonal(2)).tolist() == [2, 2]


def test_many_queries_go_in_parts(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    queries, candidates = torch.randn(7, 4, generator=generator), torch.randn(5, 4, generator=generator)
    right = gold([(q, q % 5) for q in range(7)], 7, 5)
    whole = best_ranks(queries, candidates, right)
    monkeypatch.setattr("prealign.evaluation.retrieval.QUERIES_AT_ONCE", 3)
    assert best_ranks(queries, candidates, right).tolist() == whole.tolist()


def test_inverted_gold_asks_the_other_way():
    turned = gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4).inverted()
    # From 0 to 50: behind 8. From 20 to 8 and from 62 to 70: nearest. From 90 to 50: behind 70.
    assert best_ranks(at(0, 20, 62, 90), at(8, 70, 50), turned).tolist() == [2, 1, 1, 2]


@pytest.mark.parametrize(("n_right", "n_candidates"), [(1, 4), (2, 5), (3, 6), (6, 7), (2, 2)])
def test_chance_is_the_mean_over_all_orders(n_right, n_candidates):
    orders = itertools.permutations(range(n_candidates))
    ranks = np.array([1 + min(order.index(right) for right in range(n_right)) for order in orders])
    found = chance(np.array([n_right]), n_candidates)
    assert found["p_at_1"] == pytest.approx((ranks == 1).mean())
    assert found["p_at_5"] == pytest.approx((ranks <= 5).mean())
    assert found["mrr"] == pytest.approx((1 / ranks).mean())


def test_chance_is_the_mean_over_queries():
    assert chance(np.array([1, 1, 2]), 10)["p_at_1"] == pytest.approx((0.1 + 0.1 + 0.2) / 3)

"""Retrieval by cosine and CSLS: ranks by hand, ties and broken numbers, chance against every order of candidates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from prealign.evaluation.retrieval import Gold, chance, diagonal, rank, rank_layers, scores_of


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
    ranks = rank(at(8, 70, 50), at(0, 20, 60, 90), gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4))
    assert ranks.place.tolist() == [2, 1, 3]
    assert ranks.nearest.tolist() == [0, 2, 2]


def test_scores_by_hand():
    layers = torch.stack([at(8, 70, 50), at(20, 60, 90)])
    right = gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4)
    scores = scores_of(rank_layers(layers, torch.stack([at(0, 20, 60, 90)] * 2), right), right)
    assert scores.p_at_1 == pytest.approx([1 / 3, 1.0])
    assert scores.p_at_5 == [1.0, 1.0]
    assert scores.mrr == pytest.approx([(1 / 2 + 1 + 1 / 3) / 3, 1.0])
    assert scores.chance["p_at_1"] == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)


def test_a_second_right_candidate_does_not_push_the_first_back():
    assert rank(at(10), at(12, 11, 80), gold([(0, 0), (0, 1)], 1, 3)).place.tolist() == [1]


def test_a_collapsed_model_finds_nothing():
    same = torch.ones(4, 3)
    assert rank(same, same, diagonal(4)).place.tolist() == [4, 4, 4, 4]


def test_numbers_that_are_none_find_nothing():
    broken = torch.full((3, 2), torch.nan)
    assert rank(broken, broken, diagonal(3)).place.tolist() == [3, 3, 3]


def test_zero_states_find_nothing():
    assert rank(torch.zeros(2, 3), torch.eye(2, 3), diagonal(2)).place.tolist() == [2, 2]


def test_many_queries_go_in_parts(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    queries, candidates = torch.randn(7, 4, generator=generator), torch.randn(5, 4, generator=generator)
    right = gold([(q, q % 5) for q in range(7)], 7, 5)
    whole = rank(queries, candidates, right).place
    monkeypatch.setattr("prealign.evaluation.retrieval.QUERIES_AT_ONCE", 3)
    assert rank(queries, candidates, right).place.tolist() == whole.tolist()


@pytest.mark.parametrize(("n_queries", "n_candidates", "width"), [(3, 4, 2), (12, 30, 5), (40, 11, 3)])
def test_csls_is_the_plain_formula_over_all_pairs(n_queries, n_candidates, width, monkeypatch):
    """Against loops over a table of all cosines, with fewer and with more vectors than CSLS looks at."""
    monkeypatch.setattr("prealign.evaluation.retrieval.QUERIES_AT_ONCE", 7)
    generator = torch.Generator().manual_seed(n_queries)
    x = torch.randn(n_queries, width, generator=generator)
    y = torch.randn(n_candidates, width, generator=generator)
    right = gold(
        [(q, (5 * q + k) % n_candidates) for q in range(n_queries) for k in range(1 + q % 2)], n_queries, n_candidates
    )
    cosines = [[float(a @ b / (a.norm() * b.norm())) for b in y.double()] for a in x.double()]
    of_x = [sum(sorted(row)[-10:]) / min(10, n_candidates) for row in cosines]
    of_y = [sum(sorted(column)[-10:]) / min(10, n_queries) for column in zip(*cosines, strict=True)]
    expected = []
    for q, answers in enumerate(right.answers()):
        csls = [2 * cosines[q][c] - of_x[q] - of_y[c] for c in range(n_candidates)]
        best = max(csls[c] for c in answers)
        expected.append((1 + sum(s > best for c, s in enumerate(csls) if c not in answers), csls.index(max(csls))))
    found = rank(x, y, right, csls=True)
    assert list(zip(found.place.tolist(), found.nearest.tolist(), strict=True)) == expected
    assert found.place.tolist() != rank(x, y, right).place.tolist() or n_queries == 3


def test_csls_by_hand():
    """A hub at 40 degrees is the nearest candidate of all three queries; CSLS takes it back.

    Queries 0, 30, 80; candidates 40 (hub, right for 30), -45 (right for 0), 130 (right for 80). Cosines of the hub:
    0.766, 0.985, 0.766, so r = 0.839; of -45: 0.707, 0.259, -0.574, r = 0.131; of 130: -0.643, -0.174, 0.643, r =
    -0.058. Twice the cosine less r: query 0: hub 0.693, -45: 1.284, 130: -1.228; query 30: 1.131, 0.387, -0.290; query
    80: 0.693, -1.279, 1.344.
    """
    right = gold([(0, 1), (1, 0), (2, 2)], 3, 3)
    assert rank(at(0, 30, 80), at(40, -45, 130), right).nearest.tolist() == [0, 0, 0]
    assert rank(at(0, 30, 80), at(40, -45, 130), right, csls=True).nearest.tolist() == [1, 0, 2]
    assert rank(at(0, 30, 80), at(40, -45, 130), right, csls=True).place.tolist() == [1, 1, 1]


def test_a_collapsed_model_finds_nothing_by_csls():
    same = torch.ones(4, 3)
    assert rank(same, same, diagonal(4), csls=True).place.tolist() == [4, 4, 4, 4]


def test_answers_of_each_query():
    assert gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4).answers() == [[1], [2], [0, 3]]


def test_inverted_gold_asks_the_other_way():
    turned = gold([(0, 1), (1, 2), (2, 0), (2, 3)], 3, 4).inverted()
    # From 0 to 50: behind 8. From 20 to 8 and from 62 to 70: nearest. From 90 to 50: behind 70.
    assert rank(at(0, 20, 62, 90), at(8, 70, 50), turned).place.tolist() == [2, 1, 1, 2]


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

"""Intervals hold the truth as often as they say, tests err as seldom as they say, and both agree with other code."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from prealign.evaluation.uncertainty import (
    RESAMPLES,
    bootstrap,
    holm,
    percentile_interval,
    permutation_test,
    t_interval,
    t_test,
)

EXPERIMENTS = 300
HOLDS = (0.90, 0.99)
"""Share of 300 intervals of 95 % that may hold the truth: 0.95 ± 3.4 standard errors, rounded outwards."""


def ones(scores: np.ndarray) -> np.ndarray:
    return np.ones_like(scores)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_t_over_three_seeds_by_hand():
    # mean 2, s 1, t(0.975, 2) = 4.3027: 2 ± 4.3027 / sqrt(3)
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((-0.4841, 4.4841), abs=1e-4)
    assert t_test([1.0, 2.0, 3.0]) == pytest.approx(0.0742, abs=1e-4)


@given(st.lists(st.tuples(st.integers(-999, 999), st.integers(-999, 999)), min_size=2, max_size=8))
def test_t_agrees_with_scipy(pairs):
    first, second = np.array(pairs).T / 1000
    differences = first - second
    assume(np.ptp(differences) > 1e-6)
    expected = stats.ttest_rel(first, second)
    assert t_test(differences.tolist()) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert t_interval(differences.tolist()) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "p_value"),
    [
        ([], None),
        ([0.3], None),
        ([0.0], None),
        ([0.0, 0.0, 0.0], 1.0),
        ([-0.0, 0.0], 1.0),
        ([0.1, 0.1, 0.1], None),
        ([0.1 + 0.2, 0.3, 0.3], None),
    ],
    ids=str,
)
def test_values_without_spread_give_no_interval(values, p_value):
    assert t_interval(values) is None
    assert t_test(values) == p_value


def test_bootstrap_agrees_with_scipy():
    generator = np.random.default_rng(1)
    weights = generator.integers(20, 400, size=(80, 1)).astype(float)
    scores = weights * generator.normal(2.5, 0.6, size=(80, 2))
    scores[:, 1] -= 0.2 * weights[:, 0]
    ours = bootstrap(scores, np.repeat(weights, 2, axis=1), "test")

    def difference(first, second, weight, axis):
        return (second.sum(axis) - first.sum(axis)) / weight.sum(axis)

    expected = stats.bootstrap(
        (scores[:, 0], scores[:, 1], weights[:, 0]), difference, paired=True, vectorized=True, n_resamples=4000,
        method="percentile", random_state=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    width = expected.high - expected.low
    assert percentile_interval(ours[:, 1] - ours[:, 0], 80) == pytest.approx(
        (expected.low, expected.high), abs=0.1 * width
    )


def test_intervals_of_few_items_are_as_wide_as_t_intervals():
    scores = np.random.default_rng(4).normal(size=(12, 1))
    found = percentile_interval(bootstrap(scores, ones(scores), "few")[:, 0], 12)
    assert found == pytest.approx(t_interval(scores[:, 0].tolist()), abs=0.15)
    plain = np.quantile(bootstrap(scores, ones(scores), "few"), [0.025, 0.975])
    assert plain[1] - plain[0] < 0.9 * (found.high - found.low)


def test_models_share_their_resamples():
    scores = np.repeat(np.random.default_rng(3).normal(size=(50, 1)), 2, axis=1)
    resampled = bootstrap(scores, ones(scores), "words", 1)
    assert resampled.shape == (RESAMPLES, 2)
    assert (resampled[:, 0] == resampled[:, 1]).all()
    assert (resampled == bootstrap(scores, ones(scores), "words", 1)).all()
    assert (resampled != bootstrap(scores, ones(scores), "words", 2)).any()


def test_items_of_one_score_give_no_interval():
    scores = np.zeros((40, 1))
    assert percentile_interval(bootstrap(scores, ones(scores), "all wrong")[:, 0], 40) is None


def all_swaps(scores: np.ndarray, weights: np.ndarray) -> float:
    """p by going through every way of swapping the two models' answers."""

    def value(rows, which):
        return sum(scores[i, w] for i, w in enumerate(which)) / sum(weights[i, w] for i, w in enumerate(which))

    found = []
    for which in itertools.product((0, 1), repeat=len(scores)):
        other = [1 - w for w in which]
        found.append(abs(value(scores, which) - value(scores, other)))
    return float(np.mean(np.array(found) >= found[0] - 1e-12))


@pytest.mark.parametrize("weighted", [False, True])
def test_permutation_agrees_with_all_permutations(weighted):
    generator = np.random.default_rng(5)
    scores = generator.normal(1.0, 1.0, size=(11, 2)) + np.array([0.0, 0.6])
    weights = generator.integers(1, 5, size=(11, 2)).astype(float) if weighted else ones(scores)
    (p_value,) = permutation_test(scores, weights, "exact")
    assert p_value == pytest.approx(all_swaps(scores, weights), abs=0.03)  # three standard errors of 2,000 draws


def test_permutation_of_hits_agrees_with_the_sign_test():
    """30 items only the second model answers, 14 only the first, 100 that both do: a fair coin decides."""
    scores = np.array([[0.0, 1.0]] * 30 + [[1.0, 0.0]] * 14 + [[1.0, 1.0]] * 100)
    (p_value,) = permutation_test(scores, ones(scores), "hits")
    assert p_value == pytest.approx(stats.binomtest(30, 44).pvalue, abs=0.01)


def test_equal_answers_are_no_difference():
    scores = np.repeat(np.random.default_rng(6).normal(size=(30, 1)), 3, axis=1)
    assert permutation_test(scores, ones(scores), "same") == [1.0, 1.0]


def test_t_intervals_hold_the_truth():
    generator = np.random.default_rng(7)
    found = [t_interval(generator.normal(0.4, 1.0, size=3).tolist()) for _ in range(EXPERIMENTS)]
    assert HOLDS[0] <= np.mean([low <= 0.4 <= high for low, high in found]) <= HOLDS[1]


def test_bootstrap_intervals_hold_the_truth():
    """Bits per byte of 60 documents of very different length; the truth is the ratio over endless text."""
    generator = np.random.default_rng(8)
    held = []
    for experiment in range(EXPERIMENTS):
        weights = generator.gamma(2.0, 500.0, size=(60, 1))
        scores = weights * generator.normal(2.5, 0.5, size=(60, 1))
        low, high = percentile_interval(bootstrap(scores, weights, "coverage", experiment)[:, 0], 60)
        held.append(low <= 2.5 <= high)
    assert HOLDS[0] <= np.mean(held) <= HOLDS[1]


@pytest.mark.parametrize("kind", ["seeds", "items"])
def test_p_values_are_even_when_nothing_differs(kind):
    generator = np.random.default_rng(9)
    found = []
    for experiment in range(EXPERIMENTS):
        if kind == "seeds":
            found.append(t_test(generator.normal(size=3).tolist()))
        else:
            scores = generator.normal(size=(40, 1)) + generator.normal(size=(40, 2))
            found += permutation_test(scores, ones(scores), "null", experiment)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.09


def test_holm_by_hand():
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1 -> 0.02, 0.03, 0.06, and 0.04 is raised to 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_step_by_step(p_values):
    """The procedure as Holm describes it: go on rejecting from the smallest while p <= 0.05 / (those left)."""
    rejected = set()
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] > 0.05 / (len(p_values) - rank):
            break
        rejected.add(place)
    adjusted = holm(p_values)
    assert {place for place, p in enumerate(adjusted) if p <= 0.05 + 1e-12} >= rejected
    assert all(place in rejected for place, p in enumerate(adjusted) if p < 0.05 - 1e-12)


def test_errors_stay_rare_over_many_tests():
    """Ten tests of nothing: at least one real difference in about 5 % of the tables, not in 40 %."""
    generator = np.random.default_rng(10)
    wrong = [min(holm(generator.uniform(size=10).tolist())) < 0.05 for _ in range(EXPERIMENTS)]
    assert 0.02 <= np.mean(wrong) <= 0.09

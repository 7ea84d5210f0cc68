"""From measures and items to comparisons: which rule applies, what is paired with what, and what is left unsaid."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from prealign.evaluation.comparison import Comparison
from prealign.evaluation.statistics import PAIRED_T, PERMUTATION, ModelResult, compare, comparisons
from prealign.evaluation.task import Item, Measure


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def measure(value: float = 0.0, **changes) -> Measure:
    fields = {
        "task": "words", "name": "P@1", "of": "en–de", "better": "higher", "form": "share", "test": "held out",
        "signature": "n:400", "value": value,
    }  # fmt: skip
    return Measure(**(fields | changes))


def seeds(values: Sequence[float], first: int = 1, **changes) -> list[ModelResult]:
    return [ModelResult(seed, [measure(value, **changes)]) for seed, value in enumerate(values, first)]


def answered(scores: Sequence[float], names: Sequence[str] | None = None, **changes) -> list[ModelResult]:
    """One model with its items."""
    names = names or [str(number) for number in range(len(scores))]
    items = [Item("held out", name, score) for name, score in zip(names, scores, strict=True)]
    items.append(Item("another test", "0", 0.7))
    return [ModelResult(1, [measure(**({"value": float(np.mean(scores))} | changes))], lambda task: items)]


def compared(arms: Mapping[str, Sequence[ModelResult]], baseline: str | None = "joint") -> dict[str, Comparison]:
    rows = compare(arms, baseline)
    assert [row.arm for row in rows] == list(arms)
    json.dumps([row.as_dict() for row in rows], allow_nan=False)
    return {row.arm: row for row in rows}


HITS = [1.0] * 30 + [0.0] * 70
MORE_HITS = [1.0] * 55 + [0.0] * 45


def test_several_seeds_by_hand():
    rows = compared({"joint": seeds([0.10, 0.14, 0.12]), "prealign": seeds([0.30, 0.36, 0.33])})
    joint, prealign = rows["joint"], rows["prealign"]
    assert joint.values == [0.10, 0.14, 0.12]
    assert (joint.mean, joint.interval, joint.n_seeds, joint.n_items) == (pytest.approx(0.12), "seeds", 3, None)
    assert (joint.low, joint.high) == pytest.approx((0.0703, 0.1697), abs=1e-4)  # 0.12 ± 4.3027 · 0.02 / sqrt(3)
    assert (joint.difference, joint.p_value, joint.test) == (None, None, None)
    # differences 0.20, 0.22, 0.21: mean 0.21, s 0.01, t = 0.21 / (0.01 / sqrt(3)) = 36.37
    assert prealign.difference == pytest.approx(0.21)
    assert (prealign.difference_low, prealign.difference_high) == pytest.approx((0.1852, 0.2348), abs=1e-4)
    assert prealign.p_value == pytest.approx(7.55e-4, abs=1e-6)
    assert (prealign.test, prealign.better_in, prealign.n_pairs) == (PAIRED_T, 3, 3)
    assert prealign.is_real
    assert prealign.remark == ""


def test_lower_may_be_better():
    rows = compared(
        {"joint": seeds([2.0, 2.2, 2.1], better="lower"), "prealign": seeds([1.9, 2.3, 2.0], better="lower")}
    )
    assert rows["prealign"].better_in == 2
    assert rows["prealign"].gain == pytest.approx(0.1 / 3)


def test_pairs_are_made_by_seed_and_not_by_place():
    rows = compared({"joint": seeds([0.1, 0.2, 0.4]), "prealign": seeds([0.3, 0.5], first=2)})
    assert rows["prealign"].values == [None, 0.3, 0.5]
    assert rows["prealign"].difference == pytest.approx(0.1)
    assert (rows["prealign"].n_seeds, rows["prealign"].n_pairs) == (2, 2)


def test_one_seed_in_common_is_no_test():
    row = compared({"joint": seeds([0.1, 0.2]), "prealign": seeds([0.3, 0.4], first=2)})["prealign"]
    assert (row.difference, row.p_value, row.difference_low) == (pytest.approx(0.1), None, None)
    assert row.remark == "no test: only one seed is shared with joint"
    apart = compared({"joint": seeds([0.1, 0.2]), "prealign": seeds([0.3, 0.4], first=5)})["prealign"]
    assert apart.difference is None
    assert apart.remark == "no seed has a value for it and for joint"


@pytest.mark.parametrize(
    ("values", "p_value", "remark"),
    [
        ([0.2, 0.2, 0.2], 1.0, "all seeds gave the same value"),
        ([0.3, 0.3, 0.3], None, "all seeds gave the same value; no test: the difference is the same in all seeds"),
    ],
)
def test_values_that_never_change(values, p_value, remark):
    row = compared({"joint": seeds([0.2, 0.2, 0.2]), "prealign": seeds(values)})["prealign"]
    assert (row.p_value, row.low, row.difference_low) == (p_value, None, None)
    assert row.remark == remark
    assert not row.is_real


def test_rounding_is_no_difference():
    """One item more of 20,000 in every seed, and sums in another order."""
    start = [count / 20_000 for count in (10_001, 12_347, 14_803)]
    more = [count / 20_000 for count in (10_002, 12_348, 14_804)]
    row = compared({"joint": seeds(start), "prealign": seeds(more)})["prealign"]
    assert (row.p_value, row.remark) == (None, "no test: the difference is the same in all seeds")
    row = compared({"joint": seeds([0.3, 0.5, 0.6]), "prealign": seeds([0.1 + 0.2, 0.5, 0.6])})["prealign"]
    assert (row.difference, row.p_value, row.is_equal) == (0.0, 1.0, True)


def test_a_value_that_is_not_finite_is_left_out():
    row = compared({"joint": seeds([0.1, 0.2, 0.3]), "prealign": seeds([0.2, float("inf"), 0.5])})["prealign"]
    assert row.values == [0.2, None, 0.5]
    assert row.n_pairs == 2
    assert row.remark == "some of its values are not finite; the difference is that of the 2 seeds shared with joint"


def test_one_seed_is_judged_by_its_items():
    rows = compared({"joint": answered(HITS), "prealign": answered(MORE_HITS)})
    joint, prealign = rows["joint"], rows["prealign"]
    assert (joint.interval, joint.n_items) == ("items", 100)
    # standard error sqrt(0.3 · 0.7 / 100) = 0.0458
    assert (joint.low, joint.high) == pytest.approx((0.30 - 0.09, 0.30 + 0.09), abs=0.015)
    # the 25 items that differ all speak for prealign: 0.25 ± 1.96 · sqrt(0.25 · 0.75 / 100)
    assert (prealign.difference_low, prealign.difference_high) == pytest.approx((0.165, 0.335), abs=0.015)
    assert prealign.p_value == pytest.approx(1 / 2001)
    assert (prealign.test, prealign.better_in, prealign.n_pairs) == (PERMUTATION, 1, 1)
    assert prealign.is_real


def test_an_arm_is_judged_the_same_whichever_others_are_there():
    alone = compared({"joint": answered(HITS), "prealign": answered(MORE_HITS)})["prealign"]
    among = compared({"joint": answered(HITS), "other": answered(HITS[::-1]), "prealign": answered(MORE_HITS)})
    assert (alone.low, alone.high, alone.difference_low) == (
        among["prealign"].low,
        among["prealign"].high,
        among["prealign"].difference_low,
    )


def test_items_are_matched_by_name_and_not_by_place():
    names = [str(number) for number in range(100)]
    turned = answered(MORE_HITS[::-1], names[::-1])
    row = compared({"joint": answered(HITS), "prealign": turned})["prealign"]
    assert row.p_value == pytest.approx(1 / 2001)


def test_models_that_answer_alike_do_not_differ():
    row = compared({"joint": answered(HITS), "prealign": answered(HITS)})["prealign"]
    assert (row.difference, row.p_value, row.adjusted_p) == (0.0, 1.0, 1.0)
    assert row.difference_low is None
    assert row.interval == "items"


@pytest.mark.parametrize(
    ("models", "remark"),
    [
        (answered(HITS, test=None), "no interval: it is no mean over items"),
        (seeds([0.3]), "no interval: its items were not kept"),
        (answered([1.0]), "no interval: it has fewer than 10 items"),
        (answered(HITS, value=0.31), "no interval: its items give 0.3 and not the value"),
        (
            answered(HITS, ["same"] * 2 + [str(i) for i in range(98)]),
            "no interval: some of its items have no finite score, no weight, or a name that occurs twice",
        ),
        (answered([0.0] * 50), "no interval: all its items have the same score"),
        (answered(HITS[10:]), "no test: its items are not those of joint"),
        (answered(HITS, [f"other {i}" for i in range(100)]), "no test: its items are not those of joint"),
    ],
)
def test_items_that_cannot_be_used_are_told(models, remark):
    row = compared({"joint": answered(HITS), "prealign": models})["prealign"]
    assert remark in row.remark
    assert row.difference == pytest.approx(models[0].measures[0].value - 0.3)
    assert row.p_value is None
    assert not row.is_real


def test_unequal_conditions_are_not_compared():
    for signature in ("n:500", ""):
        row = compared({"joint": seeds([0.1, 0.2]), "prealign": seeds([0.3, 0.5], signature=signature)})["prealign"]
        assert (row.difference, row.p_value) == (None, None)
        assert row.remark == f"not compared: measured as '{signature}', joint as 'n:400'"
        assert row.low is not None


def test_without_a_baseline_there_are_intervals_only():
    for baseline in (None, "joint"):
        row = compared({"prealign": seeds([0.3, 0.5])}, baseline)["prealign"]
        assert (row.difference, row.p_value) == (None, None)
        assert row.low is not None
        assert row.remark == ("joint was not measured on it" if baseline else "")


def test_p_values_are_adjusted_over_the_headline_measures_of_an_arm():
    def models(shift: float) -> list[ModelResult]:
        values = {1: 0.10, 2: 0.14, 3: 0.12}
        return [
            ModelResult(
                seed,
                [
                    measure(value + shift * (1 + 0.1 * seed)),
                    measure(value, of="en–fr"),
                    measure(value + shift * (1 + 0.1 * seed), name="P@5", headline=False),
                ],
            )
            for seed, value in values.items()
        ]

    rows = {
        (row.arm, row.name, row.of): row
        for row in compare({"joint": models(0), "a": models(0.3), "b": models(0.2)}, "joint")
    }
    p_value = rows["a", "P@1", "en–de"].p_value  # t = 1.2 / (0.1 / sqrt(3)) for both arms
    assert p_value == pytest.approx(0.0023, abs=1e-4)
    assert rows["a", "P@1", "en–de"].adjusted_p == pytest.approx(2 * p_value)  # the smaller of two
    assert rows["b", "P@1", "en–fr"].adjusted_p == 1.0
    assert rows["a", "P@5", "en–de"].adjusted_p is None
    assert rows["a", "P@5", "en–de"].p_value == pytest.approx(p_value)


def test_items_are_read_once_and_only_where_they_decide():
    read = []

    def items(task: str) -> list[Item]:
        read.append(task)
        return [Item("held out", str(i), score) for i, score in enumerate(HITS)]

    one = [ModelResult(1, [measure(0.3), measure(0.3, name="again")], items)]
    compare({"joint": one, "prealign": one}, "joint")
    assert read == ["words", "words"]  # once per arm
    compare({"joint": one, "prealign": [*one, ModelResult(2, [measure(0.4)], items)]}, "joint")
    assert read == ["words", "words"]


@pytest.mark.parametrize(
    ("values", "chance", "expected"),
    [
        ([0.24, 0.26, 0.255], 0.25, True),
        ([0.40, 0.42, 0.41], 0.25, False),
        ([0.10, 0.11, 0.12], 0.25, False),
        ([0.25, 0.25, 0.25], 0.25, True),
        ([0.40, 0.40, 0.40], 0.25, None),
        ([0.40, 0.42, 0.41], None, None),
    ],
    ids=str,
)
def test_what_is_no_different_from_chance(values, chance, expected):
    assert compared({"joint": seeds(values, chance=chance)})["joint"].like_chance is expected


def test_rows_of_a_results_file(results):
    rows = comparisons(json.loads(json.dumps(results)))
    assert [row.as_dict() for row in rows] == results["comparison"]
    assert comparisons(results | {"comparison": []}) == rows


@pytest.mark.parametrize("models", [seeds, answered], ids=["seeds", "items"])
def test_the_baseline_of_the_one_is_the_arm_of_the_other(models):
    """Exchanging arm and baseline turns the sign and leaves the certainty."""
    if models is seeds:
        arms = {"joint": seeds([0.2, 0.3, 0.5]), "prealign": seeds([0.3, 0.5, 0.6])}
    else:
        arms = {"joint": answered(HITS), "prealign": answered(MORE_HITS[::-1])}
    there = compared(arms)["prealign"]
    back = compared(arms, "prealign")["joint"]
    assert there.p_value == back.p_value
    assert there.difference == -back.difference
    assert there.difference_low == pytest.approx(-back.difference_high)
    assert there.difference_high == pytest.approx(-back.difference_low)

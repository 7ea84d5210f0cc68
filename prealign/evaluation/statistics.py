"""The arms of an experiment against their baseline: measures and items in, rows of "comparison" in results.json out.

One rule decides where uncertainty comes from:

- Two seeds or more: from the seeds. A value is the mean over seeds with its t interval; a difference is the mean of the
  differences of models with the same seed (same initial weights, order and switched words, as far as the arms allow),
  with its t interval and the paired t test. Three seeds leave two degrees of freedom, so intervals are 4.3 standard
  errors wide to either side: wide, and honest. Text, dictionary and test sets are the same for all seeds; what other
  ones would change is not in these intervals.
- One seed: from the items of the test, by the paired bootstrap and the paired permutation test (see `uncertainty`).
  This says how these two models differ on other items of the same kind, not how the methods would with other seeds.
- Neither (no items, or too few): no interval and no test, and `remark` says why.

p values are adjusted by Holm's method over the headline measures of an arm: whether this arm differs from the baseline
is one question, and an arm's verdict should not change because other arms were trained as well. A difference is called
real where the adjusted p is below 0.05. So an arm that differs in nothing gets a false mark in at most 5 % of
experiments, but k such arms together in up to k times 5 %; the notes under the tables say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from prealign.evaluation.comparison import Comparison, pair
from prealign.evaluation.task import Item, Measure
from prealign.evaluation.uncertainty import (
    FEWEST_ITEMS,
    bootstrap,
    holm,
    percentile_interval,
    permutation_test,
    t_interval,
    t_test,
)

RESULTS = "results.json"
FORMAT = 2
"""Of results.json; other ones are not read."""
PAIRED_T = "paired t over seeds"
PERMUTATION = "paired permutation over items"


def no_items(task: str) -> Sequence[Item]:
    """For models whose items were not kept."""
    return ()


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What one trained model reached."""

    seed: int
    measures: Sequence[Measure]
    items: Callable[[str], Iterable[Item]] = no_items
    """Task name -> all its items; asked only where there is one seed, once per task."""


Answers = Mapping[str, tuple[float, float]]
"""Item -> score and weight."""


def compare(arms: Mapping[str, Sequence[ModelResult]], baseline: str | None) -> list[Comparison]:
    """Rows for every measure and arm, measure by measure, in order of first appearance.

    Args:
        arms: arm -> its models, one per seed.
        baseline: the arm that the others are compared with; None, or an arm that is not there: no differences.
    """
    several = any(len(models) > 1 for models in arms.values())
    seeds = list(dict.fromkeys(model.seed for models in arms.values() for model in models)) if several else []
    rows: list[Comparison] = []
    items = _AllItems(arms)
    for found in _by_measure(arms, seeds).values():
        described = [_describe(arm, measures, max(1, len(seeds))) for arm, measures in found.items()]
        start = next((row for row in described if row.arm == baseline), None)
        if several:
            rows += [_over_seeds(row, start, baseline) for row in described]
        else:
            measures = {arm: measure for arm, places in found.items() for measure in places.values()}
            rows += _over_items(described, start, baseline, measures, items)
    return _adjusted(rows)


def comparisons(results: Mapping[str, Any]) -> list[Comparison]:
    """The rows of a results.json; made from its measures, without items, where it has none."""
    if rows := results.get("comparison"):
        return [Comparison(**row) for row in rows]
    return compare(models_of(results), results.get("baseline"))


def models_of(
    results: Mapping[str, Any], items: Callable[[str, int, str], Iterable[Item]] = lambda arm, seed, task: ()
) -> dict[str, list[ModelResult]]:
    """The models of a results.json.

    Args:
        items: (arm, seed, task) -> the items of that task, where they were kept.
    """
    return {
        arm: [
            ModelResult(
                part["seed"],
                [Measure(**row) for task in part["tasks"].values() for row in task["measures"]],
                partial(items, arm, part["seed"]),
            )
            for part in parts
        ]
        for arm, parts in results["arms"].items()
    }


class _AllItems:
    """Items of models by task and test, each task read once."""

    def __init__(self, arms: Mapping[str, Sequence[ModelResult]]) -> None:
        self._models = {arm: models[0] for arm, models in arms.items() if models}
        self._read: dict[tuple[str, str], dict[str, dict[str, tuple[float, float]]]] = {}

    def of(self, arm: str, measure: Measure) -> tuple[Answers, str]:
        """The answers of an arm to the test of a measure, or why they cannot be used."""
        if measure.test is None:
            return {}, "it is no mean over items"
        answers = self._tests(arm, measure.task).get(measure.test, {})
        if not answers:
            return {}, "its items were not kept"
        if len(answers) < FEWEST_ITEMS:
            return {}, f"it has fewer than {FEWEST_ITEMS} items"
        if not all(math.isfinite(score) and 0 < weight < math.inf for score, weight in answers.values()):
            return {}, "some of its items have no finite score, no weight, or a name that occurs twice"
        score, weight = (math.fsum(column) for column in zip(*answers.values()))
        if not math.isclose(score / weight, measure.value, rel_tol=1e-6, abs_tol=1e-9):
            return {}, f"its items give {score / weight:.6g} and not the value"
        return answers, ""

    def _tests(self, arm: str, task: str) -> Mapping[str, Answers]:
        if (arm, task) not in self._read:
            tests: dict[str, dict[str, tuple[float, float]]] = {}
            for item in self._models[arm].items(task):
                answers = tests.setdefault(item.test, {})
                answers[item.item] = (math.nan, math.nan) if item.item in answers else (item.score, item.weight)
            self._read[arm, task] = tests
        return self._read[arm, task]


def _by_measure(
    arms: Mapping[str, Sequence[ModelResult]], seeds: Sequence[int]
) -> dict[tuple[str, str, str], dict[str, dict[int, Measure]]]:
    """(task, name, of) -> arm -> place of the seed -> measure; without `seeds` every model has place 0."""
    found: dict[tuple[str, str, str], dict[str, dict[int, Measure]]] = {}
    for arm, models in arms.items():
        for model in models:
            for measure in model.measures:
                places = found.setdefault((measure.task, measure.name, measure.of), {}).setdefault(arm, {})
                places[seeds.index(model.seed) if seeds else 0] = measure
    return found


def _describe(arm: str, measures: Mapping[int, Measure], n_places: int) -> Comparison:
    """The row of an arm before anything is said about its uncertainty."""
    one = next(iter(measures.values()))
    values = [measures[place].value if place in measures else None for place in range(n_places)]
    finite = [value if value is not None and math.isfinite(value) else None for value in values]
    known = [value for value in finite if value is not None]
    return Comparison(
        task=one.task,
        name=one.name,
        of=one.of,
        better=one.better,
        form=one.form,
        headline=one.headline,
        chance=one.chance,
        note=one.note,
        signature=" or ".join(dict.fromkeys(measure.signature for measure in measures.values())),
        arm=arm,
        values=finite,
        mean=math.fsum(known) / len(known) if known else None,
        n_seeds=len(known),
        remark="" if len(known) == len(measures) else "some of its values are not finite",
    )


def _against(row: Comparison, start: Comparison | None, baseline: str | None) -> Comparison:
    """The plain difference to the baseline, or the remark why there is none."""
    if baseline is None or row.arm == baseline:
        return row
    if start is None:
        return _remark(row, f"{baseline} was not measured on it")
    if row.signature != start.signature:
        return _remark(row, f"not compared: measured as {row.signature!r}, {baseline} as {start.signature!r}")
    differences = pair(row, start)
    if not differences:
        return _remark(row, f"no seed has a value for it and for {baseline}")
    gains = differences if row.better == "higher" else [-difference for difference in differences]
    if 1 < len(differences) < max(row.n_seeds, start.n_seeds):
        row = _remark(row, f"the difference is that of the {len(differences)} seeds shared with {baseline}")
    return replace(
        row,
        difference=math.fsum(differences) / len(differences),
        better_in=sum(gain > 0 for gain in gains),
        n_pairs=len(differences),
    )


def _over_seeds(row: Comparison, start: Comparison | None, baseline: str | None) -> Comparison:
    """Interval and test from the spread between seeds."""
    known = [value for value in row.values if value is not None]
    row = _against(row, start, baseline)
    if interval := t_interval(known):
        row = replace(row, low=interval.low, high=interval.high, interval="seeds")
    elif known:
        row = _remark(row, "all seeds gave the same value" if len(known) > 1 else "only one seed has a value")
    if row.difference is None or start is None:
        return row
    differences = pair(row, start)
    if interval := t_interval(differences):
        row = replace(row, difference_low=interval.low, difference_high=interval.high)
    p_value = t_test(differences)
    if p_value is None:
        reason = (
            "the difference is the same in all seeds"
            if len(differences) > 1
            else f"only one seed is shared with {baseline}"
        )
        return _remark(row, f"no test: {reason}")
    return replace(row, p_value=p_value, test=PAIRED_T)


def _over_items(
    rows: Sequence[Comparison],
    start: Comparison | None,
    baseline: str | None,
    measures: Mapping[str, Measure],
    items: _AllItems,
) -> list[Comparison]:
    """Intervals and tests from the items of one test, the same resamples for all arms that answered the same items."""
    found: dict[str, Comparison] = {}
    groups: dict[tuple[str, ...], dict[str, Answers]] = {}
    for row in rows:
        answers, reason = items.of(row.arm, measures[row.arm])
        row = replace(_against(row, start, baseline), n_items=len(answers) or None)
        found[row.arm] = _remark(row, reason and f"no interval: {reason}")
        if answers:
            groups.setdefault(tuple(sorted(answers)), {})[row.arm] = answers
    for names, answered in groups.items():
        order = sorted(answered, key=lambda arm: arm != baseline)  # the baseline first, the others as they were
        table = np.array([[answered[arm][name] for arm in order] for name in names])  # [items, arms, score and weight]
        scores, weights = table[:, :, 0], table[:, :, 1]
        key = (rows[0].task, measures[order[0]].test or "")
        resampled = bootstrap(scores, weights, *key)
        for place, arm in enumerate(order):
            if interval := percentile_interval(resampled[:, place], len(names)):
                found[arm] = replace(found[arm], low=interval.low, high=interval.high, interval="items")
            else:
                found[arm] = _remark(found[arm], "no interval: all its items have the same score")
        if order[0] != baseline:
            continue
        for place, (arm, p_value) in enumerate(zip(order[1:], permutation_test(scores, weights, *key)), start=1):
            if found[arm].difference is None:
                continue
            found[arm] = replace(found[arm], p_value=p_value, test=PERMUTATION)
            if interval := percentile_interval(resampled[:, place] - resampled[:, 0], len(names)):
                found[arm] = replace(found[arm], difference_low=interval.low, difference_high=interval.high)
    for arm, row in found.items():
        if row.difference is not None and row.p_value is None and row.n_items and start is not None:
            found[arm] = _remark(row, f"no test: its items are not those of {baseline}")
    return list(found.values())


def _remark(row: Comparison, text: str) -> Comparison:
    """The row with one more remark."""
    return replace(row, remark="; ".join(filter(None, (row.remark, text))))


def _adjusted(rows: Sequence[Comparison]) -> list[Comparison]:
    """The rows with the p values of headline measures adjusted, arm by arm."""
    adjusted: dict[int, float] = {}
    for arm in dict.fromkeys(row.arm for row in rows):
        family = {
            place: row.p_value
            for place, row in enumerate(rows)
            if row.arm == arm and row.headline and row.p_value is not None
        }
        adjusted |= zip(family, holm(list(family.values())))
    return [replace(row, adjusted_p=adjusted.get(place)) for place, row in enumerate(rows)]

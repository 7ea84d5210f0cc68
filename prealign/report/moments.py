"""Several seeds as one line: the measurements of an arm over training, each with its rows of all seeds.

A measurement row of metrics.jsonl is {"kind": "eval", "stage": "init" | "pretrain", "step", "lm_tokens",
"bits_per_byte": {language: value}, "word_retrieval": {pair: {test: [P@1 per layer]}}, ...}; "lm_tokens" counts on from
stage 1 to stage 2. Rows are taken as they come: a run may have been stopped, or measure less than others. What is not
there is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prealign.report.arms import Look
from prealign.report.figures import Series

Row = Mapping[str, Any]
SeedRows = Mapping[int, Sequence[Row]]
"""Seed -> the rows of stage 1 and stage 2."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One measurement of an arm: the same step in all its seeds."""

    stage: str
    step: int
    lm_tokens: float
    """Mean over seeds, which differ a little: a row with switched words has other tokens and may be cut."""
    rows: tuple[Row, ...]
    """One per seed."""


def moments(seeds: SeedRows) -> list[Moment]:
    """The measurements that every seed has taken, in order; a seed without any is left out."""
    measured = []
    for rows in seeds.values():
        found = {(row["stage"], row["step"]): row for row in rows if row.get("kind") == "eval" and "lm_tokens" in row}
        if found:
            measured.append(found)
    if not measured:
        return []
    common = [place for place in measured[0] if all(place in found for found in measured)]
    return [
        Moment(
            stage,
            step,
            mean([found[stage, step]["lm_tokens"] for found in measured]),
            tuple(found[stage, step] for found in measured),
        )
        for stage, step in common
    ]


def line(name: str, look: Look, course: Sequence[Moment], pick: Callable[[Row], float | None]) -> Series:
    """The mean over seeds of a measure of each row, with a band from the lowest to the highest seed."""
    points = []
    band = []
    for moment in course:
        values = [pick(row) for row in moment.rows]
        known = [value for value in values if value is not None and math.isfinite(value)]
        if known and len(known) == len(values):
            points.append((moment.lm_tokens, mean(known)))
            band.append((moment.lm_tokens, min(known), max(known)))
    return Series(name, points, look, band if any(low < high for _, low, high in band) else [])


def end_of_init(courses: Mapping[str, Sequence[Moment]]) -> tuple[str, float] | None:
    """Where stage 1 ends, as a chart's border."""
    ends = [moment.lm_tokens for course in courses.values() for moment in course if moment.stage == "init"]
    return ("end of stage 1", max(ends)) if ends and max(ends) > 0 else None


def mean(values: Sequence[float]) -> float:
    """The mean of at least one number."""
    return sum(values) / len(values)


def mean_of_lists(lists: Sequence[Sequence[float]]) -> list[float]:
    """The mean at each place of lists of one length."""
    return [mean(values) for values in zip(*lists, strict=True)]

"""One measure of one arm over its seeds, beside the baseline: a row of "comparison" in results.json.

`statistics` makes the rows; the tables and the report's answer read them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

REAL = 0.05
"""A difference is real where its adjusted p value is below this."""
ROUNDING = 1e-12
"""Relative difference of two values that were summed in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One measure of one arm over its seeds, and how it differs from the baseline; the first fields are `Measure`'s."""

    task: str
    name: str
    of: str
    better: Literal["lower", "higher"]
    form: Literal["number", "share"]
    headline: bool
    chance: float | None
    note: str
    signature: str
    arm: str
    values: list[float | None]
    """Per seed, in the order of the run's seeds; None: not measured, or not finite."""
    mean: float | None
    """Over the seeds that have a value."""
    low: float | None = None
    high: float | None = None
    interval: Literal["seeds", "items"] | None = None
    """Where the 95 % interval from low to high comes from; None: there is none."""
    difference: float | None = None
    """Arm minus baseline; None for the baseline itself and where the two do not compare."""
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    """By Holm's method over the headline measures of the arm; None for other measures."""
    test: str | None = None
    """The test that gave the p value."""
    better_in: int | None = None
    """In how many seeds the arm is better than the baseline."""
    n_pairs: int = 0
    """Seeds that arm and baseline share."""
    n_seeds: int = 0
    """Seeds with a value."""
    n_items: int | None = None
    """Items of the test, where they were looked at."""
    remark: str = ""
    """Why an interval, a difference or a test is missing; a clause without a full stop."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What was measured: task, name, of."""
        return self.task, self.name, self.of

    @property
    def is_real(self) -> bool:
        """Whether the arm differs from the baseline beyond chance, many measures allowed for."""
        return self.adjusted_p is not None and self.adjusted_p < REAL

    @property
    def gain(self) -> float | None:
        """The difference with its sign turned so that more is better."""
        if self.difference is None:
            return None
        return self.difference if self.better == "higher" else -self.difference

    @property
    def is_equal(self) -> bool:
        """Whether arm and baseline have the same value in every seed."""
        return self.difference == 0 and self.better_in == 0

    @property
    def like_chance(self) -> bool | None:
        """Whether the value cannot be told from guessing: its interval holds chance. None: nobody can tell."""
        if self.chance is None or self.mean is None:
            return None
        if self.low is None or self.high is None:
            return True if self.mean == self.chance else None
        return self.low <= self.chance <= self.high

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for results.json."""
        return asdict(self)


def pair(row: Comparison, start: Comparison) -> list[float]:
    """Differences of two arms, seed by seed, where both have a value; zero for values equal but for rounding."""
    return [
        0.0 if math.isclose(a, b, rel_tol=ROUNDING, abs_tol=0.0) else a - b
        for a, b in zip(row.values, start.values)
        if a is not None and b is not None
    ]

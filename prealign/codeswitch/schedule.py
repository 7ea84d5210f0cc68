"""The course of the switching ratio over training."""

from __future__ import annotations

from typing import Literal

from prealign.errors import PrealignError

Schedule = Literal["constant", "linear", "steps"]


def scheduled_ratio(schedule: Schedule, ratio: float, progress: float) -> float:
    """The ratio at a point of training.

    Args:
        schedule: `constant`; `linear`, falling to zero at the end; `steps`, halved at each third.
        ratio: the ratio at the start.
        progress: share of the training that is done, 0 to 1.
    """
    if schedule == "constant":
        return ratio
    if schedule == "linear":
        return ratio * (1.0 - progress)
    if schedule == "steps":
        return ratio * 0.5 ** min(2, int(progress * 3.0))
    raise PrealignError(f"The schedule of the switching ratio must be constant, linear or steps; got {schedule!r}.")

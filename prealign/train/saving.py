"""Which checkpoints a training makes and which it keeps: at regular steps, at scheduled ones, and the best.

Pure functions of step numbers and one small record, so that the loop, a test and a user's script agree. The newest
`save_total_limit` are kept to go on from; scheduled ones (`keep_steps`) and the best stay whatever comes after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from prealign import files
from prealign.config.engine import EngineSettings
from prealign.errors import PrealignError
from prealign.train import checkpoint
from prealign.train.metrics import flat

BEST = "best.json"


def is_due(step: int, max_steps: int, engine: EngineSettings) -> bool:
    """Whether a checkpoint is made after `step` updates."""
    return step == max_steps or step % engine.save_steps == 0 or is_scheduled(step, engine.keep_steps)


def is_scheduled(step: int, keep_steps: Literal["log"] | Sequence[int]) -> bool:
    """Whether the checkpoint of a step, from 1, is kept for good."""
    if keep_steps == "log":
        return step & (step - 1) == 0  # a power of two has one bit
    return step in keep_steps


def staying(steps: Sequence[int], engine: EngineSettings, best: int | None) -> list[int]:
    """Those of the checkpoints on disk, in order, that are not removed."""
    newest = steps[-engine.save_total_limit :]
    return [step for step in steps if step in newest or step == best or is_scheduled(step, engine.keep_steps)]


class Best:
    """The lowest value so far of one measurement, `engine.keep_best`, and the step it was found at."""

    def __init__(self, path: str | None, state: Mapping[str, Any] | None = None) -> None:
        """`path` names the measurement, its parts joined by dots; None looks for nothing."""
        self._path = path
        known = state if state and state["measurement"] == path else {}  # another measurement begins anew
        self.step: int | None = known.get("step")
        self._value: float | None = known.get("value")

    def state(self) -> dict[str, Any] | None:
        """What `Best(path, state)` goes on from."""
        return None if self.step is None else {"measurement": self._path, "step": self.step, "value": self._value}

    def improves(self, step: int, values: Mapping[str, Any]) -> bool:
        """Take in a measurement; True when it is the best so far. The start (step 0) has no checkpoint to keep.

        Raises:
            PrealignError: the measurement has no such number.
        """
        if self._path is None:
            return False
        value = self._find(values)
        if step == 0 or not math.isfinite(value) or (self._value is not None and not value < self._value):
            return False
        self.step, self._value = step, value
        return True

    def _find(self, values: Mapping[str, Any]) -> float:
        found: Any = values
        for part in str(self._path).split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, int | float):
            return float(found)
        there = ", ".join(name.replace("/", ".") for name in flat(values))
        raise PrealignError(f"engine.keep_best is {self._path!r}, which no measurement has. There are: {there}.")


def keep(folder: Path, engine: EngineSettings, best: Mapping[str, Any] | None, steps: Sequence[int]) -> list[int]:
    """Once a checkpoint is whole: name the best one in best.json; returns the steps whose checkpoints stay.

    Args:
        best: the `Best.state()` of the moment at which that checkpoint was taken.
        steps: those of all checkpoints, in order.
    """
    if best is not None:
        place = checkpoint.place(folder, best["step"]).relative_to(folder).as_posix()
        files.write_json(folder / BEST, {**best, "checkpoint": place})
    return staying(steps, engine, best["step"] if best else None)

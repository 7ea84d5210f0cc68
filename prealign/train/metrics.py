"""The curves of a run: rows of metrics.jsonl.

A row of kind "train" stands for the steps since the row before, a row of kind "eval" for a measurement. What depends
on the clock stands under `timing`; all else is the same in a run that was killed and resumed and in one that was not.
For that, a resumed run drops the rows after its checkpoint, and the sums of a row half done are part of the
checkpoint.
"""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prealign import files
from prealign.train.trackers import Tracker

log = logging.getLogger(__name__)
LM = "lm"
"""Name of the objective whose counts are the LM tokens of a run."""
REMEMBERED_NORMS = 100
"""Gradient norms whose median is what is usual."""
FEWEST_NORMS = 20
"""Before so many updates nothing is usual: norms fall steeply in the first steps."""
SPIKE = 5.0
"""A gradient norm of more than so many times the median is told. In six runs of both recipes that went well, the rows'
norms (every tenth step) stayed below 1.7 times the median of the 20 rows before."""


class Journal:
    """metrics.jsonl of a run folder, opened to go on after a step of a stage."""

    def __init__(self, folder: Path, stage: str, step: int, trackers: Sequence[Tracker] = ()) -> None:
        """Keep the rows of other stages and this stage's rows up to `step`; the others are done again.

        Lines that are no rows leave the file: one cut off at the end by a kill is dropped, others are put aside.
        """
        self.path = folder / "metrics.jsonl"
        self._stage = stage
        self._trackers = trackers
        rows, broken = read_rows(self.path)
        kept = [row for row in rows if row["stage"] != stage or row["step"] <= step > 0]
        if len(kept) < len(rows):
            log.info("%s: %s rows after step %s will be written anew", self.path, len(rows) - len(kept), step)
        aside = [line for line in broken if not line.cut_off]
        if aside:
            place = self.path.with_name("metrics.broken.txt")
            with place.open("ab") as file:
                file.writelines(line.text + b"\n" for line in aside)
            log.warning("%s: its %s broken line(s) were put aside in %s", self.path, len(aside), place)
        if rows or broken:
            files.write_text(self.path, "".join(_line(row) for row in kept))
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8", newline="\n")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; it is in the file when this returns."""
        self._file.write(_line(row))
        self._file.flush()
        numbers = flat({name: value for name, value in row.items() if name not in ("kind", "stage", "step")})
        for tracker in self._trackers:
            tracker.write(f"{row['stage']}/{row['kind']}", row["step"], numbers)

    def sync(self) -> None:
        """Force the rows to the disk, before a checkpoint that builds on them."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and the trackers."""
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


class BrokenLine(NamedTuple):
    """A line of a metrics file that is no row."""

    number: int
    """From 1."""
    text: bytes
    cut_off: bool
    """Whether it is the end of the file without a line end: a row that a kill cut off."""


def read_rows(path: Path) -> tuple[list[dict[str, Any]], list[BrokenLine]]:
    """Rows of a metrics file, and the lines that are none, with a warning for each; no file has no rows."""
    rows: list[dict[str, Any]] = []
    broken: list[BrokenLine] = []
    *lines, end = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    for number, line in enumerate([*lines, *([end] if end else [])], start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not {"kind", "stage", "step"} <= row.keys():
                raise ValueError("it has no kind, stage and step")
            rows.append(row)
        except ValueError as error:  # also JSONDecodeError and UnicodeDecodeError
            broken.append(BrokenLine(number, line, number > len(lines)))
            what = "was cut off" if broken[-1].cut_off else f"is no row of metrics ({error})"
            log.warning("%s:%s %s and is left out: %s", path, number, what, line[:80].decode(errors="replace"))
    return rows, broken


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of nested dictionaries and lists under names joined by "/"."""
    numbers: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            numbers.update(flat(value, f"{prefix}{name}/"))
        elif isinstance(value, list):
            numbers.update(flat({str(place): item for place, item in enumerate(value)}, f"{prefix}{name}/"))
        elif isinstance(value, int | float):
            numbers[f"{prefix}{name}"] = float(value)
    return numbers


class PartSums(NamedTuple):
    """What an objective's loss sums are made of (`objectives.objective.Parts`), as plain numbers."""

    by: str
    names: list[str]
    sums: list[float]
    counts: list[float]

    def plus(self, other: PartSums) -> PartSums:
        """The sums of both."""
        pairs = (self.sums, other.sums), (self.counts, other.counts)
        return PartSums(self.by, self.names, *([a + b for a, b in zip(*pair, strict=True)] for pair in pairs))

    def means(self) -> dict[str, float] | list[float | None]:
        """Mean loss of each part by its name, without those of which there was nothing; of parts without names a list,
        with None there."""
        found = [value / count if count else None for value, count in zip(self.sums, self.counts, strict=True)]
        if not self.names:
            return found
        return {name: mean for name, mean in zip(self.names, found, strict=True) if mean is not None}


class Meter:
    """Sums of the steps since the last row. Its state is plain numbers, so that a checkpoint can carry it."""

    def __init__(self, state: Mapping[str, dict[str, Any]] | None = None) -> None:
        state = state or {"losses": {}, "counts": {}, "extra": {}}
        self.losses, self.counts, self.extra = (dict(state[name]) for name in ("losses", "counts", "extra"))
        self.parts = {name: PartSums(*told) for name, told in state.get("parts", {}).items()}

    def state(self) -> dict[str, dict[str, Any]]:
        """What `Meter(state)` goes on from."""
        return {"losses": self.losses, "counts": self.counts, "extra": self.extra, "parts": self.parts}

    def add(
        self,
        losses: Mapping[str, float],
        counts: Mapping[str, float],
        extra: Mapping[str, float],
        parts: Mapping[str, PartSums] | None = None,
    ) -> None:
        """Add one step's sums over micro-batches and ranks."""
        for total, new in ((self.losses, losses), (self.counts, counts), (self.extra, extra)):
            for name, value in new.items():
                total[name] = total.get(name, 0.0) + value
        for name, told in (parts or {}).items():
            self.parts[name] = self.parts[name].plus(told) if name in self.parts else told

    def take(self) -> dict[str, Any]:
        """Mean loss by objective, the means of their parts and the extra counts since the last call; starts anew."""
        loss = {name: value / max(1.0, self.counts[name]) for name, value in self.losses.items()}
        extra = {name: int(value) for name, value in self.extra.items()}
        parts: dict[str, Any] = {}
        for name, told in self.parts.items():
            parts.setdefault(f"loss_by_{told.by}", {})[name] = told.means()
        self.losses, self.counts, self.extra, self.parts = {}, {}, {}, {}
        return {"loss": loss, **parts, **extra}


class NormWatch:
    """Notices a gradient norm far above what is usual: the first sign of a bad batch or of too high a rate."""

    def __init__(self, norms: Sequence[float] = ()) -> None:
        self.norms = deque(norms, maxlen=REMEMBERED_NORMS)
        """The last norms; what `NormWatch(norms)` goes on from."""

    def usual_beside(self, norm: float) -> float | None:
        """Take in the norm of an update; the median of those before it if it is a spike, else None."""
        usual = statistics.median(self.norms) if len(self.norms) >= FEWEST_NORMS else math.inf
        self.norms.append(norm)
        return usual if norm > SPIKE * usual else None


class Clock:
    """Training time with waiting for data, without measuring and saving; speeds of the rows from it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        """Since the start of the stage, over all its resumed parts."""
        self._waited_s = 0.0
        self._start_row()

    def add(self, worked_s: float, waited_s: float, counts: Mapping[str, float], flops: float) -> None:
        """Add a step: its work, the waiting since the start of this process, what it counted over all ranks by
        objective, and the floating-point operations of this rank."""
        here, self._waited_s = waited_s - self._waited_s, waited_s
        self._row_waited_s += here
        self._row_s += worked_s + here
        self.seconds += worked_s + here
        self._row_flops += flops
        for name, count in counts.items():
            self._row_counts[name] = self._row_counts.get(name, 0.0) + count

    def take(self, peak_flops: float | None) -> dict[str, float]:
        """The timing of a row; starts anew. `peak_flops`: what this rank's device can do in a second."""
        speeds = {name: round(count / self._row_s, 1) for name, count in self._row_counts.items()}
        timing = {
            "seconds": round(self.seconds, 3),
            "tokens_per_s": speeds.pop(LM, 0.0),
            **{f"{name}_per_s": speed for name, speed in speeds.items()},
            "waiting_share": round(self._row_waited_s / self._row_s, 4),
        }
        if peak_flops is not None:
            # Four digits rather than places: a busy CPU may have 0.00003.
            timing["mfu"] = float(f"{self._row_flops / self._row_s / peak_flops:.4g}")
        self._start_row()
        return timing

    def _start_row(self) -> None:
        self._row_s = self._row_waited_s = self._row_flops = 0.0
        self._row_counts: dict[str, float] = {}

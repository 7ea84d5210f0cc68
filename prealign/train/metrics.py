"""The curves of a run: rows of metrics.jsonl, a bar or plain lines for people, trackers on request.

A row of kind "train" stands for the steps since the row before, a row of kind "eval" for a measurement. What depends
on the clock stands under `timing`; all else is the same in a run that was killed and resumed and in one that was not.
For that, a resumed run drops the rows after its checkpoint, and the sums of a row half done are part of the
checkpoint.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prealign import files
from prealign.errors import missing_extra

log = logging.getLogger(__name__)
PLAIN_LINE_EVERY_S = 30.0


class Journal:
    """metrics.jsonl of a run folder, opened to go on after a step of a stage."""

    def __init__(self, folder: Path, stage: str, step: int, trackers: Sequence[Tracker] = ()) -> None:
        """Keep the rows of other stages and this stage's rows up to `step`; the others are done again."""
        self.path = folder / "metrics.jsonl"
        self._stage = stage
        self._trackers = trackers
        rows, broken = read_rows(self.path)
        kept = [row for row in rows if row["stage"] != stage or row["step"] <= step > 0]
        if broken:
            log.warning("%s: %s cut-off line(s) at the end were dropped", self.path, broken)
        if len(kept) < len(rows):
            log.info("%s: %s rows after step %s will be written anew", self.path, len(rows) - len(kept), step)
        if rows or broken:
            files.write_text(self.path, "".join(_line(row) for row in kept))
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8", newline="\n")

    def write(self, kind: str, step: int, lm_tokens: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Append a row; it is in the file when this returns."""
        row = {"kind": kind, "stage": self._stage, "step": step, "lm_tokens": lm_tokens, **values}
        self._file.write(_line(row))
        self._file.flush()
        for tracker in self._trackers:
            tracker.write(f"{self._stage}/{kind}", step, flat(values))
        return row

    def sync(self) -> None:
        """Force the rows to the disk, before a checkpoint that builds on them."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and the trackers."""
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


def read_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Rows of a metrics file, and how many lines at its end were cut off by a kill."""
    rows: list[dict[str, Any]] = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            return rows, len(lines) - number
    return rows, 0


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of nested dictionaries under names joined by "/"."""
    numbers: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            numbers.update(flat(value, f"{prefix}{name}/"))
        elif isinstance(value, int | float):
            numbers[f"{prefix}{name}"] = float(value)
    return numbers


class Meter:
    """Sums of the steps since the last row. Its state is plain numbers, so that a checkpoint can carry it."""

    def __init__(self, state: Mapping[str, dict[str, float]] | None = None) -> None:
        state = state or {"losses": {}, "counts": {}, "extra": {}}
        self.losses, self.counts, self.extra = (dict(state[name]) for name in ("losses", "counts", "extra"))

    def state(self) -> dict[str, dict[str, float]]:
        """What `Meter(state)` goes on from."""
        return {"losses": self.losses, "counts": self.counts, "extra": self.extra}

    def add(self, losses: Mapping[str, float], counts: Mapping[str, float], extra: Mapping[str, float]) -> None:
        """Add one step's sums over micro-batches and ranks."""
        for total, new in ((self.losses, losses), (self.counts, counts), (self.extra, extra)):
            for name, value in new.items():
                total[name] = total.get(name, 0.0) + value

    def take(self) -> dict[str, Any]:
        """Mean loss by objective and the extra counts since the last call; starts anew."""
        loss = {name: value / max(1.0, self.counts[name]) for name, value in self.losses.items()}
        extra = {name: int(value) for name, value in self.extra.items()}
        self.losses, self.counts, self.extra = {}, {}, {}
        return {"loss": loss, **extra}


class Clock:
    """Training time with waiting for data, without measuring and saving."""

    def __init__(self, seconds: float, lm_tokens: int) -> None:
        self.seconds = seconds
        """Since the start of the stage, over all its resumed parts."""
        self._row_s = self._row_waited_s = self._waited_s = 0.0
        self._row_tokens = lm_tokens

    def add(self, worked_s: float, waited_s: float) -> None:
        """Add a step's work; `waited_s` is the waiting since the start of this process."""
        here, self._waited_s = waited_s - self._waited_s, waited_s
        self._row_waited_s += here
        self._row_s += worked_s + here
        self.seconds += worked_s + here

    def take(self, lm_tokens: int) -> dict[str, float]:
        """The timing of a row; starts anew."""
        timing = {
            "seconds": round(self.seconds, 3),
            "tokens_per_s": round((lm_tokens - self._row_tokens) / self._row_s, 1),
            "waiting_share": round(self._row_waited_s / self._row_s, 4),
        }
        self._row_s = self._row_waited_s = 0.0
        self._row_tokens = lm_tokens
        return timing


class Display:
    """For people: a bar with loss and time left on a terminal, a line now and then in a file."""

    def __init__(self, what: str, step: int, max_steps: int, speak: bool) -> None:
        self._what, self._max, self._speak = what, max_steps, speak
        self._last = time.monotonic()
        self._start, self._first = time.monotonic(), step
        self._bar = None
        if speak and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=what, total=max_steps, initial=step, unit="step", dynamic_ncols=True, leave=False)

    def show(self, step: int, losses: Mapping[str, float]) -> None:
        """Tell that a step is done."""
        text = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._speak and (time.monotonic() - self._last > PLAIN_LINE_EVERY_S or step == self._max):
            self._last = time.monotonic()
            left = (self._last - self._start) / (step - self._first) * (self._max - step)
            log.info("%s: step %s of %s, %s, %.0f s left", self._what, f"{step:,}", f"{self._max:,}", text, left)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


class Tracker:
    """TensorBoard or Weights & Biases, reading the same numbers as metrics.jsonl."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        try:
            if kind == "tensorboard":
                from torch.utils.tensorboard import SummaryWriter

                self._writer: Any = SummaryWriter(str(folder / "tensorboard"))
            else:
                import wandb  # type: ignore[import-not-found, unused-ignore]

                self._writer = wandb.init(dir=str(folder), name=folder.name, resume="allow")
        except ImportError:
            raise missing_extra(kind, "track", f"engine.report_to: [{kind}]") from None

    def write(self, prefix: str, step: int, numbers: Mapping[str, float]) -> None:
        """Send numbers of one step."""
        if self._kind == "tensorboard":
            for name, value in numbers.items():
                self._writer.add_scalar(f"{prefix}/{name}", value, step)
        else:
            self._writer.log({f"{prefix}/{name}": value for name, value in numbers.items()} | {f"{prefix}/step": step})

    def close(self) -> None:
        """Write out what is left."""
        if self._kind == "tensorboard":
            self._writer.close()
        else:
            self._writer.finish()

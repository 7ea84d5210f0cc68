"""TensorBoard and Weights & Biases on request, with the same numbers as metrics.jsonl.

metrics.jsonl is the record of a run; a tracker shows it while it grows. Both go on after a kill: TensorBoard is told
from which step on what it has is void, W&B finds its run again by the id that was left in the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prealign import files
from prealign.errors import missing_extra


class TensorBoard:
    """Writes event files to FOLDER/tensorboard."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open to go on after `step`."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise missing_extra("tensorboard", "track", "engine.report_to: [tensorboard]") from None
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def write(self, prefix: str, step: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of one row."""
        for name, value in numbers.items():
            self._writer.add_scalar(f"{prefix}/{name}", value, step)

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()


class WeightsAndBiases:
    """A W&B run, with files under FOLDER/wandb; project, entity and offline mode as W&B's own variables say."""

    def __init__(self, folder: Path, step: int) -> None:
        """Start a run, or go on with the one whose id the folder holds."""
        try:
            import wandb  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise missing_extra("wandb", "track", "engine.report_to: [wandb]") from None
        known = folder / "wandb" / "run-id.txt"
        known.parent.mkdir(parents=True, exist_ok=True)
        given = known.read_text(encoding="utf-8").strip() if step and known.is_file() else None
        name = f"{folder.parent.name}/{folder.name.removesuffix(files.PARTIAL)}"
        self._run: Any = wandb.init(dir=str(folder), name=name, id=given, resume="allow")
        self._prefixes: set[str] = set()
        files.write_text(known, f"{self._run.id}\n")

    def write(self, prefix: str, step: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of one row; each kind of row has the training's steps as its axis."""
        axis = f"{prefix}/step"
        if prefix not in self._prefixes:
            self._prefixes.add(prefix)
            self._run.define_metric(axis, hidden=True)
            self._run.define_metric(f"{prefix}/*", step_metric=axis)
        self._run.log({f"{prefix}/{name}": value for name, value in numbers.items()} | {axis: step})

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


Tracker = TensorBoard | WeightsAndBiases
KINDS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}
"""What `engine.report_to` can name."""

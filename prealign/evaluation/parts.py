"""One model's measurements on disk, a file for each task, written as soon as it is done.

    eval/parts/prealign-1/word_retrieval.json     scores and measures (`Outcome.as_dict`), seconds, parameters
    eval/items/prealign-1/word_retrieval.jsonl    what the model made of each item, one JSON object per line

An evaluation that was interrupted goes on with the tasks whose part is not there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign import files
from prealign.evaluation.task import Item, Outcome, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PARTS, ITEMS = "parts", "items"


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the measurements of one model lie."""

    folder: Path
    """The folder of the evaluation."""
    model: str
    """Name of the model's own folders: "prealign-1"."""

    @classmethod
    def of(cls, folder: Path, arm: str, seed: int) -> Parts:
        """The place of an arm's model; the arm may be a path, where models are not those of a recipe."""
        return cls(folder, f"{arm.replace('/', '--')}-{seed}")

    def write(self, task: str, outcome: Outcome, **facts: Any) -> None:
        """Keep what a task found out; the part comes last, so where it is, the items are whole."""
        lines = (
            {"test": item.test, "item": item.item, "score": item.score, "weight": item.weight, **item.detail}
            for item in outcome.items
        )
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        files.write_text(self._file(ITEMS, task, ".jsonl"), text)
        files.write_json(self._file(PARTS, task, ".json"), outcome.as_dict() | facts)

    def is_done(self, task: str) -> bool:
        """Whether the task was measured."""
        return self._file(PARTS, task, ".json").is_file()

    def read(self, task: str) -> dict[str, Any]:
        """Scores, measures and facts of a task that was measured."""
        found: dict[str, Any] = files.read_json(self._file(PARTS, task, ".json"))
        return found

    def items(self, task: str) -> Iterator[Item]:
        """The items of a task that was measured, one at a time."""
        with self._file(ITEMS, task, ".jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                own = {name: row.pop(name) for name in ("test", "item", "score", "weight")}
                yield Item(**own, detail=row)

    def _file(self, kind: str, task: str, ending: str) -> Path:
        return self.folder / kind / self.model / (re.sub(r"[^\w.-]+", "-", task) + ending)


def has_parts(folder: Path) -> bool:
    """Whether an interrupted evaluation has left anything there that the next one would go on with."""
    return any(folder.glob(f"{PARTS}/*/*.json"))


def measure_missing(
    load: Callable[[], PreTrainedModel], tasks: Sequence[Task], parts: Parts, tell: Callable[[str], None]
) -> None:
    """Run the tasks whose part is not there.

    Args:
        load: gives the model, in evaluation mode; called only if a part is missing.
        tell: called with the name of each task as soon as it is done.
    """
    missing = [task for task in tasks if not parts.is_done(task.name)]
    if not missing:
        return
    model = load()
    parameters = sum(p.numel() for p in model.parameters())
    for task in missing:
        start = time.monotonic()
        outcome = task.run(model)
        parts.write(task.name, outcome, seconds=round(time.monotonic() - start, 2), parameters=parameters)
        tell(task.name)

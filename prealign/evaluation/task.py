"""What every task of the evaluation gives: scores for results.json, the measures that a comparison shows, and one row
per item, so that a difference between two models can be tested on the items that both answered.

A value is always sum(score) / sum(weight) over the items of its test: an accuracy has scores 0 or 1 and weights 1, bits
per byte has the bits of a document as its score and the document's bytes as its weight. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a test and what the model made of it."""

    test: str
    """Which test it belongs to, unique within its task: "de", "en--de held_out"."""
    item: str
    """What was asked; unique within its test, and the same for every model."""
    score: float
    weight: float = 1.0
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What a reader of the predictions wants to know: the answer, the right one, ranks per layer. Plain values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of one model that is compared between arms."""

    task: str
    """Name of the task, and of its part of results.json."""
    name: str
    """What it is, short, as a column shows it: "bits/byte", "P@1"."""
    of: str
    """On what: a language or a pair and the test's name: "de", "en–de held out"."""
    value: float
    better: Literal["lower", "higher"]
    form: Literal["number", "share"]
    """A share lies between 0 and 1 and is shown as a percentage."""
    test: str | None = None
    """Items of this test give the value; None: it is not a mean over items."""
    chance: float | None = None
    """What guessing would give."""
    headline: bool = True
    """Whether the comparison table shows it; the others stand in the report's details."""
    note: str = ""
    """How it was measured, one sentence for the notes under the table; the same for all arms."""
    signature: str = ""
    """Data, size, layers, version: equal signatures compare."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one task found out about one model."""

    scores: dict[str, Any]
    """For results.json under the task's name: plain values."""
    measures: Sequence[Measure]
    items: Sequence[Item]

    def as_dict(self) -> dict[str, Any]:
        """Scores and measures, without the items."""
        return {"scores": self.scores, "measures": [asdict(measure) for measure in self.measures]}


class Task(Protocol):
    """A test set, encoded once and measured on many models."""

    @property
    def name(self) -> str:
        """Key in results.json and name of the file of items: "bits_per_byte", "transfer topics"."""
        ...

    def run(self, model: PreTrainedModel) -> Outcome:
        """Measure one model, which is on its device and in evaluation mode; it comes back unchanged."""
        ...

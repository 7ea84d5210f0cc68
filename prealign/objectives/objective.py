"""What the training loop knows of an objective: a name, a sum, and the count that the sum is divided by.

The loop sums counts and losses over micro-batches and ranks and divides once, so that every predicted thing weighs
the same wherever it was computed. An objective holds no state that training changes, unless it is a torch module as
well and is given to `train` as one of `stateful`: then what it learns is trained and saved with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Objective(Protocol):
    """One loss over one kind of batch."""

    name: str
    """Under this name it stands in metrics.jsonl; micro-batches of a step with equal names share one division."""
    trains_everything: bool
    """Whether its gradient reaches every parameter; a step takes the passes that do last."""

    def count(self, batch: Mapping[str, Any]) -> int:
        """The things of this batch that the sum runs over."""
        ...

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """The sum of the loss over those things, a scalar. `model` is the bare Hugging Face model."""
        ...

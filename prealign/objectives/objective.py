"""What the training loop knows of an objective: a name, a sum, and the count that the sum is divided by.

The loop sums counts and losses over micro-batches and ranks and divides once, so that every predicted thing weighs
the same wherever it was computed. An objective holds no state that training changes, unless it is a torch module as
well and is given to `train` as one of `stateful`: then what it learns is trained and saved with the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Parts(NamedTuple):
    """What a loss sum is made of, by language or by layer: for metrics.jsonl, without gradients."""

    by: str
    """"language" or "layer"; the rows have it under `loss_by_language` and `loss_by_layer`."""
    names: Sequence[str]
    """One for each part, the same on every rank; none: parts go by their place, as layers do."""
    sums: Tensor
    """[parts]"""
    counts: Tensor
    """[parts], what each sum is divided by; 0 where there was nothing of this part."""


def by_language(batch: Mapping[str, Any], languages: Sequence[str], losses: Tensor, predicted: Tensor) -> Parts | None:
    """The parts of a sum over labels, if languages are named and the batch says which ones its rows are in.

    Args:
        batch: `languages` [rows], each row's place in the list of languages.
        losses: [rows, length], 0 where nothing is predicted; predicted: bool, [rows, length].
    """
    if not languages or "languages" not in batch:
        return None
    sums, counts = losses.new_zeros((2, len(languages)), dtype=torch.float64)
    sums.index_add_(0, batch["languages"], losses.detach().double().sum(dim=1))
    counts.index_add_(0, batch["languages"], predicted.double().sum(dim=1))
    return Parts("language", languages, sums, counts)


class Objective(Protocol):
    """One loss over one kind of batch."""

    name: str
    """Under this name it stands in metrics.jsonl; micro-batches of a step with equal names share one division."""
    trains_everything: bool
    """Whether its gradient reaches every parameter; a step takes the passes that do last."""
    parts: Parts | None
    """What the last `loss_sum` was made of, if there is something to tell; every rank tells the same parts. An
    attribute rather than a second result, so that an objective around another one has nothing to pass on."""

    def count(self, batch: Mapping[str, Any]) -> int:
        """The things of this batch that the sum runs over."""
        ...

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """The sum of the loss over those things, a scalar. `model` is the bare Hugging Face model."""
        ...

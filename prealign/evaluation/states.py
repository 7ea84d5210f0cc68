"""States of words and sentences at every layer: what retrieval compares.

The state itself is `objectives.word_alignment.word_states`, the very function that stage 1 trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from prealign.objectives.word_alignment import word_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch dropout off, and back to what it was afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@torch.no_grad()
def mean_states(model: PreTrainedModel, rows: Sequence[Sequence[int]], batch_size: int) -> torch.Tensor:
    """The mean over each row's tokens at every layer: input embeddings, blocks, output rows.

    Args:
        rows: token ids of words or sentences, none empty, each read alone and without special tokens.
        batch_size: rows per forward pass; rows of like length go together.
    Returns:
        [layers, rows, width], float32, on the CPU.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    parts = []
    with evaluating(model):
        for begin in range(0, len(order), batch_size):
            batch = [rows[i] for i in order[begin : begin + batch_size]]
            longest = len(batch[-1])
            ids = torch.tensor([[*row, *([0] * (longest - len(row)))] for row in batch], device=model.device)
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch], device=model.device)
            parts.append(word_states(model, ids, mask).cpu())
    states = torch.cat(parts, dim=1)
    return states[:, torch.tensor(order).argsort()]

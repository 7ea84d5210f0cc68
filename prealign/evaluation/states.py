"""States of words and sentences at every layer: what retrieval compares.

The state itself is `objectives.word_states.word_states`, the very function that stage 1 trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from prealign.objectives.packing import refuse_leaks
from prealign.objectives.word_states import pack, word_states

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
        batch_size: rows per forward pass, packed without padding between them; rows of like length go together.
    Returns:
        [layers, rows, width], float32, on the CPU.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    parts = []
    with evaluating(model):
        refuse_leaks(model)
        for begin in range(0, len(order), batch_size):
            packed = pack([rows[i] for i in order[begin : begin + batch_size]], pad_id=0)
            batch = {name: tensor.to(model.device) for name, tensor in packed.items()}
            parts.append(word_states(model, batch).cpu())
    states = torch.cat(parts, dim=1)
    return states[:, torch.tensor(order).argsort()]

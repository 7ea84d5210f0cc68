"""Rows for new vocabulary: a model learns ids that it has never seen without forgetting any that it has.

A tokenizer that was extended for a new language (`tokenizer/extend.py`) writes with one new piece what it wrote with
several old ones. The row of the new piece starts as the mean of theirs, in the input and in the output embeddings, so
that the model reads and predicts about what it did. No old row moves: on text without new pieces the logits of the old
ids are what they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def add_rows(model: PreTrainedModel, pieces: Mapping[int, Sequence[int]]) -> None:
    """Give new ids the mean rows of old ones, in place.

    Many models embed more ids than their tokenizer has (padded to a multiple of 64); such rows are used first, and the
    embeddings grow only as far as the new ids reach. They never shrink.

    Args:
        model: a Hugging Face model with input and output embeddings, tied or not, with or without an output bias.
        pieces: new id -> the old ids that its text was written with; none of these is new itself.
    """
    if not pieces:
        return
    needed = max(pieces) + 1
    if needed > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(needed, mean_resizing=False)
    new = torch.tensor(list(pieces), device=model.device)  # [new]
    old = torch.cat([torch.tensor(list(ids)) for ids in pieces.values()]).to(model.device)  # [old ids of all pieces]
    place = torch.arange(len(pieces)).repeat_interleave(torch.tensor([len(ids) for ids in pieces.values()]))
    for rows in _tables(model):
        mean = torch.zeros_like(rows[new], dtype=torch.float32).index_add_(0, place.to(model.device), rows[old].float())
        count = torch.bincount(place, minlength=len(pieces)).to(model.device)
        rows[new] = (mean / count.view(-1, *[1] * (rows.dim() - 1))).to(rows.dtype)


def _tables(model: PreTrainedModel) -> list[Tensor]:
    """What has one row per id: input embeddings, output embeddings, output bias; tied ones once."""
    head = model.get_output_embeddings()
    tables = [model.get_input_embeddings().weight, head.weight, getattr(head, "bias", None)]
    return list({id(table): table.data for table in tables if table is not None}.values())

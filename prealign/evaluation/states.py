"""States of words and sentences at every layer: what retrieval compares.

The state itself is `objectives.word_states.word_states`, the very function that stage 1 trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from prealign.objectives.packing import refuse_leaks
from prealign.objectives.word_states import ROW_TOKENS, pack, word_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Pooling = Literal["mean", "last", "weighted"]
"""How the tokens of a row become one vector: their mean; the last one; or the mean with the weights 1, 2, 3, ... of
their places (Muennighoff 2022, arXiv 2202.08904), since late tokens of a causal model have read more."""
STATES_AT_ONCE = 1 << 28
"""Numbers in the states of all layers of a forward pass: one gigabyte. Sixteen rows of 128 tokens have a twelfth of
that in 12 layers of width 768, and sixteen rows of 2,048 tokens six times as many in 24 layers of width 2,048."""
Span = tuple[int, int]
"""The tokens of a word in its row: the first, and one past the last."""


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
def mean_states(model: PreTrainedModel, rows: Sequence[Sequence[int]], batch_size: int) -> Tensor:
    """The mean over each row's tokens at every layer: input embeddings, blocks, output rows.

    Args:
        rows: token ids of words, none empty, each read alone and without special tokens.
        batch_size: rows of ROW_TOKENS tokens per forward pass, packed without padding between words; words of like
            length go together.
    Returns:
        [layers, rows, width], float32, on the CPU.
    """
    parts, order = [], []
    with evaluating(model):
        refuse_leaks(model)
        for chosen in _batches(rows, batch_size * ROW_TOKENS):
            packed = pack([rows[i] for i in chosen], pad_id=0)
            parts.append(word_states(model, _on(model, packed)).cpu())
            order += chosen
    return torch.cat(parts, dim=1)[:, torch.tensor(order).argsort()]


@torch.no_grad()
def pooled_states(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], poolings: Sequence[Pooling], max_batch_tokens: int
) -> dict[Pooling, Tensor]:
    """Sentences as one vector for each layer and each way of pooling, from one forward pass.

    Args:
        rows: token ids of sentences, none empty, each read alone and without special tokens.
        max_batch_tokens: tokens per forward pass; fewer where the states of so many would be too large.
    Returns:
        For each pooling [layers, rows, width], float32, on the CPU.
    """
    parts: dict[Pooling, list[Tensor]] = {pooling: [] for pooling in poolings}
    order: list[int] = []
    with evaluating(model):
        refuse_leaks(model)
        for chosen in _batches(rows, _affordable(model, max_batch_tokens)):
            packed = pack([rows[i] for i in chosen], pad_id=0)
            inside = packed["words"] >= 0  # pack numbers the sentences
            sentence, place = (packed[name][inside].to(model.device) for name in ("words", "position_ids"))  # [tokens]
            packed["words"][inside] = torch.arange(len(sentence))  # each token is a word of its own
            states = word_states(model, _on(model, packed))  # [layers, tokens, width]
            sizes = torch.tensor([len(rows[i]) for i in chosen], device=model.device)
            for pooling in poolings:
                weights = _weights(pooling, place, sizes[sentence])
                pooled = states.new_zeros((len(states), len(chosen), states.shape[2]))
                parts[pooling].append(pooled.index_add_(1, sentence, states * weights[:, None]).cpu())
            order += chosen
    back = torch.tensor(order).argsort()
    return {pooling: torch.cat(found, dim=1)[:, back] for pooling, found in parts.items()}


def _weights(pooling: Pooling, place: Tensor, size: Tensor) -> Tensor:
    """Weight of each token in the vector of its sentence; place (from 0) and tokens of the sentence, [tokens]."""
    if pooling == "mean":
        return 1.0 / size
    if pooling == "last":
        return (place == size - 1).float()
    return (place + 1) / (size * (size + 1) / 2)


@torch.no_grad()
def states_in_context(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], words: Sequence[Sequence[Span]], max_batch_tokens: int
) -> Tensor:
    """The states of words inside sentences at every layer, each the mean over its sub-words.

    Args:
        rows: token ids of sentences as the model is to read them.
        words: the words of each sentence, from left to right and apart from each other.
        max_batch_tokens: tokens per forward pass; fewer where the states of so many would be too large.
    Returns:
        [layers, words, width], float32, on the CPU; words in the order of their sentences.
    """
    parts: list[Tensor] = []
    numbers: list[int] = []  # of the words, in the order in which they are read
    before = [0]
    for spans in words:
        before.append(before[-1] + len(spans))
    with evaluating(model):
        refuse_leaks(model)
        for chosen in _batches(rows, _affordable(model, max_batch_tokens)):
            packed = pack([rows[i] for i in chosen], pad_id=0)
            inside = packed["words"] >= 0
            marks = torch.full((int(inside.sum()),), -1)  # word of each token, all sentences in a row
            begin = n_words = 0
            for i in chosen:
                for number, (start, end) in enumerate(words[i], start=n_words):
                    marks[begin + start : begin + end] = number
                n_words += len(words[i])
                begin += len(rows[i])
                numbers += range(before[i], before[i + 1])
            packed["words"][inside] = marks
            if n_words:
                parts.append(word_states(model, _on(model, packed)).cpu())
    return torch.cat(parts, dim=1)[:, torch.tensor(numbers).argsort()]


def _affordable(model: PreTrainedModel, max_batch_tokens: int) -> int:
    """That many tokens, or as many as have STATES_AT_ONCE numbers in all layers."""
    config = model.config.get_text_config()
    of_token: int = (config.num_hidden_layers + 2) * config.hidden_size
    return min(max_batch_tokens, max(1, STATES_AT_ONCE // of_token))


def _batches(rows: Sequence[Sequence[int]], max_batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of the rows that are read together, shortest first; at least one row at a time."""
    batch: list[int] = []
    n_tokens = 0
    for number in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        if batch and n_tokens + len(rows[number]) > max_batch_tokens:
            yield batch
            batch, n_tokens = [], 0
        batch.append(number)
        n_tokens += len(rows[number])
    if batch:
        yield batch


def _on(model: PreTrainedModel, packed: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(model.device) for name, tensor in packed.items()}

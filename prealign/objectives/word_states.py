"""Words in, their states at every layer out: what stage 1 trains and what word retrieval compares.

Words are read alone, packed into rows without padding between them (packing.py). The state of word w at layer l is
pooled over its sub-words, their mean or the last one:

    layer 0            the input embeddings
    layers 1 .. L      the output of every block (the last one after the final norm, as the model's head sees it)
    layer L + 1        the word's rows of the output embeddings: what the model predicts for it

States of embeddings that are narrower than the blocks (ALBERT, ELECTRA) are filled up with zeros, which changes no
cosine.

A batch of words, alone or in sentences, is a dictionary:

    input_ids     [rows, length]
    position_ids  [rows, length]   starting again at 0 with each packed sequence; 0 for a pad
    words         [rows, length]   number of the word that a token belongs to, from 0 over the whole batch and rising
                                   from row to row; -1 for pads and for tokens of no word
    groups        [words]          the word's group: equal numbers mark translations of each other, on every rank
    forms         [words]          equal numbers mark words written the same, on every rank

Big batches: with `words_per_forward` the words are encoded in parts under activation checkpointing, so that only pooled
states stay in memory; the backward pass reads part after part once more. This is the idea of GradCache (Gao et al.
2021, section 3) within one autograd graph: dropout is repeated, data-parallel wrappers see one backward pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from prealign import draws, ranks
from prealign.errors import PrealignError
from prealign.objectives.packing import packed_inputs
from prealign.objectives.word_pairs import Counts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Pooling = Literal["mean", "last"]
Layers = str | Sequence[int]
"""Which layers: "all"; one, "4", or a range, "2-5", both ends included; or a list of numbers."""

ROW_TOKENS = 64
"""Tokens in a row of packed words, about twenty words. One core, tiny preset, 768 words, en-de, forward and backward:
348, 340, 326, 308 and 374 ms with rows of 16 to 256; a batch for each length of word 368; padded to the longest 1,535.
Longer rows leave less padding and let attention look at more words in vain."""


def word_batch(
    groups: Sequence[Sequence[Sequence[int]]], numbers: Sequence[int], pad_id: int, alike: bool = False
) -> dict[str, Any]:
    """Lay the words of some groups into a batch.

    Args:
        groups: per group its words (a source word, then its translations), each as token ids without special tokens.
        numbers: per group a number that is the same on every rank, such as its place in the dictionary.
        pad_id: fills the end of rows.
        alike: count pairs as the paper's published code compares them (word_pairs.py).
    Returns:
        The batch described at the top of this file, and what the rows of metrics.jsonl sum: n_words, n_pairs (anchors
        times other words) and n_kept_out (pairs left out of the negatives because something in their groups is written
        the same), all among the words of this rank. The form is a hash of the token ids.
    """
    words = [word for group in groups for word in group]
    group = torch.tensor([number for number, group in zip(numbers, groups, strict=True) for _ in group])
    forms = torch.tensor([draws.key(*word) >> 1 for word in words])
    counts = Counts.of(group, forms, alike)
    return {
        **pack(words, pad_id),
        "groups": group,
        "forms": forms,
        "n_words": len(words),
        "n_pairs": counts.pairs,
        "n_kept_out": counts.kept_out,
    }


def pack(sequences: Sequence[Sequence[int]], pad_id: int, row_tokens: int = ROW_TOKENS) -> dict[str, Tensor]:
    """Lay sequences into rows one after the other, in their order; a row ends where the next one does not fit.

    Args:
        sequences: token ids, none empty.
        row_tokens: length of a row; the longest sequence makes it longer, a small batch shorter.
    Returns:
        input_ids, position_ids, words: int64, [rows, length]. Between words of some three tokens about 2 % are pads.
    """
    length = max(max(map(len, sequences)), min(row_tokens, sum(map(len, sequences))))
    rows: list[list[tuple[int, int, int]]] = [[]]
    for number, sequence in enumerate(sequences):
        if len(rows[-1]) + len(sequence) > length:
            rows.append([])
        rows[-1] += ((token, place, number) for place, token in enumerate(sequence))
    pad = (pad_id, 0, -1)
    table = torch.tensor([row + [pad] * (length - len(row)) for row in rows])  # [rows, length, 3]
    return dict(zip(("input_ids", "position_ids", "words"), table.unbind(dim=2), strict=True))


def word_states(
    model: PreTrainedModel,
    batch: Mapping[str, Any],
    *,
    layers: Layers = "all",
    pooling: Pooling = "mean",
    words_per_forward: int = 0,
) -> Tensor:
    """States of a batch's words at the chosen layers.

    Args:
        model: a Hugging Face model with output embeddings, causal or an encoder.
        batch: input_ids, position_ids and words, as described at the top of this file.
        words_per_forward: words that are encoded at a time, about; 0 encodes all at once. If not 0, every rank of a
            run must call this, since all make the same number of forward passes: with sharded weights each pass is a
            meeting of all ranks.
    Returns:
        [layers, words, width], float32 (float64 from a model in float64).
    Raises:
        PrealignError: a layer that the model does not have.
    """
    # With words rising from row to row, a part of the rows holds a range of words.
    ends = batch["words"].amax(dim=1).cummax(dim=0).values + 1  # [rows], words up to here
    parts = 1
    if words_per_forward:
        most = max(ranks.gather_sizes(batch["groups"]))
        parts = min(math.ceil(most / words_per_forward), *ranks.gather_sizes(ends))
    borders = torch.cat([part[-1:] for part in ends.tensor_split(parts)]).tolist()
    tensors = (batch[key].tensor_split(parts) for key in ("input_ids", "position_ids", "words"))
    first, found = 0, []
    for end, rows in zip(borders, zip(*tensors, strict=True), strict=True):
        arguments = (model, *rows, first, end - first, layers, pooling)
        found.append(_part(*arguments) if parts == 1 else checkpoint(_part, *arguments, use_reentrant=False))
        first = end
    return found[0] if parts == 1 else torch.cat(found, dim=1)


def _part(
    model: PreTrainedModel,
    input_ids: Tensor,
    position_ids: Tensor,
    words: Tensor,
    first: int,
    n_words: int,
    layers: Layers,
    pooling: Pooling,
) -> Tensor:
    """States of the words `first` to `first + n_words - 1`, which these rows hold; [layers, words, width]."""
    inputs = packed_inputs(model, input_ids, position_ids)
    blocks = model.base_model(**inputs, output_hidden_states=True, return_dict=True).hidden_states[1:]
    chosen = chosen_layers(layers, len(blocks) + 2)
    tokens = input_ids.flatten()
    token = (words.flatten() >= 0).nonzero().squeeze(1)  # tokens that belong to a word
    word = words.flatten()[token] - first
    if pooling == "last":
        last = token.new_zeros(n_words).scatter_reduce_(0, word, token, "amax")
    else:
        sub_words = torch.bincount(word, minlength=n_words).unsqueeze(1)

    def pooled(states: Tensor) -> Tensor:  # [tokens, width] -> [words, width]
        if pooling == "last":
            return states[last].to(_at_least_float32(states))
        read = states[token].to(_at_least_float32(states))
        return read.new_zeros((n_words, read.shape[1])).index_add_(0, word, read) / sub_words

    found = []
    with torch.autocast(input_ids.device.type, enabled=False):
        for layer in chosen:
            if layer == 0:
                found.append(pooled(model.get_input_embeddings()(tokens)))
            elif layer == len(blocks) + 1:
                found.append(pooled(F.embedding(tokens, model.get_output_embeddings().weight)))
            else:
                found.append(pooled(blocks[layer - 1].flatten(0, 1)))
        width = max(states.shape[1] for states in found)
        equal = all(states.shape[1] == width for states in found)
        return torch.stack(found if equal else [F.pad(states, (0, width - states.shape[1])) for states in found])


def check_layers(model: PreTrainedModel, layers: Layers) -> int:
    """How many layers are chosen, told from the model's config, before any forward pass.

    Raises:
        PrealignError: a layer that the model does not have.
    """
    return len(chosen_layers(layers, model.config.num_hidden_layers + 2))


def _at_least_float32(states: Tensor) -> torch.dtype:
    return torch.promote_types(states.dtype, torch.float32)


def chosen_layers(layers: Layers, n_layers: int) -> list[int]:
    """The numbers of the chosen layers.

    Args:
        layers: "all", "blocks" (all but the embeddings and the output rows), a range "2-5", or numbers.
        n_layers: layers of the model, with input embeddings and output rows.
    Raises:
        PrealignError: a layer that the model does not have, none, one named twice, or something else than a choice.
    """
    if layers == "all":
        return list(range(n_layers))
    if layers == "blocks":
        return list(range(1, n_layers - 1))
    if isinstance(layers, str):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", layers)
        if ends is None:
            raise PrealignError(f"init.layers is {layers!r}; write all, 4, a range such as 2-5, or a list of numbers.")
        numbers = list(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    else:
        numbers = list(layers)
    wrong = [number for number in numbers if not 0 <= number < n_layers]
    if wrong or not numbers:
        raise PrealignError(
            f"init.layers names {', '.join(map(str, wrong)) or 'no layer'}; this model has layers 0 (input embeddings) "
            f"to {n_layers - 1} (output rows)."
        )
    if len(set(numbers)) < len(numbers):
        raise PrealignError(
            f"init.layers names a layer twice: {numbers}. A weight (init.layer_weights) counts it more."
        )
    return numbers

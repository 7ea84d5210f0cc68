"""The masked-LM objective: some tokens are hidden, the model says what they were (Devlin et al. 2019, section 3.1).

A share of the tokens is chosen, 15 %. Of the chosen ones 80 % become the mask token, 10 % any other token of the
vocabulary, 10 % stay as they are, so that a model cannot tell from the token alone whether it is asked about it. The
loss runs over all chosen positions, with their own id as label:

    L = sum over chosen i of  -log p(x_i | the row with the chosen tokens hidden)

Who is chosen and what stands there is a pure function of the row and its key (`draws`): the same on every rank, before
and after a resume, another in the next epoch, since the key of a row names its epoch. `mask_tokens` runs where batches
are made; it is the groundwork of monolingual and translation language modelling (MLM and TLM: a pair of translations
is one row to it).

The head is computed at the chosen positions only: at 15 % it costs a seventh of what it would cost at all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prealign import draws
from prealign.objectives.causal_lm import IGNORED
from prealign.objectives.objective import Parts, by_language
from prealign.objectives.packing import OncePerModel, float32_attention, refuse_leaks, text_inputs, trying_out

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHARE = 0.15
"""Share of the tokens that are chosen."""
MASKED, REPLACED = 0.8, 0.1
"""Of the chosen tokens these shares become the mask token, and any other token; the rest stays."""
HEAD_ELEMENTS = {"cpu": 1 << 24, "cuda": 1 << 28}
"""Logits that may exist at once. More go through the head in chunks, whose backward pass makes them once more."""


@dataclass(frozen=True, slots=True)
class Masking:
    """What masking must know of a vocabulary."""

    mask_id: int
    """Id of the mask token."""
    special: NDArray[np.bool_]
    """[vocabulary]: tokens that are never chosen and never put in the place of others."""
    starts_word: NDArray[np.bool_] | None = None
    """[vocabulary]: tokens that begin a word. Given, whole words are chosen: all tokens of a word or none."""
    masked: float = MASKED
    """Share of the chosen tokens that become the mask token."""
    replaced: float = REPLACED
    """Share of the chosen tokens that become any other token."""

    @classmethod
    def of(
        cls, mask_id: int, vocab_size: int, special_ids: Iterable[int], starts_word: NDArray[np.bool_] | None = None
    ) -> Masking:
        """From the ids of a tokenizer; the mask token is special whether it is named or not."""
        special = np.zeros(vocab_size, dtype=np.bool_)
        special[[*special_ids, mask_id]] = True
        return cls(mask_id, special, starts_word)


def mask_tokens(
    input_ids: NDArray[np.int64], keys: Iterable[int], masking: Masking
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hide tokens of some rows.

    Args:
        input_ids: [rows, length].
        keys: one per row, made by `draws.key` from what the row is (its language, number, epoch).
    Returns:
        The rows with tokens hidden, and their labels: the token's own id where it was chosen, -100 elsewhere; both
        [rows, length]. A token's fate depends on its own row only, and on what stands left of it.
    """
    others = np.flatnonzero(~masking.special)
    hidden, labels = input_ids.copy(), np.full_like(input_ids, IGNORED)
    for row, a_key in enumerate(keys):
        ids = input_ids[row]
        choice, fate, other = draws.uniforms(a_key, 3 * len(ids)).reshape(-1, 3).T  # [length] each
        chosen = (choice[_first_of_word(ids, masking)] < SHARE) & ~masking.special[ids]
        labels[row, chosen] = ids[chosen]
        hidden[row, chosen & (fate < masking.masked)] = masking.mask_id
        put = chosen & (fate >= masking.masked) & (fate < masking.masked + masking.replaced)
        hidden[row, put] = others[(other[put] * len(others)).astype(np.int64)]
    return hidden, labels


def _first_of_word(ids: NDArray[np.int64], masking: Masking) -> NDArray[np.int64]:
    """The place whose draw decides for each token: its own, or that of its word's first token; [length]."""
    places = np.arange(len(ids))
    if masking.starts_word is None:
        return places
    special = masking.special[ids]
    starts = masking.starts_word[ids] | special
    starts[1:] |= special[:-1]
    return np.maximum.accumulate(np.where(starts, places, 0))


class MaskedLM:
    """Prediction of hidden tokens, for any Hugging Face masked LM; its sum is divided by the number of labels.

    Args:
        languages, name: as in `CausalLM`.
    """

    trains_everything = True

    def __init__(self, languages: Sequence[str] = (), name: str = "lm") -> None:
        self.languages, self.name = languages, name
        self.parts: Parts | None = None
        self._heads, self._separate = OncePerModel(head_modules), OncePerModel(refuse_leaks)

    def count(self, batch: Mapping[str, Any]) -> int:
        """Labels that are predicted: all but those of -100."""
        return int((batch["labels"] != IGNORED).sum())

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Sum of the cross-entropy in nats over the batch's labels.

        Args:
            model: a Hugging Face masked LM.
            batch: input_ids and labels [rows, length], as `mask_tokens` gives them; where rows hold separate documents,
                position_ids [rows, length] that begin anew with each (objectives/packing.py); else attention_mask,
                where there is one.
        """
        losses, chosen = self.losses(model, batch), batch["labels"] != IGNORED
        everywhere = losses.new_zeros(chosen.shape).masked_scatter_(chosen, losses.detach())
        self.parts = by_language(batch, self.languages, everywhere, chosen)
        return losses.sum()

    def losses(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """The cross-entropy of each predicted label, row by row, [predicted]; the batch is that of `loss_sum`."""
        chosen = (batch["labels"] != IGNORED).flatten()  # [rows * length]
        labels = batch["labels"].flatten()[chosen]
        inputs = text_inputs(model, batch, self._separate)
        head = self._heads(model)
        if head is None:
            logits: Tensor = model(**inputs).logits.flatten(0, 1)[chosen]
            return F.cross_entropy(logits.float(), labels, reduction="none")
        states = model.base_model(**inputs).last_hidden_state.flatten(0, 1)[chosen]  # [chosen, width]
        at_once = HEAD_ELEMENTS.get(states.device.type, 1 << 24) // model.get_output_embeddings().weight.shape[0]
        if len(states) <= at_once:
            return _head_losses(head, states, labels)
        again = functools.partial(checkpoint, _head_losses, head, use_reentrant=False, preserve_rng_state=False)
        return torch.cat(list(map(again, states.split(max(1, at_once)), labels.split(max(1, at_once)))))


def _head_losses(head: list[nn.Module], states: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of the head's logits, [positions]; states [positions, width], labels [positions]."""
    for part in head:
        states = part(states)
    return F.cross_entropy(states.float(), labels, reduction="none")


def head_modules(model: PreTrainedModel) -> list[nn.Module] | None:
    """The modules that make logits of the base model's last states when applied one after the other.

    These are all children of the model but the base model: BERT's `cls`, XLM-R's `lm_head`, ModernBERT's `head` and
    `decoder`. Tried on eight tokens; None where it is not so (DistilBERT keeps its parts in another order), and the
    logits of all positions must then be made.
    """
    head = [part for part in model.children() if part is not model.base_model]
    try:
        with trying_out(model) as device, torch.autocast(device.type, enabled=False), float32_attention(model):
            ids = torch.arange(8, device=device).unsqueeze(0) % model.get_input_embeddings().weight.shape[0]
            expected = model(input_ids=ids).logits
            states = model.base_model(input_ids=ids).last_hidden_state
            for part in head:
                states = part(states)
    except (TypeError, RuntimeError):  # a part that wants something else than states
        return None
    return head if torch.equal(states, expected) else None

"""The language-model side of both training stages: rows of text in, tasks of the loop out, for either kind of model.

A causal model predicts the next token of the rows as they are. A masked model gets rows with tokens hidden: switched
first, hidden afterwards, so that it is asked about what it reads. Who is hidden is keyed by the row, as switching is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws
from prealign.codeswitch import characters
from prealign.codeswitch.vocabulary import read_vocabulary
from prealign.corpora.text_tokenizer import n_ids
from prealign.errors import PrealignError
from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.masked_lm import MaskedLM, Masking, mask_tokens
from prealign.objectives.objective import Objective
from prealign.train.loop import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from prealign.config.settings import Recipe


class LanguageModelling:
    """The objective of the recipe's kind of model, and its tasks."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> None:
        self.seed = recipe.training_seed
        self.masking = masking_of(recipe, tokenizer)
        if self.masking is not None and recipe.pretrain.whole_word_masking:
            self.masking = replace(self.masking, starts_word=starts_word(tokenizer))
        self._kind = CausalLM if self.masking is None else MaskedLM
        self.objective: Objective = self._kind(tuple(recipe.languages))

    def named(self, name: str) -> Objective:
        """The same objective for text of another kind."""
        return self._kind(name=name)

    def tasks(self, batches: Sequence[dict[str, Any]], weight: float) -> list[Task]:
        """The batches with the objective; `examples` name the rows, each a key for what is hidden in it."""
        return [(self._hidden(batch), self.objective, weight) for batch in batches]

    def _hidden(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self.masking is None:
            return batch
        keys = [draws.key(self.seed, "mask", *sample) for sample in batch["examples"]]
        ids, labels = mask_tokens(batch["input_ids"].numpy(), keys, self.masking)
        return batch | {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}


def masking_of(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Masking | None:
    """What is hidden from a masked LM; None for causal models.

    Raises:
        PrealignError: the model is a masked LM and the tokenizer has no mask token.
    """
    if recipe.model.kind != "masked_lm":
        return None
    if tokenizer.mask_token_id is None:
        raise PrealignError(
            "model.kind is masked_lm, but the tokenizer has no mask token. Take one that has (tokenizer.path), "
            "such as that of the encoder you start from."
        )
    return Masking.of(tokenizer.mask_token_id, n_ids(tokenizer), tokenizer.all_special_ids)


def starts_word(tokenizer: PreTrainedTokenizerFast) -> NDArray[np.bool_]:
    """Which tokens begin a word, [vocabulary]: those that cannot be the rest of one. Told from the token alone, so a
    bracket directly before a word goes with the word."""
    goes_on = characters.BEGINS_LETTER | characters.BEGINS_LEANING | characters.BEGINS_UNKNOWN | characters.PARTIAL
    found: NDArray[np.bool_] = (read_vocabulary(tokenizer).begins & goes_on) == 0
    return found

"""The language-model side of both training stages: rows of text in, tasks of the loop out, for either kind of model.

A causal model predicts the next token of the rows as they are. A masked model gets rows with tokens hidden: switched
first, hidden afterwards, so that it is asked about what it reads. Who is hidden is keyed by the row, as switching is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from prealign import draws
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
        self.seed = recipe.seed
        self.objective: Objective = CausalLM()
        self.masking: Masking | None = None
        if recipe.model.kind == "masked_lm":
            if tokenizer.mask_token_id is None:
                raise PrealignError(
                    "model.kind is masked_lm, but the tokenizer has no mask token. Take one that has (tokenizer.path), "
                    "such as that of the encoder you start from."
                )
            self.objective = MaskedLM()
            self.masking = Masking.of(tokenizer.mask_token_id, n_ids(tokenizer), tokenizer.all_special_ids)

    def tasks(self, batches: Sequence[dict[str, Any]], weight: float) -> list[Task]:
        """The batches with the objective; `examples` name the rows, each a key for what is hidden in it."""
        return [(self._hidden(batch), self.objective, weight) for batch in batches]

    def _hidden(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self.masking is None:
            return batch
        keys = [draws.key(self.seed, "mask", *sample) for sample in batch["examples"]]
        ids, labels = mask_tokens(batch["input_ids"].numpy(), keys, self.masking)
        return batch | {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}

"""Words of a batch as documents of their own: what each predicts, and that none sees another."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from prealign.config.init import InitSettings
from prealign.objectives.causal_lm import CausalLM
from prealign.stages.alignment import WordOrder
from prealign.stages.word_groups import WordGroups
from prealign.stages.word_text import WordText


def words_as_text(*groups: list[list[int]], tokens_at_once: int = 1000) -> list[dict]:
    found = WordGroups(list(groups), np.ones(len(groups), dtype=np.int64))
    order = WordOrder(found, InitSettings(words_per_step=max(2, len(groups))), batches=1, seed=1)
    return WordText(found, order, eos_id=1, tokens_at_once=tokens_at_once).micro_batches(0)


def test_words_as_text_are_documents_of_their_own_and_every_token_is_predicted():
    (batch,) = words_as_text([[5], [6, 7, 8]], [[9, 4]])
    table = [batch[name][0].tolist() for name in ("input_ids", "position_ids", "labels")]
    documents = {
        (1, 5, 1): [-100, 5, 1],
        (1, 6, 7, 8, 1): [-100, 6, 7, 8, 1],
        (1, 9, 4, 1): [-100, 9, 4, 1],
    }
    begins = [place for place, position in enumerate(table[1]) if position == 0]
    for begin, end in zip(begins, [*begins[1:], len(table[0])]):
        assert documents.pop(tuple(table[0][begin:end])) == table[2][begin:end]
    assert not documents
    assert CausalLM().count(batch) == (1 + 1) + (3 + 1) + (2 + 1)


def test_words_as_text_come_in_forward_passes_of_bounded_size():
    many = [[[5] * 20, [6] * 20] for _ in range(30)]
    batches = words_as_text(*many, tokens_at_once=128)
    assert all(batch["input_ids"].numel() <= 128 for batch in batches)
    assert sum(CausalLM().count(batch) for batch in batches) == 30 * 2 * 21


def test_a_word_as_text_does_not_see_its_translation():
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=12, **shape))

    def loss(*words: list[int]) -> torch.Tensor:
        return sum(CausalLM().loss_sum(model, batch) for batch in words_as_text(list(words)))

    together, apart = loss([5, 3], [6, 7, 8]), loss([5, 3], [5, 3]) / 2 + loss([6, 7, 8], [6, 7, 8]) / 2
    torch.testing.assert_close(together, apart)

"""The words of the alignment batches as text of their own, for `init.lm_on: words`.

Each word is a document: end-of-sentence mark, word, end-of-sentence mark. No word sees another one, because beside its
translation the language model would learn to translate, and the control would be aligned.
"""

from __future__ import annotations

from typing import Any

from prealign.objectives.causal_lm import IGNORED
from prealign.objectives.word_states import ROW_TOKENS, pack
from prealign.stages.alignment import WordOrder
from prealign.stages.word_groups import WordGroups


class WordText:
    """Batch number in, its words as rows of text out.

    Args:
        tokens_at_once: tokens of a forward pass.
    """

    def __init__(self, groups: WordGroups, order: WordOrder, eos_id: int, tokens_at_once: int) -> None:
        self.groups, self.order, self.eos_id = groups, order, eos_id
        self.rows_at_once = max(1, tokens_at_once // ROW_TOKENS)

    def micro_batches(self, number: int) -> list[dict[str, Any]]:
        """This rank's words of a batch, packed: input_ids, position_ids and labels [rows, length]."""
        numbers = self.order(number)
        words = [[self.eos_id, *word, self.eos_id] for row in numbers for word in self.groups.ids[row]]
        packed = pack(words, self.eos_id)
        labels = packed["input_ids"].masked_fill(packed["position_ids"] == 0, IGNORED)  # nothing stands before a word
        batch = {"input_ids": packed["input_ids"], "position_ids": packed["position_ids"], "labels": labels}
        cuts = [slice(begin, begin + self.rows_at_once) for begin in range(0, len(labels), self.rows_at_once)]
        return [{name: tensor[cut] for name, tensor in batch.items()} | {"examples": numbers} for cut in cuts]

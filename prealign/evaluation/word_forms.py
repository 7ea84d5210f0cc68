"""Token ids of a word as it stands in running text: after a space, or, in scripts without spaces, after another mark.

Stage 1 and word retrieval both read words alone; with this they read the ids that running text shows the model.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prealign.corpora.text_tokenizer import text_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ANCHOR = ","
"""Words are encoded behind this mark, which tokenizers do not join to a word, and its own ids are cut off again: so it
does not matter whether a tokenizer puts a space before the first word of a text."""

SCRIPTS_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""First words of the Unicode names of their letters."""


def encode_words(tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> list[list[int]]:
    """Ids of each word without special tokens; empty for a word that the tokenizer drops altogether."""
    if not words:
        return []
    core = text_tokenizer(tokenizer)
    n_anchor = len(core.encode(ANCHOR, add_special_tokens=False).ids)
    texts = [ANCHOR + ("" if _without_spaces(word) else " ") + word for word in words]
    return [encoding.ids[n_anchor:] for encoding in core.encode_batch(texts, add_special_tokens=False)]


def _without_spaces(word: str) -> bool:
    return unicodedata.name(word[:1] or " ", "").startswith(SCRIPTS_WITHOUT_SPACES)

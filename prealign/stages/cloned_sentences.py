"""Sentence pairs of a language and its clone, for sentence retrieval: validation sentences, and the same cloned.

A validation document is in the training text of neither language, since every document is one language's and stays in
one split of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prealign import draws
from prealign.corpora.clone import clone
from prealign.corpora.words import sentences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from prealign.corpora.store import TokenStream

PER_DOCUMENT = 4
"""Sentences of one document are about one thing; more of them make the test harder than sentences at large are."""
FEWEST_WORDS = 4
"""Shorter ones are headings and list items, which come again in other documents."""


def cloned_sentences(
    stream: TokenStream, tokenizer: PreTrainedTokenizerFast, language: str, most: int
) -> list[tuple[str, str]]:
    """Up to `most` sentences of a split, all different, each with its clone; documents come in a keyed order."""
    starts = stream.document_starts
    order = draws.Permutation(len(starts) - 1, draws.key("cloned sentences"))(np.arange(len(starts) - 1))
    found: dict[str, str] = {}
    for document in order.tolist():
        ids = stream.tokens[starts[document] : starts[document + 1] - 1].tolist()  # without the end of document
        text = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        usable = [s for s in sentences(text, language) if len(s.split()) >= FEWEST_WORDS]
        usable.sort(key=lambda sentence: draws.key("cloned sentences", sentence))
        for sentence in usable[:PER_DOCUMENT]:
            found.setdefault(sentence, clone(sentence))
            if len(found) == most:
                return list(found.items())
    return list(found.items())

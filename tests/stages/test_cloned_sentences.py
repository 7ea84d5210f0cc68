"""Sentences of validation documents and their clones."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.corpora.clone import clone
from prealign.corpora.store import TokenStream
from prealign.stages.cloned_sentences import PER_DOCUMENT, cloned_sentences

DOCUMENTS = [
    "The old dog sees a house. See also. The cat is not here today.",
    "Two words. The old dog sees a house. Nobody was at the door.",
    " ".join(
        f"This is sentence number {word} of a long text." for word in ("one", "two", "three", "four", "five", "six")
    ),
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate([*symbols, "</s>"])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


@pytest.fixture(scope="module")
def stream(tokenizer) -> TokenStream:
    rows = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in DOCUMENTS]
    starts = np.cumsum([0, *map(len, rows)])
    return TokenStream(np.concatenate(rows).astype(np.uint16), starts, np.array([len(text) for text in DOCUMENTS]))


def test_sentences_are_whole_different_and_not_too_many_of_one_document(stream, tokenizer):
    pairs = cloned_sentences(stream, tokenizer, "en", most=100)
    texts = [text for text, _ in pairs]
    assert len(set(texts)) == len(texts)
    short = {"The old dog sees a house.", "The cat is not here today.", "Nobody was at the door."}
    assert short < set(texts)
    of_the_long_one = [text for text in texts if text not in short]
    assert len(of_the_long_one) == PER_DOCUMENT
    assert all(text in DOCUMENTS[2] for text in of_the_long_one)
    assert all(twin == clone(text) for text, twin in pairs)


def test_as_many_as_asked_for_and_always_the_same(stream, tokenizer):
    pairs = cloned_sentences(stream, tokenizer, "en", most=3)
    assert len(pairs) == 3
    assert pairs == cloned_sentences(stream, tokenizer, "en", most=100)[:3]

"""Words get the ids that they have in running text, whatever the tokenizer does at the beginning of a text."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from prealign.evaluation.word_forms import encode_words

Parts = tuple[Tokenizer, Any, Any]
"""A tokenizer without vocabulary, its pre-tokenizer, its normaliser."""
TEXT = ["the house is big, the garden is small", "我 的 家 很 大，家", "ein Haus und ein Garten", "บ้าน"] * 3


def byte_level() -> Parts:
    return Tokenizer(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=False), None


def metaspace() -> Parts:
    return Tokenizer(models.BPE(unk_token="<unk>")), pre_tokenizers.Metaspace(prepend_scheme="always"), None


def llama_like() -> Parts:
    """The space in front comes from the normaliser, and a text that begins with a space gets two."""
    normaliser = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return Tokenizer(models.BPE(unk_token="<unk>")), pre_tokenizers.Split("▁", "merged_with_next"), normaliser


def word_pieces() -> Parts:
    return Tokenizer(models.WordPiece(unk_token="<unk>")), pre_tokenizers.BertPreTokenizer(), None


@pytest.fixture(scope="module", params=[byte_level, metaspace, llama_like, word_pieces], ids=lambda make: make.__name__)
def tokenizer(request):
    core, core.pre_tokenizer, normaliser = request.param()
    if normaliser is not None:
        core.normalizer = normaliser
    kind = trainers.WordPieceTrainer if isinstance(core.model, models.WordPiece) else trainers.BpeTrainer
    alphabet = pre_tokenizers.ByteLevel.alphabet() if request.param is byte_level else []
    core.train_from_iterator(
        TEXT, kind(vocab_size=420, special_tokens=["<unk>"], initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


@pytest.mark.parametrize("word", ["house", "garden", "Haus", "Garten", "und"])
def test_a_word_after_a_space(tokenizer, word):
    (ids,) = encode_words(tokenizer, [word])
    inside = tokenizer(f"the {word} is big", add_special_tokens=False)["input_ids"]
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in ("the", f"the {word}"))
    assert ids == after[len(before) :]
    assert inside[len(before) : len(before) + len(ids)] == ids


@pytest.mark.parametrize("word", ["家", "大", "บ้าน"])
def test_scripts_without_spaces_get_none(tokenizer, word):
    (ids,) = encode_words(tokenizer, [word])
    before, joined = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("大,", f"大,{word}"))
    assert joined == before + ids


def test_nothing_and_many(tokenizer):
    assert encode_words(tokenizer, []) == []
    both = encode_words(tokenizer, ["house", "Haus"])
    assert both == [encode_words(tokenizer, [word])[0] for word in ("house", "Haus")]

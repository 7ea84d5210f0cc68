"""What a tokenizer can write."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from prealign.tokenizer.coverage import coverage


def test_counts_of_a_case_checked_by_hand() -> None:
    """Characters are tokens; c is unknown, é two bytes."""
    pieces = ["<unk>", "a", "b", " ", ".", *(f"<0x{byte:02X}>" for byte in range(256))]
    core = Tokenizer(
        models.BPE({piece: number for number, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True)
    )
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>"), ["ab é.", "a b"], "en")
    # tokens: a b _ <0xC3> <0xA9> . | a _ b; words: ab, é | a, b
    assert found == {
        "documents": 2,
        "words": 4,
        "tokens": 9,
        "bytes": 9,
        "unknown_share": 0.0,
        "byte_share": 2 / 9,
        "tokens_per_word": 9 / 4,
        "bytes_per_token": 1.0,
        "missing_characters": {"é": 1},
    }


def test_unknown_tokens_are_counted_and_their_characters_named_most_frequent_first() -> None:
    core = Tokenizer(models.BPE({"<unk>": 0, "a": 1, "b": 2}, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>"), ["ab zyz", "b z"], "en")
    assert found["unknown_share"] == 4 / 7
    assert list(found["missing_characters"].items())[:2] == [("z", 3), ("y", 1)]


def test_no_documents_give_zeros() -> None:
    core = Tokenizer(models.BPE({"<unk>": 0}, [], unk_token="<unk>"))
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>"), [], "en")
    assert found["tokens_per_word"] == found["unknown_share"] == 0.0


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_a_script_the_tokenizer_never_saw_is_written_in_bytes(trained: dict[str, Path], model: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained[model])
    english = coverage(tokenizer, ["Return the number of items in a list."], "en")
    russian = coverage(tokenizer, ["Привет, мир"], "ru")
    assert english["byte_share"] == 0.0
    assert english["tokens_per_word"] < 2.5
    assert english["missing_characters"] == {}
    assert russian["byte_share"] > 0.8
    assert russian["unknown_share"] == 0.0
    assert russian["missing_characters"]["и"] == 2


def test_a_tokenizer_that_cuts_is_measured_on_whole_documents() -> None:
    core = Tokenizer(models.BPE({"<unk>": 0, "x": 1}, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.enable_truncation(2)
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>"), ["x x x x x"], "en")
    assert found["tokens"] == 5
    assert core.truncation["max_length"] == 2

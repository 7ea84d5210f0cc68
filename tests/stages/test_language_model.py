"""Tasks of the language model for both kinds of model."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from prealign.config.settings import Recipe
from prealign.errors import PrealignError
from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.masked_lm import MaskedLM
from prealign.stages.language_model import LanguageModelling, masking_of, starts_word
from prealign.train.batches import Sample

PIECES = {piece: number for number, piece in enumerate(["<unk>", "</s>", "<mask>", *map(str, range(97))])}


def tokenizer(**special: str) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel(PIECES, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>", **special)


def recipe(kind: str, seed: int = 1) -> Recipe:
    return Recipe.model_validate(
        {"languages": {"en": {"text": ["python-docs"]}}, "seed": seed, "model": {"kind": kind}}
    )


def batch(*examples: Sample) -> dict:
    ids = torch.arange(3, 3 + 90).repeat(len(examples), 1)
    return {"input_ids": ids, "labels": ids, "examples": list(examples), "n_cut": 1}


def test_a_causal_model_gets_the_rows_as_they_are():
    given = batch(Sample("en", 0, 1))
    ((rows, objective, weight),) = LanguageModelling(recipe("causal_lm"), tokenizer()).tasks([given], 0.5)
    assert rows is given
    assert isinstance(objective, CausalLM)
    assert weight == 0.5


def test_a_masked_model_is_asked_for_hidden_tokens_which_the_row_and_its_epoch_decide():
    hiding = LanguageModelling(recipe("masked_lm"), tokenizer(mask_token="<mask>"))
    twice = batch(Sample("en", 0, 1), Sample("en", 0, 1), Sample("en", 1, 1))
    ((rows, objective, _),) = hiding.tasks([twice], 1.0)
    assert isinstance(objective, MaskedLM)
    assert rows["n_cut"] == 1
    first, again, next_epoch = rows["input_ids"]
    assert (first == again).all()
    assert (first != next_epoch).any()
    asked = rows["labels"] != -100
    assert (rows["labels"][asked] == twice["labels"][asked]).all()
    assert (rows["input_ids"][~asked] == twice["input_ids"][~asked]).all()
    assert (rows["input_ids"] == 2).any()
    other_seed = LanguageModelling(recipe("masked_lm", seed=2), tokenizer(mask_token="<mask>")).tasks([twice], 1.0)
    assert (other_seed[0][0]["input_ids"] != rows["input_ids"]).any()


def test_a_tokenizer_without_a_mask_token_is_refused():
    with pytest.raises(PrealignError, match="the tokenizer has no mask token"):
        LanguageModelling(recipe("masked_lm"), tokenizer())


def word_pieces() -> PreTrainedTokenizerFast:
    pieces = ["[UNK]", "[MASK]", "un", "##break", "##able", "die", "Haus", "##tür", "東", "京", "."]
    core = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", mask_token="[MASK]")


def metaspace_pieces() -> PreTrainedTokenizerFast:
    pieces = ["<unk>", "<mask>", "▁un", "break", "able", "▁die", "▁Haus", "tür", "東", "京", "."]
    core = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0))
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", mask_token="<mask>")


@pytest.mark.parametrize("make", [word_pieces, metaspace_pieces])
def test_tokens_that_begin_a_word(make):
    """unbreak-able die Haus-tür 東 京 . ; in a script without spaces every token counts as a word."""
    expected = [True, False, False, True, True, False, True, True, True]
    assert starts_word(make())[2:].tolist() == expected


def test_whole_words_are_hidden_on_request_and_validation_hides_single_tokens():
    wanted = recipe("masked_lm")
    wanted.pretrain.whole_word_masking = True
    row = torch.tensor([[2, 3, 4, 5, 6, 7] * 15])
    given = {"input_ids": row, "labels": row, "examples": [Sample("en", 0, 1)]}
    ((rows, _, _),) = LanguageModelling(wanted, metaspace_pieces()).tasks([given], 1.0)
    asked = (rows["labels"] != -100)[0].view(15, 6)
    words = [asked[:, :3], asked[:, 3:4], asked[:, 4:]]  # un-break-able, die, Haus-tür
    assert all((word == word[:, :1]).all() for word in words)
    assert asked.any()
    validation = masking_of(wanted, metaspace_pieces())
    assert validation is not None
    assert validation.starts_word is None
    with pytest.raises(ValueError, match="about hidden tokens"):
        Recipe.model_validate(
            {"languages": {"en": {"text": ["python-docs"]}}, "pretrain": {"whole_word_masking": True}}
        )

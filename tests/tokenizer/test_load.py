"""Opening tokenizers, and whether one belongs to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from prealign.errors import PrealignError
from prealign.tokenizer.extend import extend_tokenizer
from prealign.tokenizer.load import check_belongs, load_tokenizer


def test_the_end_of_a_document_is_what_bert_calls_a_separator(tmp_path: Path) -> None:
    core = Tokenizer(models.WordLevel({"[UNK]": 0, "[SEP]": 1, "a": 2}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=core, sep_token="[SEP]").save_pretrained(tmp_path / "bert")
    assert load_tokenizer(tmp_path / "bert").eos_token_id == 1
    PreTrainedTokenizerFast(tokenizer_object=core).save_pretrained(tmp_path / "plain")
    with pytest.raises(PrealignError, match="has no eos_token"):
        load_tokenizer(tmp_path / "plain")


def test_a_checkpoint_wants_its_own_tokenizer(trained: dict[str, Path], tmp_path: Path) -> None:
    bpe, unigram = load_tokenizer(trained["bpe"]), load_tokenizer(trained["unigram"])
    check_belongs(bpe, str(trained["bpe"]))
    with pytest.raises(PrealignError, match=rf"of the 2,000 pieces .* Set tokenizer.path to {trained['bpe']}"):
        check_belongs(unigram, str(trained["bpe"]))
    extend_tokenizer(trained["bpe"], tmp_path, {"de": ["Über Häuser über Häuser fliegen Vögel."] * 9}, {}, 2010)
    check_belongs(load_tokenizer(tmp_path), str(trained["bpe"]))
    bpe.add_special_tokens({"mask_token": "<mask>"})
    check_belongs(bpe, str(trained["bpe"]))
    check_belongs(bpe, str(tmp_path / "no tokenizer here"))

"""A doubled tokenizer without its twins reads English and its clone as the tokenizer that was doubled reads English."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from prealign.corpora.clone import clone
from prealign.tokenizer.clone import double_tokenizer
from prealign.tokenizer.one_vocabulary import merge_twins

TEXTS = ["Who's there? It is 7.30 in (old) London; pay $5!", "def f(x): return x[0] + 1\n", "Zürich – naïve, 日本 😀"]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def three(request: pytest.FixtureRequest, trained: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(plain tokenizer, doubled tokenizer, merged tokenizer, ids of the doubled one -> ids of the merged one)."""
    doubled, merged = tmp_path_factory.mktemp("doubled"), tmp_path_factory.mktemp("merged")
    double_tokenizer(trained[request.param], doubled)
    reads_as = merge_twins(doubled, merged)
    plain, both, one = map(AutoTokenizer.from_pretrained, (trained[request.param], doubled, merged))
    return plain, both, one, reads_as


def test_a_text_and_its_clone_have_the_ids_that_english_alone_has(three: Any, documents: list[str]) -> None:
    plain, doubled, merged, reads_as = three
    assert merged.get_vocab() == plain.get_vocab()
    for text in [*TEXTS, *documents[:40]]:
        ids = plain(text)["input_ids"]
        assert merged(text)["input_ids"] == merged(clone(text))["input_ids"] == ids
        for read in (text, clone(text)):  # what the store holds becomes what the tokenizer says
            assert reads_as[doubled(read)["input_ids"]].tolist() == ids
    assert merged.decode(merged(clone(TEXTS[1]))["input_ids"]) == TEXTS[1]


def test_special_tokens_stay(three: Any) -> None:
    plain, _, merged, reads_as = three
    assert merged.special_tokens_map == plain.special_tokens_map
    assert reads_as[plain.all_special_ids].tolist() == plain.all_special_ids


def test_a_mask_added_behind_the_twins_moves_down(three: Any, tmp_path: Path) -> None:
    plain, doubled, _, _ = three
    masked = AutoTokenizer.from_pretrained(doubled.name_or_path)
    masked.add_special_tokens({"mask_token": "<mask>"})
    masked.save_pretrained(tmp_path / "doubled")
    reads_as = merge_twins(tmp_path / "doubled", tmp_path / "merged")
    merged = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert merged.mask_token_id == reads_as[masked.mask_token_id] == len(plain)
    assert merged("a<mask>b")["input_ids"].count(len(plain)) == 1


def test_pieces_that_were_each_others_twins_from_the_start_are_one_id(tmp_path: Path) -> None:
    """A vocabulary with both a full stop and its partner, which English prose uses: the later of the two is read as the
    earlier one and keeps its place."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from prealign.corpora.clone import ENGLISH

    pieces = ["<unk>", "</s>", *ENGLISH, clone("."), "zz"]
    core = Tokenizer(models.Unigram([(piece, -1.0 - place) for place, piece in enumerate(pieces)], 0))
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>").save_pretrained(tmp_path / "a")
    assert double_tokenizer(tmp_path / "a", tmp_path / "b")["paired"] == 2
    reads_as = merge_twins(tmp_path / "b", tmp_path / "c")
    merged, stop = AutoTokenizer.from_pretrained(tmp_path / "c"), pieces.index(".")
    assert len(merged) == len(pieces)
    assert merged("zz" + clone("."))["input_ids"] == [pieces.index("zz"), stop]
    assert reads_as[pieces.index(clone("."))] == stop
    assert reads_as.max() == pieces.index("zz")

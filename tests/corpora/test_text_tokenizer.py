"""Text that spells a special token stays text, everywhere alike."""

from __future__ import annotations

import json
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.codeswitch.encode import Encoder
from prealign.codeswitch.vocabulary import read_vocabulary
from prealign.corpora.encoded_pairs import encode_pairs
from prealign.corpora.linked_pairs import LinkedPair
from prealign.corpora.store import TokenStore
from prealign.corpora.store_writer import write_store
from prealign.corpora.text_tokenizer import n_ids, text_tokenizer
from prealign.evaluation.sentence_retrieval import SentenceTest

TEXTS = ["price <s>10</s> now", "<unk> is <pad>, </s>", "a </s><s> b"]
CHARACTERS = sorted(set("price <s>10</s> now<unk> is <pad>, a b".replace(" ", "▁")))
SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
PIECES = [*SPECIAL.values(), *CHARACTERS]


def make(kind: str) -> PreTrainedTokenizerFast:
    """Characters as tokens; every kind holds the special tokens as pieces of its model as well."""
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    core = Tokenizer(
        models.Unigram([(piece, 0.0 if piece in SPECIAL.values() else -3.0) for piece in PIECES], unk_id=0)
        if kind == "unigram"
        else models.BPE(numbers, [], unk_token="<unk>", ignore_merges=kind == "bpe, ignore_merges")
    )
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split("▁", "isolated")
    core.decoder = decoders.Replace("▁", " ")
    return PreTrainedTokenizerFast(tokenizer_object=core, **SPECIAL)


KINDS = ["unigram", "bpe", "bpe, ignore_merges"]


@pytest.mark.parametrize("kind", KINDS)
def test_store_pairs_evaluation_and_code_switching_cut_alike(kind: str, tmp_path: Path) -> None:
    tokenizer = make(kind)
    by_hand = [[PIECES.index(character) for character in text.replace(" ", "▁")] for text in TEXTS]
    tokenizer.backend_tokenizer.enable_truncation(3)

    write_store(tmp_path, {"en": lambda _: ((text, 1) for text in TEXTS)}, tokenizer, validation_share=0.4, seed=1)
    store = TokenStore(tmp_path)
    stored = []
    for split in ("train", "validation"):
        stream = store.stream("en", split)
        starts = stream.document_starts.tolist()
        stored += [stream.tokens[start:end].tolist() for start, end in pairwise(starts)]
    assert sorted(stored) == sorted([*ids, tokenizer.eos_token_id] for ids in by_hand)

    pairs = [LinkedPair(text, text, [], [], []) for text in TEXTS]
    drops: Any = None  # no links, nothing to drop
    assert [pair.source for pair in encode_pairs(pairs, tokenizer, ("en", "de"), drops, 0)] == by_hand
    sentences = SentenceTest.of("t", list(zip(TEXTS, TEXTS, strict=True)), tokenizer, 99)
    assert sentences.sources == sentences.targets == by_hand
    assert Encoder(tokenizer, read_vocabulary(tokenizer)).ids(TEXTS) == by_hand
    assert tokenizer.backend_tokenizer.encode("</s>").ids == [tokenizer.eos_token_id], "the caller's is as it was"


@pytest.mark.parametrize("kind", KINDS)
def test_other_text_has_the_ids_it_had(kind: str) -> None:
    tokenizer = make(kind)
    for text in ("a price now", "10 is é 中", ""):
        expected = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert text_tokenizer(tokenizer).encode(text, add_special_tokens=False).ids == expected


def test_added_tokens_that_are_not_special_are_still_found_and_ids_stay() -> None:
    tokenizer = make("unigram")
    tokenizer.add_tokens([AddedToken("<b>", normalized=False)])
    tokenizer.add_special_tokens({"mask_token": AddedToken("<i>", normalized=True)})
    tokenizer.add_tokens([AddedToken("<u>", normalized=False)])
    core = text_tokenizer(tokenizer)
    numbers = json.loads(core.to_str())["added_tokens"]
    assert [token["id"] for token in numbers if not token["special"]] == [len(PIECES), len(PIECES) + 2]
    ids = core.encode("<u><i><b>", add_special_tokens=False).ids
    assert ids == [len(PIECES) + 2, *map(PIECES.index, "<i>"), len(PIECES)]


def test_pieces_of_merges_that_touch_special_tokens_are_not_made() -> None:
    vocabulary = {piece: number for number, piece in enumerate(["<s>", "</s>", "<", "s", ">", "<s", "s>", "x"])}
    core = Tokenizer(models.BPE(vocabulary, [("<", "s"), ("<s", ">"), ("s", ">")]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    assert text_tokenizer(tokenizer).encode("x<s>", add_special_tokens=False).ids == [7, 5, 4]


def test_a_table_reaches_to_the_largest_id() -> None:
    core = Tokenizer(models.WordLevel({"</s>": 0, "a": 70_000}, unk_token="</s>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")
    assert (len(tokenizer), n_ids(tokenizer)) == (2, 70_001)
    tokenizer.add_tokens(["b"])
    assert n_ids(tokenizer) == 1 + max(chain(tokenizer.get_vocab().values()))

"""The neural aligner with a small random encoder: against simalign, against itself in other batches, and its limits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from prealign.alignment import neural
from prealign.alignment.aligners import open_aligner
from prealign.alignment.parallel_words import ParallelWords
from prealign.config.dictionary import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.errors import PrealignError

LETTERS = "abcdefghijklmnopqrstuvwxyzабвгдежзиклмнопрстухы"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SENTENCES = [
    ("The old house stands by the river", "Дом старый стоит у реки"),
    ("A dog barks", "Собака лает"),
    ("Yes", "Да"),
    ("small trees grow in the garden of my aunt and her friend", "в саду моей тети растут деревья"),
    ("", "пусто"),
    ("two words", "два слова"),
]
PAIRS = [(source.split(), target.split()) for source, target in SENTENCES]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random BERT of three layers whose pieces are single letters and a few longer ones."""
    folder = tmp_path_factory.mktemp("encoder")
    pieces = [*SPECIAL, *LETTERS, *("##" + letter for letter in LETTERS), "the", "##ouse", "##ar", "дом", "##ак"]
    tokenizer = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def found(aligner: str, encoder: str, method: str, pairs=PAIRS, symmetrisation="intersect") -> list[list[list[int]]]:
    options = {"aligner": aligner, "encoder": encoder, "encoder_layer": 2, "encoder_method": method}
    settings = DictionarySettings.model_validate(options)
    offsets, links = open_aligner(settings).links(ParallelWords.of(pairs), symmetrisation, Drops())
    return [links[start:end].tolist() for start, end in pairwise(offsets)]


@pytest.mark.parametrize("method", ["argmax", "itermax"])
def test_agrees_with_simalign(encoder: str, method: str) -> None:
    pytest.importorskip("simalign", reason="simalign is not installed (extra `neural`)")
    ours = found("neural", encoder, method)
    assert ours == found("simalign", encoder, method)
    assert sum(map(len, ours)) > 12


@pytest.mark.parametrize("method", ["argmax", "itermax", "softmax"])
def test_batches_do_not_change_links(encoder: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together = found("neural", encoder, method, PAIRS * 3)
    monkeypatch.setattr(neural, "TOKENS_PER_BATCH", {"cpu": 1, "cuda": 1})
    monkeypatch.setattr(neural, "PAIRS_PER_BUCKET", 4)
    assert found("neural", encoder, method) * 3 == together


def test_directions_can_be_joined_otherwise(encoder: str) -> None:
    by_method = {
        method: [set(map(tuple, links)) for links in found("neural", encoder, "argmax", symmetrisation=method)]
        for method in ("intersect", "grow-diag", "union")
    }
    for least, middle, most in zip(by_method["intersect"], by_method["grow-diag"], by_method["union"]):
        assert least <= middle <= most
    assert sum(map(len, by_method["intersect"])) < sum(map(len, by_method["union"]))
    # every token has a partner in one direction, so every word has
    assert {i for i, _ in by_method["union"][0]} == set(range(len(PAIRS[0][0])))


def test_a_pair_that_is_too_long_gets_no_links_and_is_counted(encoder: str) -> None:
    options = {"aligner": "neural", "encoder": encoder, "encoder_layer": 1}
    drops = Drops()
    text = ParallelWords.of([(["dog"] * 21, ["пес"]), (["dog"], ["пес"]), (["dog"] * 20, ["пес"])])
    aligner = open_aligner(DictionarySettings.model_validate(options))
    offsets, _ = aligner.links(text, "intersect", drops)
    assert drops.counts == {neural.TOO_LONG: 1}  # 21 words of three letters and two special tokens are 65
    assert np.diff(offsets).tolist()[:2] == [0, 1]
    assert np.diff(offsets)[2] > 0
    assert aligner.signature()["layer"] == 1


@pytest.mark.parametrize("aligner", ["neural", "simalign"])
def test_encoders_that_cannot_be_used_are_told(aligner: str, encoder: str, tmp_path: Path) -> None:
    if aligner == "simalign":
        pytest.importorskip("simalign", reason="simalign is not installed (extra `neural`)")
    with pytest.raises(PrealignError, match=r"encoder_layer is 8, but .* has 3 layers\. Choose one of 0 to 3"):
        open_aligner(DictionarySettings(aligner=aligner, encoder=encoder))
    with pytest.raises(PrealignError, match="cannot be loaded"):
        open_aligner(DictionarySettings(aligner=aligner, encoder=str(tmp_path)))

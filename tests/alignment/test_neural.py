"""The neural aligner with a small random encoder: against simalign, against itself in other batches, and its limits."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from prealign import draws
from prealign.alignment import neural
from prealign.alignment.aligners import open_aligner
from prealign.alignment.parallel_words import ParallelWords
from prealign.config.dictionary import DictionarySettings
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
    offsets, links = open_aligner(settings).links(ParallelWords.of(pairs), symmetrisation)
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


def test_a_sentence_that_is_too_long_is_read_in_windows(encoder: str) -> None:
    """42 words of three letters need 128 positions of the 64; the same words on both sides find each other again."""
    generator = draws.generator("test windows")
    words = ["".join(generator.choice(list(LETTERS[:26]), 3, replace=False)) for _ in range(42)]
    text = ParallelWords.of([(words, words), (words[:20], words[:20]), (words[-2:], words), ([], words)])
    options = {"aligner": "neural", "encoder": encoder, "encoder_layer": 2}
    aligner = open_aligner(DictionarySettings.model_validate(options))
    offsets, links = aligner.links(text, "intersect")
    whole, short, _, empty = np.split(links, offsets[1:-1])
    assert [i for i, j in whole.tolist() if i == j] == list(range(42))
    assert [i for i, j in short.tolist() if i == j] == list(range(20))
    assert len(empty) == 0
    assert isinstance(aligner, neural.NeuralAligner)
    assert aligner.windowed == 3
    assert aligner.signature()["layer"] == 2


def test_windows_by_hand() -> None:
    """Ten tokens, a window of six: tokens are taken where they stand nearest to the middle."""
    ids = [101, *range(10), 102]
    sentence = neural._Tokens(ids, np.arange(1, 11), np.array([0, 0, 1, 2, 3, 4, 4, 5, 6, 7], dtype=np.int32))
    windows = neural._windows(sentence, 8)
    assert [window.ids for window in windows] == [
        [101, 0, 1, 2, 3, 4, 5, 102],
        [101, 2, 3, 4, 5, 6, 7, 102],
        [101, 4, 5, 6, 7, 8, 9, 102],
    ]
    taken = [[window.ids[place] for place in window.places] for window in windows]
    assert taken == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]
    assert [window.words.tolist() for window in windows] == [[0, 0, 1, 2], [3, 4], [4, 5, 6, 7]]
    assert neural._windows(sentence, 12) == [sentence]


@pytest.mark.parametrize("aligner", ["neural", "simalign"])
def test_encoders_that_cannot_be_used_are_told(aligner: str, encoder: str, tmp_path: Path) -> None:
    if aligner == "simalign":
        pytest.importorskip("simalign", reason="simalign is not installed (extra `neural`)")
    with pytest.raises(PrealignError, match=r"encoder_layer is 8, but .* has 3 layers\. Choose one of 0 to 3"):
        open_aligner(DictionarySettings(aligner=aligner, encoder=encoder))
    with pytest.raises(PrealignError, match="cannot be loaded"):
        open_aligner(DictionarySettings(aligner=aligner, encoder=str(tmp_path)))


@pytest.fixture
def copied(encoder: str, tmp_path: Path) -> Path:
    """A copy of the encoder, to be spoilt."""
    return Path(shutil.copytree(encoder, tmp_path / "copied"))


def opened(folder: Path) -> neural.NeuralAligner:
    return neural.NeuralAligner(str(folder), 2, "argmax")


def test_code_beside_an_encoder_is_never_run(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even to someone who answers every question with yes."""
    ran = copied.parent / "ran"
    (copied / "code.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: pass\n")
    fields = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    fields |= {"model_type": "homemade", "auto_map": {"AutoConfig": "code.Config"}}
    (copied / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(PrealignError, match=r"cannot be loaded \(The repository .* contains custom code"):
        opened(copied)
    assert not ran.exists()


def test_a_folder_that_was_cut_off_is_told(copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(PrealignError, match=r"`encoder` .*copied cannot be loaded \("):
        opened(copied)


def test_an_encoder_with_a_decoder_is_refused(copied: Path) -> None:
    T5EncoderModel(T5Config(vocab_size=110, d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2)).save_pretrained(
        copied
    )
    fields = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    (copied / "config.json").write_text(json.dumps(fields | {"is_encoder_decoder": True}), encoding="utf-8")
    with pytest.raises(PrealignError, match="of the type t5, an encoder with a decoder"):
        opened(copied)


@pytest.mark.parametrize(
    ("kind", "expected"), [("bert", 18), ("roberta", 16), ("camembert", 16), ("mpnet", 16), ("xmod", 16)]
)
def test_as_many_tokens_as_the_encoder_has_positions(kind: str, expected: int) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = AutoConfig.for_model(kind, vocab_size=20, max_position_embeddings=18, pad_token_id=1, **sizes)
    model = AutoModel.from_config(config).eval()
    if kind == "xmod":
        model.set_default_language("en_XX")
    longest = neural._longest(SimpleNamespace(model_max_length=512), model)
    assert longest == expected
    assert model(input_ids=torch.full((1, longest), 5)).last_hidden_state.shape[1] == longest
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, longest + 1), 5))

"""Doubling a tokenizer for English-Clone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from prealign.corpora.clone import ENGLISH, clone
from prealign.errors import PrealignError
from prealign.tokenizer.clone import double_tokenizer

MODELS = ["unigram", "bpe"]


def save(core: Any, folder: Path, **special: str) -> Path:
    """A tokenizer folder around a model, spaces written as U+2581."""
    tokenizer = Tokenizer(core)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Replace("▁", " ")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


def twin_ids(tokenizer: Any) -> NDArray[np.int64]:
    """[vocabulary] id -> id of its cloned twin, itself where it has none."""
    vocabulary = tokenizer.get_vocab()
    twins = np.arange(len(tokenizer), dtype=np.int64)
    for piece, number in vocabulary.items():
        twins[number] = vocabulary.get(clone(piece), number)
    return twins


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, trained: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(tokenizer, doubled tokenizer, counts)."""
    folder = tmp_path_factory.mktemp("doubled")
    counts = double_tokenizer(trained[request.param], folder)
    return AutoTokenizer.from_pretrained(trained[request.param]), AutoTokenizer.from_pretrained(folder), counts


def test_english_is_cut_as_before_and_the_clone_like_english(pair: Any, documents: list[str]) -> None:
    plain, doubled, _ = pair
    twins = twin_ids(doubled)
    texts = [*documents, "don't_stop 3.14 {x: [1, 2]} é日本 \n\n\t😀 ~`@#$%^&*"]
    english = doubled(texts)["input_ids"]
    assert english == plain(texts)["input_ids"]
    for ids, cloned in zip(english, doubled([clone(text) for text in texts])["input_ids"], strict=True):
        assert twins[ids].tolist() == cloned
    assert doubled.decode(doubled(clone(texts[0]))["input_ids"]) == clone(texts[0])


def test_english_and_clone_share_only_what_cannot_be_cloned(pair: Any, documents: list[str]) -> None:
    plain, doubled, counts = pair
    assert counts["pieces"] + counts["twins"] == len(doubled)
    assert counts["shared"] + counts["twins"] == len(plain) == counts["pieces"]
    assert counts["paired"] == 0
    english = {number for ids in doubled(documents)["input_ids"] for number in ids}
    cloned = {number for ids in doubled([clone(text) for text in documents])["input_ids"] for number in ids}
    for piece in doubled.convert_ids_to_tokens(sorted(english & cloned)):
        assert piece.startswith("<0x") or set(piece) <= set("▁\n\t") or not set(piece) & set(ENGLISH)


def test_twins_are_mutual_and_originals_keep_their_ids(pair: Any) -> None:
    plain, doubled, counts = pair
    twins = twin_ids(doubled)
    assert twins.shape == (len(doubled),)
    assert (twins[twins] == np.arange(len(doubled))).all()
    assert int((twins == np.arange(len(doubled))).sum()) == counts["shared"]
    assert plain.get_vocab().items() <= doubled.get_vocab().items()
    assert doubled.convert_ids_to_tokens(twins[doubled.convert_tokens_to_ids(["▁the", "</s>", "\n", "<0x41>"])]) == [
        "▁" + clone("the"), "</s>", "\n", "<0x41>",
    ]  # fmt: skip
    names = ("unk_token_id", "bos_token_id", "eos_token_id", "pad_token_id")
    assert [getattr(doubled, name) for name in names] == [0, 1, 2, 3]


def test_pieces_that_are_clones_already_take_the_better_score(tmp_path: Path) -> None:
    characters = [(character, -9.0) for character in ENGLISH]
    core = models.Unigram([("<unk>", 0.0), ("</s>", 0.0), *characters, ("ab", -3.0), (clone("ab"), -2.0)], 0)
    counts = double_tokenizer(save(core, tmp_path / "plain", unk_token="<unk>", eos_token="</s>"), tmp_path / "doubled")
    assert counts == {"pieces": 98, "twins": 94, "shared": 2, "paired": 2}
    doubled = AutoTokenizer.from_pretrained(tmp_path / "doubled")
    vocabulary = json.loads((tmp_path / "doubled" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    scores = dict(vocabulary)
    assert scores["ab"] == scores[clone("ab")] == -2.0
    assert len(vocabulary) == len(scores) == len(doubled) == 192


def test_added_tokens_behind_the_vocabulary_keep_their_ids(tmp_path: Path) -> None:
    core = models.BPE({character: number for number, character in enumerate(ENGLISH)}, [])
    source = save(core, tmp_path / "plain", eos_token="</s>", pad_token="<pad>")
    plain = AutoTokenizer.from_pretrained(source)
    double_tokenizer(source, tmp_path / "doubled")
    doubled = AutoTokenizer.from_pretrained(tmp_path / "doubled")
    assert (doubled.eos_token_id, doubled.pad_token_id) == (plain.eos_token_id, plain.pad_token_id) == (94, 95)
    assert doubled("ab</s>" + clone("ab"))["input_ids"] == [26, 27, 94, 96 + 26, 96 + 27]


def test_tokenizers_that_cannot_be_doubled_say_why(tmp_path: Path) -> None:
    words = save(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"), tmp_path / "words")
    with pytest.raises(PrealignError, match="is of kind WordLevel; only Unigram and BPE"):
        double_tokenizer(words, tmp_path / "x")
    by_byte = Tokenizer(models.BPE({"a": 0}, []))
    by_byte.pre_tokenizer = pre_tokenizers.ByteLevel()
    (tmp_path / "bytes").mkdir()
    by_byte.save(str(tmp_path / "bytes" / "tokenizer.json"))
    with pytest.raises(PrealignError, match="is of kind byte-level BPE"):
        double_tokenizer(tmp_path / "bytes", tmp_path / "x")
    poor = save(models.BPE({character: number for number, character in enumerate(ENGLISH[:90])}, []), tmp_path / "poor")
    with pytest.raises(PrealignError, match=r"no piece for \^ ` \| ~, so the clone"):
        double_tokenizer(poor, tmp_path / "x")
    with pytest.raises(PrealignError, match=r"tokenizer\.json does not exist"):
        double_tokenizer(tmp_path, tmp_path / "x")
    assert not (tmp_path / "x").exists()

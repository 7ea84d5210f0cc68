"""A tokenizer of English learns German and Russian: what becomes shorter, and what must stay."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from prealign.errors import PrealignError
from prealign.tokenizer.extend import extend_tokenizer, read_new_pieces, tokens_of_words

GERMAN = [
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "Die Häuser der Straße stehen schräg und die Bäume blühen früh.",
    "Über den Häusern der Straße fliegen zwölf Vögel nach Süden.",
] * 5
RUSSIAN = [
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Этих булок ещё много, и чаю много.",
] * 5
KINDS = ["unigram", "bpe", "byte-level"]


@pytest.fixture(scope="module")
def english(
    trained: dict[str, Path], documents: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Tokenizers of English alone; the byte-level one has an added token behind its vocabulary, as GPT-NeoX has."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(documents[:200], trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|more|>"]})
    folder = tmp_path_factory.mktemp("byte-level")
    tokenizer.save_pretrained(folder)
    return {**trained, "byte-level": folder}


@pytest.fixture(scope="module")
def extended(
    english: dict[str, Path], documents: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Any, Any, dict[int, list[int]], dict[str, Any]]]:
    """Per kind the old tokenizer, the new one, the new pieces, and what the extension tells."""
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(f"extended-{kind}")
        size = len(AutoTokenizer.from_pretrained(english[kind])) + 90
        told = extend_tokenizer(english[kind], folder, {"de": GERMAN, "ru": RUSSIAN}, {"en": documents[:100]}, size)
        old, new = (AutoTokenizer.from_pretrained(place) for place in (english[kind], folder))
        assert len(new) == size
        found[kind] = old, new, read_new_pieces(folder), told
    return found


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids


def spelt_out(new: Any, pieces: dict[int, list[int]], text: str) -> list[int]:
    """The new tokens of a text, each written as the old ones it stands for."""
    return [old for number in ids_of(new, text) for old in pieces.get(number, [number])]


TEXTS = [*GERMAN, *RUSSIAN, "Vögel fliegen über булок", "naïve café, 中文, 12.5 %", "  two  spaces\n\ttab", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_new_tokens_spelt_out_are_the_old_tokens(extended: Any, documents: list[str], kind: str) -> None:
    old, new, pieces, _ = extended[kind]
    for text in [*TEXTS, *documents[100:160]]:
        assert spelt_out(new, pieces, text) == ids_of(old, text)


@given(st.text(alphabet="abc Straßenhäuf\n.чаюбулок中é", max_size=60))
@settings(max_examples=150, deadline=None)
def test_of_any_text(extended: Any, text: str) -> None:
    for kind in KINDS:
        old, new, pieces, _ = extended[kind]
        assert spelt_out(new, pieces, text) == ids_of(old, text), kind


@pytest.mark.parametrize("kind", KINDS)
def test_new_languages_need_fewer_tokens_and_old_ones_as_many(extended: Any, documents: list[str], kind: str) -> None:
    old, new, _, told = extended[kind]
    for text in (GERMAN[0], RUSSIAN[0]):
        assert len(ids_of(new, text)) < 0.8 * len(ids_of(old, text))
    changed = sum(ids_of(new, text) != ids_of(old, text) for text in documents[:100])
    assert changed < 10  # the pairs that they show often are left alone
    languages = told["languages"]
    assert languages["de"]["tokens_per_word"] < 0.8 * languages["de"]["tokens_per_word_before"]
    assert languages["en"]["new_pieces_per_word"] < 0.001


@pytest.mark.parametrize("kind", KINDS)
def test_ids_stay_and_nothing_of_the_text_is_lost(extended: Any, kind: str) -> None:
    old, new, pieces, told = extended[kind]
    vocabulary = new.get_vocab()
    assert all(vocabulary[piece] == number for piece, number in old.get_vocab().items())
    assert sorted(pieces) == list(range(len(old), len(new)))
    assert all(number < len(old) for ids in pieces.values() for number in ids)
    assert told["old"] == len(old)
    assert told["characters"] + told["pieces"] == len(pieces)
    assert (told["characters"] > 0) == (kind != "byte-level")
    for text in TEXTS:
        text = unicodedata.normalize("NFC", text)
        assert new.decode(ids_of(new, text), clean_up_tokenization_spaces=False) == text
    assert new.eos_token == old.eos_token


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_stay_inside_words(extended: Any, kind: str) -> None:
    _, new, pieces, _ = extended[kind]
    for number in pieces:
        text = new.decode([number], clean_up_tokenization_spaces=False)
        assert " " not in text[1:]
        assert not any(character in ".,\n" for character in text)


def test_words_with_their_space() -> None:
    text, spans = "ab cde 12 f", [(0, 2), (3, 6), (7, 9), (10, 11)]
    ids, offsets = [1, 2, 3, 4, 5, 6, 7, 8], [(0, 1), (1, 2), (2, 4), (4, 6), (6, 7), (7, 8), (8, 9), (9, 11)]
    # " c" begins the second word; "12" is a number; "f" is one token and has nothing to join.
    assert list(tokens_of_words(text, spans, ids, offsets)) == [(1, 2), (3, 4)]


def test_mistakes(english: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match=r"extend_to is 2,000, and the tokenizer in .* has 2,000 ids already"):
        extend_tokenizer(english["bpe"], tmp_path / "out", {"de": GERMAN}, {}, 2000)
    word_piece = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    word_piece.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(PrealignError, match="of kind WordPiece"):
        extend_tokenizer(tmp_path, tmp_path / "out", {"de": GERMAN}, {}, 2000)
    content = json.loads((english["bpe"] / "tokenizer.json").read_text())
    content["model"]["end_of_word_suffix"] = "</w>"
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(PrealignError, match="BPE with end_of_word_suffix"):
        extend_tokenizer(tmp_path, tmp_path / "out", {"de": GERMAN}, {}, 3000)
    assert not (tmp_path / "out").exists()


def test_too_little_text_is_told(english: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = extend_tokenizer(english["bpe"], tmp_path / "out", {"de": GERMAN[:5]}, {}, 3000)
    assert "no more than" in caplog.text
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) == 2000 + told["characters"] + told["pieces"] < 3000


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_old_pieces_that_no_merge_reaches_are_not_joined_into(tmp_path: Path, ignore_merges: bool) -> None:
    pieces = ["</s>", "a", "b", "c", "d", "x", "ab", "cd", "abcd"]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(numbers, [("a", "b"), ("c", "d")], ignore_merges=ignore_merges))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>").save_pretrained(tmp_path / "old")
    extend_tokenizer(tmp_path / "old", tmp_path / "new", {"sw": ["abcdx abcdx x abcdx"] * 10}, {}, 11)
    old, new = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("old", "new"))
    learned = read_new_pieces(tmp_path / "new")
    assert learned, "there is something to learn beside it"
    for text in ("abcdx xabcd", "xabcdx abcdabcd", "abcd"):
        assert spelt_out(new, learned, text) == ids_of(old, text), text
    assert ids_of(old, "abcdx xabcd") == [6, 7, 5, 5, 6, 7]


def test_a_unigram_piece_that_loses_to_its_parts_is_not_joined_into(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -9.0), ("x", -1.0)]
    core = Tokenizer(models.Unigram(pieces, unk_id=0))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>").save_pretrained(
        tmp_path / "old"
    )
    extend_tokenizer(tmp_path / "old", tmp_path / "new", {"sw": ["abx abx xab"] * 10}, {}, 8)
    old, new = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("old", "new"))
    for text in ("abx xab", "ab", "xabab"):
        assert spelt_out(new, read_new_pieces(tmp_path / "new"), text) == ids_of(old, text), text

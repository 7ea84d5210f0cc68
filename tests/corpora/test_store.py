"""Writing and reading the token store."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from prealign.corpora.store import TokenStore, TokenStream
from prealign.errors import PrealignError

EOS = 1
Write = Callable[..., dict[str, Any]]
Texts = Callable[[int, int], list[str]]


def documents_of(stream: TokenStream) -> list[list[int]]:
    """The token ids of each document, without the end token that each must have."""
    borders = stream.document_starts.tolist()
    cut = [stream.tokens[start:end].tolist() for start, end in pairwise(borders)]
    assert all(ids[-1] == EOS for ids in cut)
    return [ids[:-1] for ids in cut]


def test_every_document_is_in_one_split_with_its_tokens_and_bytes(
    tmp_path: Path, write_texts: Write, number_texts: Texts
) -> None:
    texts = {"en": number_texts(0, 400), "de": number_texts(7, 300)}
    summary = write_texts(tmp_path, **texts)
    store = TokenStore(tmp_path)
    assert store.languages == ["en", "de"]
    assert store.vocab_size == 600
    for code, documents in texts.items():
        found = []
        for split in ("train", "validation"):
            stream = store.stream(code, split)
            assert stream.tokens.dtype == np.uint16
            assert len(stream) == len(stream.tokens) == summary["languages"][code][split]["tokens"]
            cut = documents_of(stream)
            found += [(" ".join(map(str, ids)), size) for ids, size in zip(cut, stream.document_bytes, strict=True)]
        assert sorted(found) == sorted((text, len(text)) for text in documents)
        assert 15 < len(store.stream(code, "validation").document_bytes) < 70


def test_the_split_depends_on_seed_and_text_and_not_on_order(
    tmp_path: Path, write_texts: Write, number_texts: Texts
) -> None:
    documents = number_texts(0, 400)
    write_texts(tmp_path / "a", en=documents)
    write_texts(tmp_path / "b", en=documents[::-1])
    write_texts(tmp_path / "c", seed=4, en=documents)
    a, b, c = (documents_of(TokenStore(tmp_path / name).stream("en", "validation")) for name in "abc")
    assert sorted(a) == sorted(b)
    assert sorted(a) != sorted(c)


@pytest.mark.parametrize("documents", [2, 3, 10])
def test_few_documents_give_one_for_validation(
    tmp_path: Path, documents: int, write_texts: Write, number_texts: Texts
) -> None:
    texts = number_texts(0, documents)
    write_texts(tmp_path, share=1e-9, en=texts)
    write_texts(tmp_path / "reversed", share=1e-9, en=texts[::-1])
    held_out = documents_of(TokenStore(tmp_path).stream("en", "validation"))
    assert len(held_out) == 1
    assert held_out == documents_of(TokenStore(tmp_path / "reversed").stream("en", "validation"))
    assert len(documents_of(TokenStore(tmp_path).stream("en", "train"))) == documents - 1


@pytest.mark.parametrize("seed", range(8))
def test_two_documents_are_enough_whatever_the_hashes(tmp_path: Path, seed: int, write_texts: Write) -> None:
    write_texts(tmp_path, share=0.49, seed=seed, en=["2 3", "4 5 6"])
    cut = [documents_of(TokenStore(tmp_path).stream("en", split)) for split in ("train", "validation")]
    assert sorted(cut) == [[[2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize("documents", [0, 1])
def test_fewer_than_two_documents_are_a_mistake(
    tmp_path: Path, documents: int, write_texts: Write, number_texts: Texts
) -> None:
    with pytest.raises(PrealignError, match=rf"Language sw has {documents} documents? left .* needs at least two"):
        write_texts(tmp_path, sw=number_texts(0, documents))
    with pytest.raises(PrealignError, match="holds no token store"):
        TokenStore(tmp_path)


def test_large_vocabularies_take_32_bits(tmp_path: Path, write_texts: Write, word_tokenizer: type[Any]) -> None:
    write_texts(tmp_path, word_tokenizer(70_000), en=["69999 5", "65536 2", "3"])
    store = TokenStore(tmp_path)
    ids = {token for split in ("train", "validation") for token in store.stream("en", split).tokens.tolist()}
    assert store.stream("en", "train").tokens.dtype == np.uint32
    assert ids == {69_999, 65_536, 5, 3, 2, EOS}


def test_a_tokenizer_that_cuts_and_pads_is_used_without_that_and_left_as_it_was(
    tmp_path: Path, write_texts: Write, word_tokenizer: type[Any]
) -> None:
    tokenizer = word_tokenizer(600)
    tokenizer.backend_tokenizer.enable_truncation(2)
    tokenizer.backend_tokenizer.enable_padding(length=4)
    write_texts(tmp_path / "a", tokenizer)
    write_texts(tmp_path / "b")
    assert TokenStore(tmp_path / "a").fingerprint == TokenStore(tmp_path / "b").fingerprint
    assert len(tokenizer.backend_tokenizer.encode("2 3 4 5 6").ids) == 4


def test_fingerprints_follow_content_and_tokenizer(
    tmp_path: Path, write_texts: Write, number_texts: Texts, word_tokenizer: type[Any]
) -> None:
    first = write_texts(tmp_path / "a")["fingerprint"]
    assert write_texts(tmp_path / "b")["fingerprint"] == first
    assert write_texts(tmp_path / "c", en=[*number_texts(0, 399), "5 6"])["fingerprint"] != first
    assert write_texts(tmp_path / "d", word_tokenizer(601))["fingerprint"] != first


def test_a_renamed_store_reads_the_same_text_in_other_ids(tmp_path: Path, write_texts: Write) -> None:
    write_texts(tmp_path, en=["2 3 4", "4 4 2"], de=["5", "6 5"])
    store = TokenStore(tmp_path)
    names = np.arange(600)
    names[[4, 6]] = 2, 5
    renamed = store.renamed(names)

    def text(of: TokenStore, code: str) -> list[list[int]]:
        return sorted(ids for split in ("train", "validation") for ids in documents_of(of.stream(code, split)))

    assert text(renamed, "en") == [[2, 2, 2], [2, 3, 2]]
    assert text(renamed, "de") == [[5], [5, 5]]
    assert text(store, "en") == [[2, 3, 4], [4, 4, 2]]
    ours, theirs = (of.stream("en", "train") for of in (renamed, store))
    assert len(ours) == len(theirs) == 4
    for start, length in ((0, 4), (1, 2), (3, 6)):  # the last one goes over the end
        window = ours.window(start, length)
        assert window.tolist() == names[theirs.window(start, length)].tolist()
        assert not window.flags.writeable
    assert np.asarray(ours.tokens).tolist() == names[theirs.tokens].tolist()
    assert np.asarray(ours.tokens).dtype == np.uint16


def test_another_tokenizer_is_refused(tmp_path: Path, write_texts: Write, word_tokenizer: type[Any]) -> None:
    write_texts(tmp_path)
    store = TokenStore(tmp_path)
    store.check_tokenizer(word_tokenizer(600))
    with pytest.raises(PrealignError, match=r"written with tokenizer \w+ \(600 pieces\), not .* 601 pieces"):
        store.check_tokenizer(word_tokenizer(601))


def test_a_tokenizer_without_end_token_is_refused(
    tmp_path: Path, write_texts: Write, word_tokenizer: type[Any]
) -> None:
    tokenizer = word_tokenizer(600)
    tokenizer.eos_token_id = None
    with pytest.raises(PrealignError, match="no end-of-sequence token"):
        write_texts(tmp_path, tokenizer)


@pytest.mark.parametrize("name", ["en.train.tokens.bin", "en.validation.starts.bin", "en.train.bytes.bin"])
def test_missing_and_cut_files_are_named(tmp_path: Path, name: str, write_texts: Write) -> None:
    write_texts(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for content in (None, whole[:-2], whole[: len(whole) // 2], b""):
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(PrealignError, match=rf"{name} .*prealign prepare RECIPE --fresh store"):
            TokenStore(tmp_path)


def test_unknown_languages_and_formats(tmp_path: Path, write_texts: Write) -> None:
    write_texts(tmp_path)
    with pytest.raises(PrealignError, match="has no train text of fr; it has en"):
        TokenStore(tmp_path).stream("fr", "train")
    summary = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps(summary | {"format": 99}))
    with pytest.raises(PrealignError, match=r"another version of prealign \(format 99, .* --fresh store"):
        TokenStore(tmp_path)


@given(size=st.integers(1, 40), start=st.integers(0, 100), length=st.integers(1, 90))
def test_windows_go_on_at_the_beginning(size: int, start: int, length: int) -> None:
    tokens = np.arange(size, dtype=np.uint16)
    tokens.flags.writeable = False
    stream = TokenStream(tokens, np.array([0, size]), np.array([1]))
    window = stream.window(start, length)
    assert window.tolist() == [(start + step) % size for step in range(length)]
    assert not window.flags.writeable


def test_windows_of_a_store_are_views_of_the_map(tmp_path: Path, write_texts: Write) -> None:
    write_texts(tmp_path)
    stream = TokenStore(tmp_path).stream("en", "train")
    assert np.shares_memory(stream.window(10, 20), stream.tokens)
    with pytest.raises(ValueError, match="read-only"):
        stream.window(10, 20)[0] = 3


def test_a_vocabulary_with_holes_is_written_by_its_largest_id(tmp_path: Path, write_texts: Write) -> None:
    vocabulary = {"<unk>": 0, "</s>": EOS, "a": 2, "b": 70_000}

    class Holes:
        eos_token_id = EOS
        backend_tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))

        def __len__(self) -> int:
            return len(vocabulary)

    Holes.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    write_texts(tmp_path, Holes(), en=["a b", "b", "a"])
    store = TokenStore(tmp_path)
    ids = {token for split in ("train", "validation") for token in store.stream("en", split).tokens.tolist()}
    assert ids == {EOS, 2, 70_000}
    assert store.vocab_size == 70_001

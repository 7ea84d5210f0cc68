"""The pair store: what is written is read, what is damaged or strange is refused; which tokens make up a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prealign.corpora.drops import Drops
from prealign.corpora.encoded_pairs import encode_pairs, token_spans
from prealign.corpora.linked_pairs import LinkedPair
from prealign.corpora.pair_store import EncodedPair, PairStore, words_key, write_pairs
from prealign.errors import PrealignError

PAIRS = {
    ("en", "de"): [
        EncodedPair([5, 6, 7], [8, 9], [(0, 1, 1, 2), (1, 3, 0, 1)], [11, 2**64 - 1]),
        EncodedPair([5], [], [], []),
        EncodedPair([4, 4], [3, 3, 3], [(0, 2, 0, 3)], [12]),
    ],
    ("en", "fr"): [EncodedPair([2], [3], [], [])],
}


@pytest.fixture
def folder(tmp_path: Path, word_tokenizer: Callable[..., Any]) -> Path:
    write_pairs(tmp_path / "pairs", {code: iter(pairs) for code, pairs in PAIRS.items()}, word_tokenizer())
    return tmp_path / "pairs"


def test_pairs_are_read_as_they_were_written(folder: Path) -> None:
    store = PairStore(folder)
    assert list(store.streams) == list(PAIRS)
    for code, stream in store.streams.items():
        assert len(stream) == len(PAIRS[code])
        for number, pair in enumerate(PAIRS[code]):
            source, target = stream.sentences(number)
            here = slice(stream.link_starts[number], stream.link_starts[number + 1])
            assert (source.tolist(), target.tolist()) == (pair.source, pair.target)
            assert [tuple(link) for link in stream.links[here].tolist()] == pair.links
            assert stream.words[here].tolist() == pair.words
    assert store.streams["en", "de"].source.dtype == "uint16"


def test_large_vocabularies_take_32_bits(tmp_path: Path, word_tokenizer: Callable[..., Any]) -> None:
    write_pairs(tmp_path, {("en", "de"): [EncodedPair([70_000], [1], [], [])]}, word_tokenizer(70_001))
    assert PairStore(tmp_path).streams["en", "de"].source.tolist() == [70_000]


def test_fingerprints_follow_content_and_tokenizer(tmp_path: Path, word_tokenizer: Callable[..., Any]) -> None:
    def written(name: str, pair: EncodedPair, size: int = 600) -> str:
        return write_pairs(tmp_path / name, {("en", "de"): [pair]}, word_tokenizer(size))["fingerprint"]

    pair = PAIRS["en", "de"][0]
    assert written("a", pair) == written("b", pair)
    assert len({written("a", pair), written("c", pair._replace(words=[11, 12])), written("d", pair, 700)}) == 3


def test_what_is_not_whole_or_of_another_kind_is_refused(folder: Path, word_tokenizer: Callable[..., Any]) -> None:
    store = PairStore(folder)
    store.check_tokenizer(word_tokenizer())
    with pytest.raises(PrealignError, match=r"was written with tokenizer .* --fresh pairs"):
        store.check_tokenizer(word_tokenizer(700))
    links = folder / "en--de.links.bin"
    whole = links.read_bytes()
    links.write_bytes(whole[:-4])
    with pytest.raises(PrealignError, match=r"en--de.links.bin has 44 bytes, but there should be 48. .*--fresh pairs"):
        PairStore(folder)
    links.unlink()
    with pytest.raises(PrealignError, match=r"en--de.links.bin is missing"):
        PairStore(folder)
    links.write_bytes(whole)
    summary = json.loads((folder / "pairs.json").read_text())
    (folder / "pairs.json").write_text(json.dumps(summary | {"format": 99}))
    with pytest.raises(PrealignError, match=r"another version of prealign \(format 99"):
        PairStore(folder)
    (folder / "pairs.json").unlink()
    with pytest.raises(PrealignError, match=r"holds no pair store"):
        PairStore(folder)


@pytest.mark.parametrize(
    ("text", "words", "tokens", "expected"),
    [
        # SentencePiece: a space goes with the token behind it
        ("the old house", [(0, 3), (4, 7), (8, 13)], [(0, 3), (3, 7), (7, 10), (10, 13)], [(0, 1), (1, 2), (2, 4)]),
        # ... or is a token of its own before the word's
        ("an owl", [(0, 2), (3, 6)], [(0, 2), (2, 3), (3, 6)], [(0, 1), (1, 3)]),
        # a token over two words belongs to neither
        ("in the hut", [(0, 2), (3, 6), (7, 10)], [(0, 6), (6, 10)], [None, None, (1, 2)]),
        # punctuation that sticks to a word
        ("so, no", [(0, 2), (4, 6)], [(0, 3), (3, 6)], [None, (1, 2)]),
        # no spaces; bytes of one character stand at the same place
        ("在这里", [(0, 1), (1, 3)], [(0, 1), (0, 1), (0, 1), (1, 3)], [(0, 3), (3, 4)]),
        ("在这里", [(0, 1), (1, 3)], [(0, 2), (2, 3)], [None, None]),
        ("", [], [], []),
    ],
)
def test_tokens_of_words(text, words, tokens, expected) -> None:
    assert token_spans(text, words, tokens) == expected


def test_links_whose_words_cannot_be_marked_are_counted(word_tokenizer: Callable[..., Any]) -> None:
    tokenizer = word_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(1)  # of the caller, who keeps it
    text = LinkedPair(
        "7 12 x1", "12 7, 9", [(0, 1), (2, 4), (5, 7)], [(0, 2), (3, 4), (6, 7)], [(0, 2), (1, 0), (2, 2), (0, 1)]
    )
    drops = Drops()
    (found,) = encode_pairs([text], tokenizer, ("en", "de"), drops, unknown=0)
    assert (found.source, found.target) == ([7, 12, 0], [12, 0, 9])
    assert found.links == [(0, 1, 2, 3), (1, 2, 0, 1)]
    assert found.words == [words_key("7", "9", ("en", "de")), words_key("12", "12", ("en", "de"))]
    assert drops.counts == {"links of words with unknown tokens": 1, "links of words that are no whole tokens": 1}
    assert drops.samples["links of words that are no whole tokens"] == ["7 | 7"]
    assert len(tokenizer.backend_tokenizer.encode("7 12 x1").ids) == 1


def test_a_word_has_one_key_in_any_case() -> None:
    assert words_key("House", "HAUS", ("en", "de")) == words_key("house", "Haus", ("en", "de"))
    assert (
        words_key("I", "ev", ("tr", "tr")) == words_key("ı", "ev", ("tr", "tr")) != words_key("i", "ev", ("tr", "tr"))
    )
    assert words_key("a", "b", ("en", "de")) != words_key("b", "a", ("en", "de"))

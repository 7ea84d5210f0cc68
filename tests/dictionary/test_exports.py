"""What is written can be read again, whatever the words; what a format cannot hold is counted."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.exports import FORMAT_OF_SUFFIX, Format, export
from prealign.errors import PrealignError

DICTIONARY = Dictionary.from_pairs(
    [
        ("bank", "Bank"),
        ("bank", "Bank"),
        ("bank", "Ufer"),
        ("ice cream", "мороженое"),
        ("water", "水"),
        ("book", "كتاب"),
    ],
    "en",
    "mul",
)

WRITTEN: list[tuple[str, Format | None, str]] = [
    ("d.tsv", None, "bank\tBank\nbank\tUfer\nbook\tكتاب\nice cream\tмороженое\nwater\t水\n"),
    ("d.txt", None, "bank Bank\nbank Ufer\nbook كتاب\nwater 水\n"),
    (
        "d.csv",
        None,
        "source,target,count,p_target_given_source,p_source_given_target\n"
        "bank,Bank,2,0.666667,1\nbank,Ufer,1,0.333333,1\nbook,كتاب,1,1,1\nice cream,мороженое,1,1,1\nwater,水,1,1,1\n",
    ),
    (
        "d.jsonl",
        None,
        '{"src_text": "bank", "tgt_text": "Bank"}\n{"src_text": "bank", "tgt_text": "Ufer"}\n'
        '{"src_text": "book", "tgt_text": "كتاب"}\n{"src_text": "ice cream", "tgt_text": "мороженое"}\n'
        '{"src_text": "water", "tgt_text": "水"}\n',
    ),
    (
        "d.jsonl",
        "words",
        '{"words": "bank $ Bank $ Ufer"}\n{"words": "book $ كتاب"}\n{"words": "ice cream $ мороженое"}\n'
        '{"words": "water $ 水"}\n',
    ),
    ("lex.f2e", None, "Bank bank 0.666667\nUfer bank 0.333333\nكتاب book 1\n水 water 1\n"),
]


@pytest.mark.parametrize(("name", "format", "text"), WRITTEN)
def test_what_stands_in_the_file(tmp_path: Path, name: str, format: Format | None, text: str) -> None:
    drops = export(DICTIONARY, tmp_path / name, format)
    assert (tmp_path / name).read_text(encoding="utf-8") == text
    left_out = {"entries with a space in a word": 1} if name in ("d.txt", "lex.f2e") else {}
    assert drops.counts == left_out


def test_moses_has_two_tables(tmp_path: Path) -> None:
    export(DICTIONARY, tmp_path / "lex.e2f")
    assert (tmp_path / "lex.e2f").read_text(encoding="utf-8") == "bank Bank 1\nbank Ufer 1\nbook كتاب 1\nwater 水 1\n"
    assert (tmp_path / "lex.f2e").is_file()


# Letters of many scripts, marks, digits, symbols, and what the formats use for themselves.
CHARACTER = st.characters(categories=("L", "M", "N", "S", "P"), codec="utf-8") | st.sampled_from('$",\\|')
PART = st.text(CHARACTER, min_size=1, max_size=5)
WORD = st.lists(PART, min_size=1, max_size=3).map(" ".join).map(lambda word: unicodedata.normalize("NFC", word))
ALL = [*((suffix, None) for suffix in FORMAT_OF_SUFFIX), (".jsonl", "words")]


@pytest.mark.parametrize(("suffix", "format"), ALL)
@given(counts=st.dictionaries(st.tuples(WORD, WORD), st.integers(1, 99), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_round_trip_changes_nothing_that_the_format_holds(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, format: Format | None, counts: dict[tuple[str, str], int]
) -> None:
    counts["fits", "everywhere"] = 1
    dictionary = Dictionary.from_pairs(Counter(counts).elements(), "en", "de")
    path = tmp_path_factory.mktemp("export") / f"d{suffix}"
    drops = export(dictionary, path, format)
    again = Dictionary.read(path, "en", "de").entries
    left_out = sum(drops.counts.values())
    assert len(again) == len(dictionary) - left_out
    if suffix in (".csv", ".parquet"):
        assert again == dictionary.entries
    elif suffix in (".f2e", ".e2f"):
        numbers = {(e.source, e.target): (e.p_target_given_source, e.p_source_given_target) for e in dictionary.entries}
        assert all(numbers[e.source, e.target] == (e.p_target_given_source, e.p_source_given_target) for e in again)
    else:
        assert {(e.source, e.target) for e in again} <= counts.keys()


MISTAKES = [
    ("d.xls", None, "The suffix of .*d.xls tells no format; use .tsv, .txt"),
    ("d.tsv", "moses-lex", "told apart by their suffix; name d.tsv.f2e"),
    ("there.tsv", None, "there.tsv exists already. Remove it"),
]


@pytest.mark.parametrize(("name", "format", "sentence"), MISTAKES)
def test_mistakes(tmp_path: Path, name: str, format: Format | None, sentence: str) -> None:
    (tmp_path / "there.tsv").write_text("here\tfirst\n")
    with pytest.raises(PrealignError, match=sentence):
        export(DICTIONARY, tmp_path / name, format)
    assert (tmp_path / "there.tsv").read_text() == "here\tfirst\n"


def test_nothing_left_is_told_and_writes_no_file(tmp_path: Path) -> None:
    phrases = Dictionary.from_pairs([("ice cream", "Speiseeis"), ("to go", "gehen")], "en", "de")
    with pytest.raises(PrealignError, match=r"Nothing to write to .*: left out 2 entries with a space in a word"):
        export(phrases, tmp_path / "d.txt")
    assert not (tmp_path / "d.txt").exists()

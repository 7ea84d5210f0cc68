"""Every format that can be read, and the sentence for every kind of faulty line."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.imports import languages_in_name, read_entries
from prealign.errors import PrealignError

HEADER = "source\ttarget\tcount\tp_target_given_source\tp_source_given_target\n"

FORMATS = [
    ("muse.txt", "bank Bank\nbank Ufer\n"),
    ("tabs.txt", "bank\tBank\nbank\tUfer\n"),
    ("more-columns.tsv", "bank\tBank\tn\nbank\tUfer\tn\n"),
    ("windows.tsv", "\ufeffbank\tBank\r\nbank\tUfer\r\n\r\n"),
    ("table.csv", 'bank,Bank\n"bank","Ufer",n\n'),
    ("named.csv", "Source,Target,remark\nbank,Bank,\nbank,Ufer,\n"),
    ("numbers.csv", HEADER.replace("\t", ",") + "bank,Bank,1,0.5,1\nbank,Ufer,1,0.5,1\n"),
    ("texts.jsonl", '{"src_text": "bank", "tgt_text": "Bank"}\n{"src_text": "bank", "tgt_text": "Ufer"}\n'),
    ("words.jsonl", '{"words": "bank $ Bank $ Ufer"}\n'),
    ("ours.tsv", HEADER + "bank\tBank\t1\t0.5\t1\nbank\tUfer\t1\t0.5\t1\n"),
]


@pytest.mark.parametrize(("name", "text"), FORMATS)
def test_formats_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    expected = Dictionary.from_pairs([("bank", "Bank"), ("bank", "Ufer")], "en", "de").entries
    assert Dictionary.read(path, "en", "de").entries == expected
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert Dictionary.read(packed, "en", "de").entries == expected


def test_words_of_several_parts_and_other_scripts(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("ice  cream\tмороженое\nbank\t银行\nbank\tبنك\n", encoding="utf-8")
    assert {(entry.source, entry.target) for entry in read_entries(path)} == {
        ("ice cream", "мороженое"),
        ("bank", "银行"),
        ("bank", "بنك"),
    }


FAULTS = [
    ("d.txt", "bank Bank\nice cream Eis\n", "line 2: 'ice cream Eis' holds 3 words; write source, tab, target"),
    ("d.tsv", "bank\tBank\n\tUfer\n", "line 2: an empty side"),
    ("d.csv", "bank,Bank\nbank\n", "line 2: 'bank' has no second column"),
    ("d.csv", 'bank,"Bank\n', "line 1: 'bank,\"Bank' is not CSV: "),
    ("d.jsonl", '{"words": "bank $ Bank"}\n{"words": "bank"}\n', "line 2: \"words\" holds no translation: 'bank'"),
    ("d.jsonl", '{"src_text": "bank"}\n', 'line 1: neither "src_text" and "tgt_text" nor "words" are strings in it'),
    ("d.jsonl", '{"src_text": "\\ud800", "tgt_text": "x"}\n', "line 1: half of a surrogate pair is escaped in it"),
    ("d.jsonl", '["bank"]\n', "line 1: not a JSON object"),
    ("d.jsonl", "bank\n", "line 1: not JSON: "),
    ("d.tsv", HEADER + "bank\tBank\t1\t0.5\n", "line 2: 4 columns instead of 5"),
    ("d.tsv", HEADER + "bank\tBank\tone\t0.5\t1\n", "line 2: 'one 0.5 1' is not a count and two probabilities"),
    (
        "d.tsv",
        HEADER + "bank\tBank\t1\t1.5\t1\n",
        "line 2: a count is 0 or more and a probability lies between 0 and 1",
    ),
    ("d.tsv", HEADER + "bank\tBank\t1\tnan\t1\n", "line 2: a count is 0 or more and a probability"),
    ("d.tsv", HEADER + "a\t \t1\t1\t1\n", "line 2: an empty side"),
    (
        "d.tsv",
        HEADER + "a\tb\t1\t1\t1\nc\td\t1\t1\t1\na\tb\t2\t1\t1\n",
        "line 4: the pair 'a', 'b' stands in the table",
    ),
    ("d.csv", HEADER.replace("\t", ",") + 'a,"b,1,1,1\n', "line 2: 'a,\"b,1,1,1' is not CSV"),
    ("d.tsv", HEADER + "a\tb\t1\t1\t1\n" * 2, "line 3: the pair 'a', 'b' stands in the table twice"),
    ("d.tsv", "", "has no entries: the file is empty"),
]


@pytest.mark.parametrize(("name", "text", "sentence"), FAULTS)
def test_faults_are_told_with_their_line(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(PrealignError, match=re.escape(sentence)) as caught:
        read_entries(path)
    assert str(path) in str(caught.value)


def test_many_faults_are_told_together_but_not_without_end(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("bank\tBank\n" + "bank\t\n" * 25)
    with pytest.raises(PrealignError) as caught:
        read_entries(path)
    assert str(caught.value).count("an empty side") == 10
    assert "and 15 more lines" in str(caught.value)


def test_escaped_text_is_composed_too(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"src_text": "cafe\\u0301", "tgt_text": "Cafe\\u0301\\nhaus"}\n')
    assert [(entry.source, entry.target) for entry in read_entries(path)] == [("café", "Café haus")]


LINES = st.lists(
    st.text(st.sampled_from('ab \t",$|{}[]:\\01.5é水ب\r\ufeff\u2028\x00'), max_size=12).map(str.encode)
    | st.binary(max_size=8)
    | st.sampled_from([HEADER.encode(), b"a\tb\t1\t1\t1", b'{"words": "a $ b"}', b"a b 0.5", b"a,b"]),
    max_size=5,
)


@pytest.mark.parametrize("suffix", [".tsv", ".txt", ".csv", ".jsonl", ".f2e", ".e2f", ".parquet", ".tsv.gz"])
@given(lines=LINES)
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / f"d{suffix}"
    path.write_bytes(b"\n".join(lines))
    entries, told = [], str(path)
    try:
        entries = read_entries(path, "en", "de")
    except PrealignError as error:
        told = str(error)
    assert str(path) in told
    assert all(entry.source and entry.target and entry.count >= 0 for entry in entries)


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("muse.test.en-de.tsv", ("en", "de")),
        ("en-sw.txt.gz", ("en", "sw")),
        ("en-en-x-clone.tsv", ("en", "en-x-clone")),
        ("entries.tsv", (None, None)),
        ("well-known.words", (None, None)),
    ],
)
def test_languages_in_names(name: str, languages: tuple[str | None, str | None]) -> None:
    assert languages_in_name(Path(name)) == languages


def test_the_gold_dictionaries_are_read(shared_data: Path) -> None:
    sizes = {path.name: len(Dictionary.read(path)) for path in sorted((shared_data / "dict").glob("*.tsv"))}
    assert sizes["xling.train5k.en-de.tsv"] == 5000
    assert len(sizes) == 18

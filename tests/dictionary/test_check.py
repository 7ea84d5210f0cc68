"""Every kind of thing that looks wrong with a dictionary, and dictionaries with nothing wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prealign.dictionary.check import check
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError

HEADER = "source\ttarget\tcount\tp_target_given_source\tp_source_given_target\n"
GOOD = "bank\tBank\t2\t0.666667\t1\nbank\tUfer\t1\t0.333333\t1\n"


def folder(path: Path, rows: str, **card: object) -> Path:
    path.mkdir(exist_ok=True)
    (path / "entries.tsv").write_text(HEADER + rows, encoding="utf-8")
    languages = {"source_language": "en", "target_language": "de", "licence": "CC0"}
    (path / "card.json").write_text(json.dumps(languages | card), encoding="utf-8")
    return path


def test_nothing_wrong(tmp_path: Path) -> None:
    assert check(folder(tmp_path / "d", GOOD)) == []
    dictionary = Dictionary.from_pairs([("ice cream", "мороженое"), ("tea", "чай")], "en", "ru")
    dictionary.card["licence"] = "CC0"
    dictionary.write(tmp_path / "written")
    assert check(tmp_path / "written") == []
    assert check(tmp_path / "written" / "entries.tsv") == []


ERRORS = [
    ("a\tb\t1\t1\t1\na\tb\t1\t1\t1\n", "1 lines cannot be read", "line 3: the pair 'a', 'b' stands in the table twice"),
    ("a\t\t1\t1\t1\n", "1 lines cannot be read", "line 2: an empty side"),
    ("a\tb\t1\t1.2\t1\n", "1 lines cannot be read", "line 2: a count is 0 or more and a probability lies"),
    ("a\tb\t1\t0.7\t1\na\tc\t1\t0.7\t1\n", "1 words whose p_target_given_source sums to more than 1", "a: 1.400"),
    ("a\tc\t1\t1\t0.6\nb\tc\t1\t1\t0.6\n", "1 words whose p_source_given_target sums to more than 1", "c: 1.200"),
    ("a\tb\x07c\t1\t1\t1\n", "1 entries with a control character or U+FFFD (100.0%)", "a | b\x07c"),
    ("a\tb\ufffd\t1\t1\t1\n", "1 entries with a control character or U+FFFD (100.0%)", "a | b\ufffd"),
]
REMARKS = [
    ("Tom\tTom\t1\t1\t1\na\tb\t1\t1\t1\n", "1 entries the same on both sides", "Tom | Tom"),
    ("tea\tчай\t1\t1\t1\n", "1 entries whose target is not in the script of de", "tea | чай"),
    ("水\tWasser\t1\t1\t1\n", "1 entries whose source is not in the script of en", "水 | Wasser"),
    ("cafe\u0301\tKaffee\t1\t1\t1\n", "1 lines that are not NFC; they are read as if they were", "line 2: cafe\u0301"),
    ("a\u200e\tb\t1\t1\t1\n", "1 entries with an invisible character", "a\u200e | b"),
    ("go\t(zu) gehen\t1\t1\t1\n", "1 entries with brackets", "go | (zu) gehen"),
    ("!\tb\t1\t1\t1\n", "1 entries with a side without letters", "! | b"),
    ("a\tb\t1\t0\t1\n", "1 entries with a probability of 0", "a | b"),
    ("a\tGroß\t1\t.5\t1\nA\tgross\t1\t1\t1\n", "1 entries the same as another one under case folding", "A | gross"),
]


@pytest.mark.parametrize(("rows", "what", "sample"), [*ERRORS, *REMARKS])
def test_each_finding(tmp_path: Path, rows: str, what: str, sample: str) -> None:
    findings = check(folder(tmp_path / "d", rows))
    assert len(findings) == 1
    assert findings[0].what.startswith(what)
    assert findings[0].samples[0].startswith(sample)
    assert findings[0].is_error == ((rows, what, sample) in ERRORS)


def test_persian_joiners_are_spelling(tmp_path: Path) -> None:
    assert check(folder(tmp_path / "d", "I go\tمی\u200cروم\t1\t1\t1\n", target_language="fa")) == []


def test_cards(tmp_path: Path) -> None:
    found = check(folder(tmp_path / "d", GOOD, licence="", target_language="", entries=1200))
    assert [(finding.what, finding.is_error) for finding in found] == [
        ("neither card nor file name nor flags tell target_language", True),
        ("the card says 1200 entries, the table has 2", True),
        ('no "licence" in the card', False),
    ]
    (tmp_path / "words.txt").write_text("bank Bank\n")
    found = check(tmp_path / "words.txt", "en", "de")
    assert [(finding.what, finding.is_error) for finding in found] == [
        ("no card: nothing tells where the entries come from", False)
    ]
    (tmp_path / "d" / "card.json").write_text("[]")
    with pytest.raises(PrealignError, match="holds no card: it should be a JSON object"):
        check(tmp_path / "d")


def test_a_dictionary_without_entries(tmp_path: Path) -> None:
    assert [(finding.what, finding.is_error) for finding in check(folder(tmp_path / "d", ""))] == [("no entries", True)]


def test_samples_are_few_and_errors_come_first(tmp_path: Path) -> None:
    rows = "".join(f"name{c}\tname{c}\t1\t1\t1\n" for c in "abcdefgh") + "a\tb\t1\t7\t1\n"
    findings = check(folder(tmp_path / "d", rows))
    assert [finding.is_error for finding in findings] == [True, False]
    assert len(findings[1].samples) == 5
    assert findings[1].what == "8 entries the same on both sides, where switching does nothing (100.0%)"

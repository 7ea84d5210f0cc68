"""What compiling says about a table (entries kept and dropped, self-test) and how coverage counts."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from prealign.codeswitch.coverage import coverage
from prealign.codeswitch.groups import group
from prealign.codeswitch.report import CompileReport
from prealign.codeswitch.self_test import check
from prealign.codeswitch.table import CodeSwitchTable
from prealign.corpora.drops import Drops
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError


def compiled(tokenizer: Any, language: str = "en", **entries: str) -> CodeSwitchTable:
    """A table of entries given as keywords; an underscore is a space."""
    pairs = [(source.replace("_", " "), target) for source, target in entries.items()]
    return CodeSwitchTable.compile([Dictionary.from_pairs(pairs, language, "x-other")], tokenizer)


def test_entries_are_dropped_by_reason(zoo: dict[str, Any]) -> None:
    pairs = [
        ("house", "Haus"), ("dog", "Dog"), ("book", "Buch " * 30), ("cat", "ᚠᚢᚦ"), ("ᚠᚢᚦ", "Katze"),
        ("the " * 29 + "end", "Ende"), ("42", "zwei"), ("v2", "vau"), ("the", "der"), ("and", "und"),
    ]  # fmt: skip
    table = CodeSwitchTable.compile([Dictionary.from_pairs(pairs, "en", "de")], zoo["wordpiece"])
    assert table.report.drops.counts == {
        "target equals source": 1,
        "translation is too long": 1,
        "translation has characters unknown to the tokenizer": 1,
        "source has characters unknown to the tokenizer": 1,
        "source is too long": 1,
        "source has no letter": 1,
        "source has digits or code characters": 1,
    }
    assert table.report.sources == 3
    assert table.report.translations == {"de": 3}


@pytest.mark.parametrize(
    ("found", "outcome"),
    [(950, None), (949, "lets only part of the words be matched"), (500, "lets only part"), (499, PrealignError)],
)  # fmt: skip
def test_thresholds_of_the_self_test(found: int, outcome: Any, caplog: pytest.LogCaptureFixture) -> None:
    report = CompileReport(tokenizer="gluey", self_test={"{} is": (found, 1000)})
    if outcome is PrealignError:
        with pytest.raises(PrealignError, match=r"Only 49\.9% of the dictionary's words .* the tokenizer\s+gluey"):
            check(report)
        return
    with caplog.at_level(logging.WARNING):
        check(report)
    assert [record.levelname for record in caplog.records] == ([] if outcome is None else ["WARNING"])
    assert outcome is None or (outcome in caplog.text and "gluey" in caplog.text)


@pytest.mark.parametrize("name", ["byte-level", "unigram", "wordpiece", "clone"])
def test_self_test_finds_every_word_that_stands_apart(name: str, zoo: dict[str, Any]) -> None:
    table = compiled(zoo[name], house="Haus", water="Wasser", big_city="Stadt")
    assert table.report.match_rate == 1.0
    assert set(table.report.self_test) >= {"{} is", "it {}.", 'e "{}" e', "so-{} I"}


def test_contractions_are_blocked_unless_they_are_entries() -> None:
    def blocked(language: str, *sources: str) -> set[str]:
        pairs = [(source, "x") for source in sources]
        return set(group([Dictionary.from_pairs(pairs, language, "de")], None, Drops()).blocked)

    assert {"can't", "Can't", "CAN'T", "can’t", "Can’t", "CAN’T", "won't"} <= blocked("en", "can")
    assert blocked("en-GB", "can") == blocked("en", "can")
    assert not {form for form in blocked("en", "can", "can't") if form.lower().startswith("can")}
    assert "can’t" not in blocked("en", "can't")
    assert "won't" in blocked("en", "can't")
    assert blocked("de", "dann") == set()


@pytest.mark.parametrize("name", ["byte-level", "unigram", "wordpiece", "wordpiece-uncased", "clone"])
def test_coverage_of_entries_of_several_words(name: str, zoo: dict[str, Any]) -> None:
    """An entry of two words covers both of them, and only together."""
    table = compiled(zoo[name], big_city="Stadt", dog="Hund")
    found = coverage(table, zoo[name], ["The dog in the big city, a big dog.", "A city."])
    assert found.running_words == 11
    assert found.covered == 4  # dog, big, city, dog
    assert dict(found.missing) == {"the": 2, "a": 2, "in": 1}  # big and city are covered once


@pytest.mark.parametrize("name", ["unigram", "wordpiece"])
def test_coverage_of_chinese(name: str, zoo: dict[str, Any]) -> None:
    table = CodeSwitchTable.compile(
        [Dictionary.from_pairs([("中国", "China"), ("水", "water")], "zh", "en")], zoo[name]
    )
    found = coverage(table, zoo[name], ["我爱中国。水,狗喝水。"])
    assert found.running_words == 6  # 我 爱 中国 水 狗 喝水: of the last one only a half is an entry
    assert found.covered == 2
    assert {word for word, _ in found.missing} == {"我", "爱", "狗", "喝水"}


def test_coverage_counts_a_glued_word_as_missed(zoo: dict[str, Any]) -> None:
    """A word is covered where it can be switched: this tokenizer writes `дом.` at the end of a text in other tokens."""
    table = compiled(zoo["metaspace-bpe"], "ru", дом="house")
    assert coverage(table, zoo["metaspace-bpe"], ["дом стоит, дом"]).covered == 2
    assert coverage(table, zoo["metaspace-bpe"], ["Вода дом."]).covered == 0


def test_bands_of_frequency(zoo: dict[str, Any]) -> None:
    """The 100 most frequent words make a band of their own; within it dog is most of the text."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    rare = [f"q{one}{two}q" for one in letters for two in letters][:150]
    table = compiled(zoo["byte-level"], dog="Hund", **{rare[-1]: "selten"})
    found = coverage(table, zoo["byte-level"], ["dog " * 50 + "cat " * 2 + " ".join(rare)])
    assert found.running_words == 202
    assert list(found.by_band) == ["1-100", "101-152"]
    assert found.by_band["1-100"] == pytest.approx(50 / 150)
    assert found.by_band["101-152"] == pytest.approx(1 / 52)
    assert found.missing[0] == ("cat", 2)
    assert "covers 25.2% of 202 running words" in str(found)

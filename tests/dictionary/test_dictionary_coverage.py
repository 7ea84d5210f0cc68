"""Which running words a dictionary covers, in several scripts."""

from __future__ import annotations

import pytest

from prealign.dictionary.coverage import Coverage, coverage
from prealign.dictionary.dictionary import Dictionary


@pytest.mark.parametrize(
    ("language", "sources", "text", "covered", "running"),
    [
        ("en", ["the", "House"], "The house. THE HOUSE stands, 1999!", 4, 5),  # case does not count, numbers neither
        ("en", ["ice cream"], "Ice cream is not ice, nor cream.", 2, 7),
        ("en", ["new york", "york city"], "New York City", 3, 3),  # entries may overlap
        ("en", ["new york city"], "New York is in New York State.", 0, 7),
        ("en", ["e-mail"], "An e-mail and an e mail", 4, 7),
        ("de", ["straße"], "STRASSE und Strasse", 2, 3),
        ("tr", ["ılık"], "ILIK ılık ilik", 2, 3),
        ("ru", ["вода"], "Вода воды", 1, 2),
        ("ar", ["ماء"], "ماء و ماء", 2, 3),
        ("zh", ["水", "银行"], "水和银行。", 2, 3),
        ("zh", ["水"], "喝水", 0, 1),  # one word
        ("th", ["น้ำ"], "ดื่มน้ำ", 1, 2),
        ("en", ["..."], "nothing here ...", 0, 2),
    ],
)
def test_words_that_are_covered(language: str, sources: list[str], text: str, covered: int, running: int) -> None:
    dictionary = Dictionary.from_pairs([(source, "x") for source in sources], language, "mul")
    found = coverage(dictionary, [text])
    assert (found.covered, found.running_words) == (covered, running)


def test_summary_by_frequency() -> None:
    dictionary = Dictionary.from_pairs([("often", "oft")], "en", "de")
    rare = [f"rare{letter}{other}" for letter in "abcdefghijklmn" for other in "abcdefghij"]
    found = coverage(dictionary, ["often " * 60, "seldom " * 20, " ".join(rare)])
    assert found.by_band == {"1-100": 60 / (80 + 98), "101-142": 0.0}
    assert found.missing[0] == ("seldom", 20)
    assert len(found.missing) == 20
    assert str(found).startswith("covers 27.3% of 220 running words (34% of words 1-100, 0% of words 101-142); top")
    assert found.as_dict()["share"] == 0.2727


def test_no_text_is_not_covered() -> None:
    assert coverage(Dictionary.from_pairs([("a", "b")], "en", "de"), []) == Coverage(0, 0, {}, [])

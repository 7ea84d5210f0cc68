"""Counts of linked words: parts on disk add up to what the whole counts in memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prealign.dictionary.counts import CountFolder, LinkCounts, forms_in, linked_in, spellings

WORDS = ["haus", "straße", "東京", "don't", 'a"b', "Δ", "über", "z"]
LINKS = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), max_size=30)
FORMS = st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3))


def part_of(links: list[tuple[str, str]], forms: dict[str, int]) -> LinkCounts:
    counted = Counter(links)
    sources, targets = (
        ({word: number for number, word in enumerate(dict.fromkeys(side))} for side in zip(*links))
        if (links)
        else ({}, {})
    )
    return LinkCounts(
        list(sources),
        list(targets),
        np.array([sources[source] for source, _ in counted], dtype=np.int64),
        np.array([targets[target] for _, target in counted], dtype=np.int64),
        np.array(list(counted.values()), dtype=np.float64),
        forms,
        forms,
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.tuples(LINKS, FORMS), min_size=1, max_size=4), n_folders=st.integers(1, 2))
def test_parts_add_up_to_the_whole(
    parts: list[tuple[list[tuple[str, str]], dict[str, int]]], n_folders: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("it's [one] *")
    folders = [base / str(number) for number in range(n_folders)]
    for folder in folders:
        folder.mkdir()
    for number, (links, forms) in enumerate(parts):
        CountFolder(folders[number % n_folders]).add(part_of(links, forms))
    used = folders[: len(parts)]
    together: Counter[str] = Counter()
    for _, forms in parts:
        together.update(forms)
    whole = part_of([link for links, _ in parts for link in links], dict(together))
    assert list(linked_in(used)) == list(whole.linked())
    assert forms_in(used, "source") == {form: together[form] for _, forms in parts for form in forms}


def test_word_pairs_come_by_source_word_and_count() -> None:
    links = [("see", "Meer"), ("see", "See"), ("see", "See"), ("am", "bin"), ("lake", "See")]
    rows = [(row.source, row.target, row.links, row.of_source, row.of_target) for row in part_of(links, {}).linked()]
    assert rows == [
        ("am", "bin", 1, 1, 1),
        ("lake", "See", 1, 1, 3),
        ("see", "See", 2, 3, 3),
        ("see", "Meer", 1, 3, 1),
    ]


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ({"Haus": 3, "haus": 1, "HAUS": 1}, {"haus": "Haus"}),
        ({"The": 0, "the": 9}, {"the": "the"}),
        ({"Gestern": 0}, {"gestern": "gestern"}),
        ({"Rand": 1, "rand": 1}, {"rand": "Rand"}),
        ({"Straße": 1, "STRASSE": 0}, {"strasse": "Straße"}),
        ({"geht's": 1, "geht’s": 2}, {"geht's": "geht’s"}),
        ({"Spül\u00adbecken": 2, "Spülbecken": 1}, {"spülbecken": "Spülbecken"}),
        ({"東京": 2, "ＡＢ": 0}, {"東京": "東京", "ａｂ": "ａｂ"}),
    ],
)
def test_spelling(forms: dict[str, int], expected: dict[str, str]) -> None:
    assert spellings(forms, "de") == expected


def test_a_folder_without_parts_is_empty(tmp_path: Path) -> None:
    CountFolder(tmp_path).add(part_of([], {}))
    assert list(linked_in([tmp_path])) == []
    assert forms_in([tmp_path], "target") == {}

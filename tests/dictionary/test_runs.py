"""Runs of words tied to one word: found in links, counted, spelt, and the same in parts as in the whole."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.alignment.links import parse_pharaoh
from prealign.alignment.parallel_words import gather_links
from prealign.config.dictionary import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import LinkLine, SentencePair
from prealign.corpora.words import Segmenter
from prealign.dictionary import induce
from prealign.dictionary.counts import LinkCounts
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.linked_text import count_text
from prealign.dictionary.runs import BREAK, NOTHING, SPACE, one_to_one, tied


def runs_of(links: str, joins: list[int]) -> list[tuple[int, int, int]]:
    """(start, length, word) of the source runs tied to a word of the other sentence."""
    of_pair = parse_pharaoh(links)
    found = tied(of_pair[:, 0].astype(np.int64), of_pair[:, 1].astype(np.int64), np.array(joins, dtype=np.uint8))
    return list(zip(*(column.tolist() for column in found)))


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("0-0 1-0 2-1", [(0, 2, 0)]),  # no one came | niemand kam
        ("0-1 1-1 2-1 3-0", [(0, 3, 1)]),  # as long as possible
        ("0-0 1-0 2-0 3-0", []),  # four words are too many
        ("0-0 2-0 1-1", []),  # takes it off: not side by side
        ("0-0 1-0 1-1", []),  # a word of the run is linked elsewhere
        ("0-0 1-1 2-2", []),  # one to one
        ("0-0 1-0 2-1 3-1", [(0, 2, 0), (2, 2, 1)]),
        ("", []),
    ],
)
def test_runs_are_tied_by_all_their_links(links: str, expected: list[tuple[int, int, int]]) -> None:
    assert runs_of(links, [BREAK, SPACE, SPACE, NOTHING]) == expected


def test_a_run_does_not_go_over_punctuation_or_into_another_sentence() -> None:
    assert runs_of("0-0 1-0", [BREAK, BREAK]) == []
    assert runs_of("1-0 2-0", [BREAK, SPACE, BREAK]) == []
    assert runs_of("1-0 2-0", [BREAK, BREAK, NOTHING]) == [(1, 2, 0)]


LINKS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12, unique=True)


@given(links=LINKS)
@settings(max_examples=200, deadline=None)
def test_what_is_tied_is_what_the_definition_says(links: list[tuple[int, int]]) -> None:
    """Against every run of every length, word for word."""
    expected = set()
    for start, length, word in product(range(6), (2, 3), range(6)):
        run = set(range(start, start + length))
        if {i for i, j in links if j == word} == run and all({j for i, j in links if i == x} == {word} for x in run):
            expected.add((start, length, word))
    text = " ".join(f"{i}-{j}" for i, j in links)
    assert set(runs_of(text, [BREAK, *[SPACE] * 5])) == expected
    found = gather_links([np.array(sorted(links), dtype=np.int32).reshape(-1, 2)]).links
    alone = one_to_one((found[:, 0].astype(np.int64), found[:, 1].astype(np.int64)))
    for (i, j), single in zip(sorted(links), alone.tolist()):
        assert single == (sum(i == x for x, _ in links) == 1 and sum(j == y for _, y in links) == 1)


def linked(source: str, target: str, links: str, times: int = 1, weight: float = 1.0) -> list[SentencePair]:
    return [SentencePair(source, target, weight, LinkLine(links, Path("links"), 1))] * times


TEXT = [
    *linked("No one sees South Africa.", "Niemand sieht Südafrika.", "0-0 1-0 2-1 3-2 4-2", 3),
    *linked("Today no one came", "Heute kam niemand", "0-0 1-2 2-2 3-1", 2),
    *linked("there is no one, none", "da ist niemand nicht", "0-0 1-1", 5),
    *linked("nobody came", "niemand kam", "0-0 1-1", 5, weight=2.0),
    *linked("potatoes, I say", "Pommes de terre dis je", "0-0 0-1 0-2 1-4 2-3", 2),
]


def entries(dictionary: Dictionary) -> dict[tuple[str, str], tuple[int, float, float]]:
    return {
        (e.source, e.target): (e.count, e.p_target_given_source, e.p_source_given_target) for e in dictionary.entries
    }


def settings_of(**more: object) -> DictionarySettings:
    return DictionarySettings.model_validate({"aligner": "links", "multi_word": True, **more})


def test_runs_become_entries_with_shares_of_all_their_occurrences() -> None:
    made = entries(induce.induce(TEXT, "en", "de", settings_of(), 1, Drops()))
    assert made["no one", "niemand"] == (5, 0.5, pytest.approx(1 / 3, abs=1e-5))  # 5 of 10 runs, of 5 + 10 links
    assert made["nobody", "niemand"] == (10, 1.0, pytest.approx(2 / 3, abs=1e-5))
    assert made["South Africa", "Südafrika"] == (3, 1.0, 1.0)
    assert made["potatoes", "pommes de terre"] == (2, 1.0, 1.0)  # met only where sentences open
    assert not {("no", "niemand"), ("one", "niemand"), ("south", "Südafrika")} & made.keys()
    single = entries(induce.induce(TEXT, "en", "de", settings_of(multi_word=False), 1, Drops()))
    assert not [pair for pair in single if " " in "".join(pair)]


def test_links_that_tie_nothing_are_counted(tmp_path: Path) -> None:
    """the | das Haus, of Rome | Roms: neither one to one, nor a run on one side and a word on the other."""
    text = [
        *linked("see the house of Rome", "sieh das Haus Roms", "0-0 1-1 1-2 2-2 3-3 4-3", 2),
        *linked("a cat", "die Katze", "1-1 0-1 0-0", 1),
    ]
    drops = Drops()
    dictionary = induce.induce(text, "en", "de", settings_of(), 1, drops)
    assert drops.counts["links that tie neither two words nor a run of words"] == 2 * 3 + 3
    assert drops.samples["links that tie neither two words nor a run of words"] == [
        *["the | das", "the | haus", "house | haus"],
        *["the | das", "the | haus"],
    ]
    assert dictionary.card["links"] == 2 * 6 + 3
    assert entries(dictionary)["of Rome", "Roms"] == (2, 1.0, 1.0)
    in_chunks = Drops()
    both = Segmenter("en"), Segmenter("de")
    induce.count_in_chunks(text, both, settings_of(), induce.open_aligner(settings_of()), tmp_path, in_chunks, {})
    assert in_chunks.as_dict().items() <= drops.as_dict().items()
    induce.induce(text, "en", "de", settings_of(multi_word=False), 1, single := Drops())
    assert "links that tie neither two words nor a run of words" not in single.counts


def test_a_run_met_only_where_sentences_open_is_spelt_as_inside() -> None:
    made = entries(
        induce.induce(linked("Goodbye, Tom", "Guten Tag Tom", "0-0 0-1", 4), "en", "de", settings_of(), 1, Drops())
    )
    assert made.keys() == {("goodbye", "guten Tag")}
    inside = linked("In South Africa", "in Südafrika", "0-0 1-1 2-1", 1)
    opening = linked("South Africa wins", "Südafrika gewinnt", "0-0 1-0 2-1", 3)
    made = entries(induce.induce([*inside, *opening], "en", "de", settings_of(), 1, Drops()))
    assert ("South Africa", "Südafrika") in made


def test_only_a_part_of_a_corpus_counts_runs_that_it_ties_nowhere() -> None:
    found: list[LinkCounts] = []
    for whole in (True, False):
        aligner, both = induce.open_aligner(settings_of()), (Segmenter("en"), Segmenter("de"))
        found.append(count_text(TEXT, both, aligner, settings_of(), Drops(), whole=whole)[0])
    all_there, part = (set(counts.source_types) for counts in found)
    assert {run for run in all_there if " " in run} == {"no one", "south africa"}
    assert {"there is", "is no one", "today no", "sees south"} <= part
    assert list(found[0].linked()) == list(found[1].linked())


def test_words_without_a_space_between_them_are_joined_without_one() -> None:
    text = [
        *linked("l'été arrive", "summer comes", "0-0 1-1", 2),
        *linked("Tom a mangé", "汤姆 吃了", "0-0 2-1", 2),
    ]
    french = entries(induce.induce(text[:2], "fr", "en", settings_of(), 1, Drops()))
    assert french["l'été", "summer"] == (2, 1.0, 1.0)
    assert Segmenter("zh").words("汤姆 吃了") == ["汤姆", "吃", "了"]
    made = entries(induce.induce(text[2:], "fr", "zh", settings_of(), 1, Drops()))
    assert made["mangé", "吃了"] == (2, 1.0, 1.0)


def test_chunks_count_what_the_whole_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = entries(induce.induce(TEXT, "en", "de", settings_of(), 1, Drops()))
    monkeypatch.setattr(induce, "PAIRS_PER_CHUNK", 4)
    both = Segmenter("en"), Segmenter("de")
    aligner = induce.open_aligner(settings_of())
    induce.count_in_chunks(TEXT, both, settings_of(), aligner, tmp_path, Drops(), {})
    assert entries(induce.from_counts([tmp_path], "en", "de", settings_of(), Drops())) == whole


def test_runs_want_links_of_several_words_to_one() -> None:
    with pytest.raises(ValueError, match="`symmetrisation` intersect has none; set it to grow-diag"):
        DictionarySettings(multi_word=True)

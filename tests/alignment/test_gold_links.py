"""Gold links in files of two forms, and scores of tables small enough to check by hand."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prealign.alignment.gold_links import agreement, read_gold, read_links, score_links
from prealign.errors import PrealignError


def array(*links: tuple[int, int]) -> NDArray[np.int32]:
    return np.array(links, dtype=np.int32).reshape(-1, 2)


def lists(links: list[NDArray[np.int32]]) -> list[list[list[int]]]:
    return [of_pair.tolist() for of_pair in links]


def written(folder: Path, text: str) -> Path:
    path = folder / "gold"
    path.write_text(text, encoding="utf-8")
    return path


def test_alignment_error_rate_by_hand() -> None:
    links = [array((0, 0), (1, 1), (2, 2)), array((0, 0))]
    sure = [array((0, 0), (1, 2)), array((0, 0))]
    possible = [array((1, 1)), array()]
    # Sentence 1: A = 3, S = 2, A&S = 1, A&P = 2. Sentence 2: A = 1, S = 1, both hit.
    assert agreement(links, sure, possible).tolist() == [[3, 2, 1, 2], [1, 1, 1, 1]]
    score = score_links(links, sure, possible)
    assert score.precision == pytest.approx(3 / 4)
    assert score.recall == pytest.approx(2 / 3)
    assert score.f1 == pytest.approx(12 / 17)
    assert score.alignment_error_rate == pytest.approx(1 - (2 + 3) / (4 + 3))
    assert score_links(links, sure).precision == pytest.approx(2 / 4)
    assert score_links(sure, sure).alignment_error_rate == 0.0


def test_links_repeated_or_both_sure_and_possible_count_once() -> None:
    assert agreement([array((0, 0), (0, 0))], [array((0, 0))], [array((0, 0), (1, 0))]).tolist() == [[1, 1, 1, 1]]


def test_no_links_found_is_an_error_rate_of_one() -> None:
    score = score_links([array()], [array((0, 0))])
    assert (score.precision, score.recall, score.f1, score.alignment_error_rate) == (0.0, 0.0, 0.0, 1.0)


def test_without_possible_links_the_error_rate_is_one_minus_f1() -> None:
    """With S = P, 1 - 2|A & S| / (|A| + |S|) is one minus the harmonic mean (Fraser and Marcu 2007)."""
    draw = random.Random(1)
    every = [(i, j) for i in range(5) for j in range(5)]
    for _ in range(20):
        links, sure = (
            [array(*draw.sample(every, draw.randint(1, 12))) for _ in range(4)] for _ in range(2)
        )  # four sentence pairs
        score = score_links(links, sure)
        assert score.alignment_error_rate == pytest.approx(1 - score.f1)


def test_gold_without_links_is_refused() -> None:
    with pytest.raises(PrealignError, match="no sure link"):
        score_links([array((0, 0))], [array()])


def test_tabs_with_possible_links(tmp_path: Path) -> None:
    gold = read_gold(written(tmp_path, "the house\tla maison\t0-0 1-1\t-\nhear !\tбраво\t-\t0-0 1-0\n"))
    assert lists(gold.sure) == [[[0, 0], [1, 1]], []]
    assert lists(gold.possible) == [[], [[0, 0], [1, 0]]]
    assert gold.words == [(["the", "house"], ["la", "maison"]), (["hear", "!"], ["браво"])]


def test_a_space_that_does_not_break_is_part_of_a_word(tmp_path: Path) -> None:
    gold = read_gold(written(tmp_path, "10 000 francs\t10\u00a0000 francs\t0-0 1-0 2-1\n"))
    assert gold.words == [(["10", "000", "francs"], ["10\u00a0000", "francs"])]


def test_pharaoh_with_both_marks_of_possible_links(tmp_path: Path) -> None:
    gold = read_gold(written(tmp_path, "0-0 1?2\n\n3p4 2-2\n"))
    assert lists(gold.sure) == [[[0, 0]], [], [[2, 2]]]
    assert lists(gold.possible) == [[[1, 2]], [], [[3, 4]]]
    assert gold.words is None


def test_words_counted_from_one(tmp_path: Path) -> None:
    path = written(tmp_path, "the house\tla maison\t1-1 2-2\n")
    assert lists(read_gold(path, first=1).sure) == [[[0, 0], [1, 1]]]
    with pytest.raises(PrealignError, match=r"gold, line 1: .* source word 2, but .* 2 words, .* count from 0"):
        read_gold(path)
    with pytest.raises(PrealignError, match="names word 0, but words are said to count from 1"):
        read_gold(written(tmp_path, "0-0\n"), first=1)


def test_a_file_that_never_names_word_0_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_gold(written(tmp_path, "1-1 2-2\n1?2\n"))
    assert "no link names a word 0" in caplog.text
    caplog.clear()
    read_gold(written(tmp_path, "1-1 2-2\n0?2\n"))
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\tb\n", "line 1 has 2 columns; gold links have three or four"),
        ("a\tb\t0-0\n0-0\n", "line 2: some lines have tabs"),
        ("0-0\na\tb\t0-0\n", "line 2: some lines have tabs"),
        ("0-0 1:1\n", "line 1: '1:1' is not a link"),
        ("", "is empty"),
    ],
)
def test_other_forms_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PrealignError, match=told):
        read_gold(written(tmp_path, text))


def test_links_of_the_gold_sentences(tmp_path: Path) -> None:
    gold = read_gold(written(tmp_path, "the house\tla maison\t0-0 1-1\nno\tnon\t0-0\n"))
    links = tmp_path / "links"
    links.write_text("1-1\n\n")
    assert lists(read_links(links, gold)) == [[[1, 1]], []]
    links.write_text("2-2\n1-1\n")
    assert lists(read_links(links, gold, first=1)) == [[[1, 1]], [[0, 0]]]
    with pytest.raises(PrealignError, match=r"links, line 1: a link names source word 2, but the sentence has 2 words"):
        read_links(links, gold)
    links.write_text("0-0\n")
    with pytest.raises(PrealignError, match="has 1 lines and the gold links 2"):
        read_links(links, gold)


def test_gold_sets_have_the_sizes_they_are_known_by(shared_data: Path) -> None:
    """Hansards: 447 sentences, 4,038 sure and 17,438 sure or possible links (Och and Ney 2003)."""
    gold = read_gold(shared_data / "align" / "hansards.test.en-fr.tsv")
    n_sure, n_possible = (sum(map(len, links)) for links in (gold.sure, gold.possible))
    assert (len(gold.sure), n_sure, n_sure + n_possible) == (447, 4038, 17438)

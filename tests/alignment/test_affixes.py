"""Word classes by first and last letters, in several scripts."""

from __future__ import annotations

import pytest

from prealign.alignment.affixes import Classes, beginning, ending


@pytest.mark.parametrize(
    ("word", "first", "last"),
    [
        ("taken", "take", "aken"),
        ("an", "an", "an"),
        ("детьми", "деть", "тьми"),
        ("大学生", "大", "生"),
        ("卡拉ok", "卡", "卡拉ok"),
        ("3d打印", "3d打印", "印"),
        ("والكتاب", "والك", "كتاب"),
        (",", ",", ","),
    ],
)
def test_affixes(word: str, first: str, last: str) -> None:
    assert (beginning(word), ending(word)) == (first, last)


def test_classes_are_numbered_over_both_languages() -> None:
    classes = Classes.of(beginning, ["parliament", "take", "takes"], ["parlement", "parlent", "prend", "take"])
    assert classes.source.tolist() == [0, 1, 1]
    assert classes.target.tolist() == [0, 0, 2, 1]

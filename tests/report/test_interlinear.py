"""Words over words: small cases checked by eye, in several scripts."""

from __future__ import annotations

import pytest

from prealign.report.interlinear import Cell, aligned, clipped, clipped_left, interlinear, isolated, printable, width


def plain(text: str, colour: str | None) -> str:
    return text


def painted(text: str, colour: str | None) -> str:
    return f"<{colour or 'quiet'}:{text}>"


@pytest.mark.parametrize(
    ("text", "columns"),
    [("house", 5), ("房子", 4), ("cafe\u0301", 4), ("घर", 2), ("😀", 2), ("\u2068بيت\u2069", 3), ("ｗ", 2)],
)
def test_width(text, columns):
    assert width(text) == columns


@pytest.mark.parametrize(
    ("cells", "columns", "lines"),
    [
        (
            [Cell("", "The"), Cell("house", " Haus", "de"), Cell("", " by"), Cell("river", " 河", "zh"), Cell("", ".")],
            80,
            [
                "    house    river",
                "The Haus  by 河   .",
            ],
        ),
        (  # a translation longer than its word pushes what follows
            [Cell("", "the"), Cell("city", " große Stadt", "de"), Cell("", " of")],
            80,
            [
                "    city",
                "the große Stadt of",
            ],
        ),
        (  # lines break at words; an upper line without words is left out
            [Cell("", "one two three"), Cell("four", " vier", "de"), Cell("", " five six")],
            10,
            [
                "one two",
                "      four",
                "three vier",
                "five six",
            ],
        ),
        (  # no spaces: broken between characters, neighbouring words kept apart
            [Cell("", "老人在"), Cell("房子", "house", "en"), Cell("里", "in", "en"), Cell("", "读一本书")],
            12,
            [
                "      房子",
                "老人在house",
                "里",
                "in读一本书",
            ],
        ),
        (  # a right-to-left word stands in an isolate and takes its own columns only
            [Cell("", "the"), Cell("water", " ماء", "ar"), Cell("", " is")],
            80,
            [
                "    water",
                "the \u2068ماء\u2069   is",
            ],
        ),
    ],
)  # fmt: skip
def test_lines(cells, columns, lines):
    assert interlinear(cells, columns, plain) == lines
    assert all(width(line) <= columns for line in lines)


def test_colours_take_no_columns():
    assert interlinear([Cell("", "a"), Cell("dog", " Hund", "de"), Cell("", " is")], 80, painted) == [
        "  <quiet:dog>",
        "a <de:Hund> is",
    ]


def test_a_space_that_stands_alone_is_one_space():
    cells = [Cell("", "in "), Cell("water", "水", "zh"), Cell("", " "), Cell("house", "房", "zh")]
    assert interlinear(cells, 80, plain)[1] == "in 水    房"


def test_texts_are_clipped_at_a_space_where_one_is_near():
    assert clipped("the house stands", 11) == "the house"
    assert clipped("the house", 11) == "the house"
    assert clipped("unbelievable", 5) == "unbel"
    assert clipped("我爱中国", 5) == "我爱"
    assert clipped_left("the house stands", 13).strip() == "house stands"
    assert clipped_left("我爱中国", 5) == "中国"
    assert clipped_left("xxe\u0301yy", 2) == "yy"


def test_control_characters_cannot_steer_the_terminal():
    assert printable("one\r\n two\tthree\x1b[31m\x9b") == "one ↵ two three\ufffd[31m\ufffd"


def test_only_right_to_left_words_are_isolated():
    assert isolated("Haus") == "Haus"
    assert isolated("בית") == "\u2068בית\u2069"


def test_columns_that_do_not_fit_follow_below():
    rows = [["input", "▁the", "房子", "x"], ["id", "12", "345", "6"]]
    assert aligned(rows) == ["input  ▁the  房子  x", "id     12    345   6"]
    assert aligned(rows, 17) == ["input  ▁the  房子", "id     12    345", "input  x", "id     6"]

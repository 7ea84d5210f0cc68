"""How tables line up and how numbers are written."""

from __future__ import annotations

import io

import pytest

from prealign.evaluation.table import BLOCK_WIDTH, Table, number, p_text, percent, signed, tokens, wants_colour


def test_wide_tables_go_on_underneath():
    header = [("arm", ""), *(("bits/byte", f"x{i}") for i in range(6)), *(("accuracy", f"y{i}") for i in range(4))]
    table = Table(header, [["joint", *["2.575 ± 0.014"] * 10]], ["A note."])
    assert table.blocks() == [[0, 1, 2, 3, 4, 5, 6], [0, 7, 8, 9, 10]]  # one measure is not torn apart
    lines = table.text().splitlines()
    assert [line.split()[0] for line in lines if line[:1].isalpha()] == ["arm", "joint", "arm", "joint", "A"]
    assert max(map(len, lines)) <= BLOCK_WIDTH
    assert table.markdown().count("| --- |") == 2


def test_one_measure_wider_than_the_terminal_is_torn():
    table = Table(
        [("arm", ""), *(("accuracy", f"language {i}") for i in range(12))], [["joint", *["25.5 ± 3.3 %"] * 12]], []
    )
    assert [len(block) for block in table.blocks()] == [8, 6]
    assert [i for block in table.blocks() for i in block[1:]] == list(range(1, 13))


def test_two_columns_may_name_the_row():
    table = Table([("measure", ""), ("arm", ""), ("p", "")], [["bits", "a", "1"], ["P@1", "longer", "10"]], [], lead=2)
    assert table.text().splitlines()[2:] == ["bits      a         1", "P@1       longer   10"]
    assert "| --- | --- | ---: |" in table.markdown()


def test_colour_only_on_request():
    table = Table([("arm", ""), ("x", "")], [["joint", "1"]], [])
    assert "\033" not in table.text()
    assert table.text(colour=True).startswith("\033[1marm ")


def test_colour_is_for_terminals_without_no_color(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(terminal)
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(terminal)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.0 %"), (0.0024, "0.24 %"), (0.0099, "0.99 %"), (0.4859, "48.6 %"), (1.0, "100.0 %")],
)
def test_percent(value, text):
    assert percent(value).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (950, "950"), (11_430, "11.4k"), (2_457_600, "2.46M"), (1.5e9, "1.5B")]
)
def test_tokens(value, text):
    assert tokens(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.0, "0.000"), (-0.0004, "0.000"), (0.0004, "0.000"), (-0.0006, "−0.001"), (0.0006, "+0.001")],
)
def test_signs(value, text):
    assert signed(value, 3) == text


def test_zero_has_no_sign():
    assert number(-0.0001, 3) == "0.000"


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (1.0, "1.000"), (0.0123, "0.012"), (0.0009, "<0.001")])
def test_p_values(value, text):
    assert p_text(value) == text

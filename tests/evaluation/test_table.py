"""The comparison table: what it says and how it lines up."""

from __future__ import annotations

import io

import pytest

from prealign.evaluation.table import comparison_table, percent, tokens, wants_colour


def arm(en: float, clone: float, p_at_1: float, init: int = 614_400) -> dict:
    summary = {"p_at_1": p_at_1, "chance": 0.0025, "n_source": 400, "n_target": 410}
    return {
        "bits_per_byte": {"en": {"value": en}, "en-x-clone": {"value": clone}},
        "word_retrieval": {"en--en-x-clone": {"held_out": {"summary": summary}, "trained": {"summary": summary}}},
        "lm_tokens": {"init": init, "pretrain": 2_457_600},
    }


TWO = {"joint": arm(1.5624, 2.6391, 0.0031), "prealign": arm(1.5581, 2.531, 0.4859)}


def test_text():
    lines = comparison_table(TWO).text().replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert lines[:5] == [
        "arm        bits/byte    bits/byte    P@1 held-out   LM tokens   LM tokens",
        "                  en   en-x-clone   en–en-x-clone        init    pretrain",
        "─────────────────────────────────────────────────────────────────────────",
        "joint          1.562        2.639          0.31 %        614k       2.46M",
        "prealign       1.558        2.531          48.6 %        614k       2.46M",
    ]
    notes = " ".join(line.strip() for line in lines[5:])
    assert "among 400 source words held out of alignment and their 410 translations" in notes
    assert "mean over all layers and both directions; chance 0.25 %" in notes
    assert "switching_only, during, after) were first trained on the very LM tokens that stage 1 consumes" in notes
    assert max(map(len, lines)) <= 100


def test_markdown():
    text = comparison_table(TWO).markdown().replace("\N{NO-BREAK SPACE}", " ")
    assert text.splitlines()[:4] == [
        "| arm | bits/byte en | bits/byte en-x-clone | P@1 held-out en–en-x-clone | LM tokens init "
        "| LM tokens pretrain |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| joint | 1.562 | 2.639 | 0.31 % | 614k | 2.46M |",
        "| prealign | 1.558 | 2.531 | 48.6 % | 614k | 2.46M |",
    ]


def test_unequal_text_is_told():
    unequal = TWO | {"joint": arm(1.5, 2.6, 0.1, init=0)}
    assert any("NOT seen the same number" in note for note in comparison_table(unequal).notes)
    assert not any("NOT" in note for note in comparison_table(TWO).notes)


def test_what_is_missing_is_a_dash():
    table = comparison_table({"joint": {}, "prealign": {"bits_per_byte": {"en": {"value": 1.0}}}})
    assert table.rows == [["joint", "–", "–", "–"], ["prealign", "1.000", "–", "–"]]
    assert comparison_table({}).text()


def test_colour_only_on_request():
    table = comparison_table(TWO)
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


def test_masked_models_have_a_measure_of_their_own():
    arms = {"joint": {"masked_lm_loss": {"en": {"value": 3.14159}}}}
    table = comparison_table(arms)
    assert table.header[1] == ("masked LM loss", "en")
    assert table.rows[0][1] == "3.142"
    assert not any("bits/byte" in note for note in table.notes)

"""Heat maps: cells where they belong, colours by value, words for readers who hear the page."""

from __future__ import annotations

import re
from dataclasses import replace

from prealign.report.heatmap import HeatMap, heat_html, scale_html, some

HEAT = HeatMap(
    title="<joint>",
    x_label="LM tokens",
    y_label="P@1 by layer",
    columns=["0", "1k", "2k", "3k"],
    rows=["in", "out"],
    values=[[0.0, 0.1, 0.2, 0.4], [0.0, 0.0, 0.05, 0.1]],
    top=0.4,
)


def test_cells_stand_at_their_places_with_the_first_row_at_the_bottom():
    cells = re.findall(
        r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" fill-opacity="([\d.]+)"', heat_html(HEAT)
    )
    assert cells[0] == ("0.0", "500.0", "250.0", "500.0", "0.000")
    assert cells[3] == ("750.0", "500.0", "250.0", "500.0", "1.000")
    assert cells[7] == ("750.0", "0.0", "250.0", "500.0", "0.250")
    assert len(cells) == 8


def test_values_are_said():
    drawn = heat_html(HEAT)
    assert "<title>layer in at 3k: 40 %</title>" in drawn
    assert 'aria-label="&lt;joint&gt;, P@1 by layer, at the end: layer in 40 %; layer out 10 %"' in drawn
    assert "<joint>" not in drawn


def test_the_border_stands_before_its_column():
    drawn = heat_html(replace(HEAT, border=("end of stage 1", 2)))
    assert 'd="M500.0 0V1000"' in drawn
    assert "dotted: end of stage 1" in drawn


def test_the_key_goes_from_nothing_to_the_top():
    assert re.findall(r"([\d.]+ %)</li>", scale_html(0.4)) == ["0 %", "10 %", "20 %", "30 %", "40 %"]


def test_some_places_hold_first_and_last():
    assert list(some(3, 5)) == [0, 1, 2]
    assert list(some(9, 5)) == [0, 2, 4, 6, 8]
    assert list(some(500, 2)) == [0, 499]

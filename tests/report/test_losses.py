"""Training losses: what is drawn is what the rows say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from prealign.report.figures import SIZE, Chart, chart_html
from prealign.report.losses import MOST_LAYERS, MOST_POINTS, language_charts, layer_charts, loss_charts

ARMS = ("joint", "tlm", "prealign")


def row(stage: str, step: int, losses: dict[str, float], **parts: Any) -> dict[str, Any]:
    return {"kind": "train", "stage": stage, "step": step, "loss": losses, **parts}


@pytest.fixture
def trained() -> dict[str, dict[int, list[dict[str, Any]]]]:
    """Ten steps of stage 1 and thirty of stage 2; seed 2 stops stage 1 at step 8, so that its row is another one."""
    found: dict[str, dict[int, list[dict[str, Any]]]] = {arm: {} for arm in ARMS}
    for arm in ARMS:
        for seed in (1, 2):
            rows: list[dict[str, Any]] = [{"kind": "eval", "stage": "init", "step": 0, "lm_tokens": 0}]
            for step in (5, 10 if seed == 1 else 8):
                losses = {"lm": 8.0 - 0.1 * step + 0.25 * seed}
                parts: dict[str, Any] = {"loss_by_language": {"lm": {"en": 7.0 + seed, "de": 9.0 + seed}}}
                if arm == "prealign":
                    losses["alignment"] = 4.0 + seed
                    parts["loss_by_layer"] = {"alignment": [6.0 + seed, None, 2.0 + seed]}
                rows.append(row("init", step, losses, **parts))
            for step in (10, 20, 30):
                losses = {"lm": 6.0 - 0.05 * step + 0.25 * seed}
                if arm == "tlm":
                    losses["tlm"] = 5.0 - 0.1 * step + seed
                rows.append(row("pretrain", step, losses))
            found[arm][seed] = rows
    return found


def drawn(chart: Chart, kind: str) -> list[list[tuple[float, float]]]:
    """The places of all lines or bands of a chart's HTML, in the units of its axes."""
    (x_low, x_high), (y_low, y_high) = chart.x_range(), chart.y_range()
    lines = re.findall(rf'<path class="{kind} s\d+"[^>]* d="M([^"]+?)Z?"', chart_html(chart))
    return [
        [
            (x_low + float(x) / SIZE * (x_high - x_low), y_high - float(y) / SIZE * (y_high - y_low))
            for x, y in (place.split() for place in line.split("L"))
        ]
        for line in lines
    ]


def near(chart: Chart, *places: tuple[float, float]) -> list[Any]:
    """Those places, exact to half a unit of the drawing."""
    (x_low, x_high), (y_low, y_high) = chart.x_range(), chart.y_range()
    wide, high = 0.51 / SIZE * (x_high - x_low), 0.51 / SIZE * (y_high - y_low)
    return [(pytest.approx(x, abs=wide), pytest.approx(y, abs=high)) for x, y in places]


def test_a_chart_per_loss_and_a_line_per_arm_that_has_it(trained):
    lm, tlm, alignment = loss_charts(trained)
    assert [chart.title for chart in (lm, tlm, alignment)] == [
        "Language model", "Sentence pairs read as one", "Alignment of words",
    ]  # fmt: skip
    assert [[one.name for one in chart.series] for chart in (lm, tlm, alignment)] == [list(ARMS), ["tlm"], ["prealign"]]
    assert lm.border == ("end of stage 1", 10)


def test_the_drawing_says_what_the_rows_say(trained):
    """Stage 2 begins at step 10 with seed 1 and at step 8 with seed 2; of stage 1 both have the row of step 5 only."""
    lm, tlm, _ = loss_charts(trained)
    expected = [(5, 7.875), (19, 5.875), (29, 5.375), (39, 4.875)]  # means of 7.75 and 8.0, 5.75 and 6.0, ...
    assert lm.series[0].points == [(5, pytest.approx(7.875)), *(pytest.approx(place) for place in expected[1:])]
    assert drawn(lm, "line") == [near(lm, *expected)] * 3
    upper, lower = [(x, y + 0.125) for x, y in expected], [(x, y - 0.125) for x, y in reversed(expected)]
    assert drawn(lm, "band") == [near(lm, *upper, *lower)] * 3
    assert drawn(tlm, "line") == [near(tlm, (19, 5.5), (29, 4.5), (39, 3.5))]
    assert "<title>" not in chart_html(lm)


def test_the_end_of_stage_1_is_that_of_the_arms_that_are_drawn(trained):
    for seed, rows in trained["tlm"].items():
        trained["tlm"][seed] = [one for one in rows if one["stage"] == "pretrain"]
    lm, tlm, _ = loss_charts(trained)
    assert lm.border == ("end of stage 1", 10)
    assert tlm.border is None
    assert [x for x, _ in tlm.series[0].points] == [10, 20, 30]


def test_losses_by_language_have_no_band(trained):
    en, de = language_charts(trained)
    assert [en.title, de.title] == ["Language model, en", "Language model, de"]
    assert drawn(de, "line") == [near(de, (5, 10.5))] * 3
    assert drawn(de, "band") == []


def test_losses_by_layer_leave_out_layers_without_weight(trained):
    first, last = layer_charts(trained)
    assert [first.title, last.title] == ["Alignment of words, layer in", "Alignment of words, layer out"]
    assert [one.name for one in first.series] == ["prealign"]
    assert drawn(first, "line") == [near(first, (5, 7.5))]
    assert drawn(last, "line") == [near(last, (5, 3.5))]


def test_of_many_layers_some_are_drawn():
    rows = [
        row("init", step, {}, loss_by_layer={"alignment": [float(layer) for layer in range(26)]}) for step in (1, 2)
    ]
    charts = layer_charts({"prealign": {1: rows}})
    assert len(charts) == MOST_LAYERS
    assert [chart.title.rpartition(" ")[2] for chart in charts] == ["in", "5", "10", "15", "20", "out"]
    assert [one.points[0][1] for chart in charts for one in chart.series] == [0, 5, 10, 15, 20, 25]


def test_many_rows_become_means_of_neighbours_within_a_stage():
    rows = [row("init", step, {"lm": 1.0}) for step in range(1, 101)]
    rows += [row("pretrain", step, {"lm": float(step)}) for step in range(1, 301)]
    (chart,) = loss_charts({"joint": {1: rows}})
    points = chart.series[0].points
    assert len(points) == MOST_POINTS
    assert points[:10] == [(10 * n, 1.0) for n in range(1, 11)]
    assert points[10:12] == [(110, 5.5), (120, 15.5)]
    assert points[-1] == (400, 295.5)
    assert chart.series[0].band == []


def test_a_loss_that_is_no_number_is_left_out_and_new_losses_have_their_own_name():
    rows = [row("pretrain", step, {"lm": value, "tea_leaves": 1.0}) for step, value in ((1, 3.0), (2, float("nan")))]
    lm, tea = loss_charts({"joint": {1: rows}})
    assert lm.series[0].points == [(1, 3.0)]
    assert (tea.title, tea.border) == ("Tea leaves", None)


def test_nothing_trained_is_nothing_drawn():
    for metrics in ({}, {"joint": {}}, {"joint": {1: [{"kind": "eval", "stage": "init", "step": 1, "lm_tokens": 5}]}}):
        assert loss_charts(metrics) == language_charts(metrics) == layer_charts(metrics) == []

"""Charts: round ticks, ranges, places of points, and texts that are safe in HTML."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prealign.report.arms import Look
from prealign.report.figures import Chart, Series, chart_html, legend_html, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (1.52, 2.61, [1.75, 2.0, 2.25, 2.5]),
        (0, 0.64, [0, 0.2, 0.4, 0.6]),
        (-3, 3, [-2, 0, 2]),
        (0, 3_072_000, [0, 1e6, 2e6, 3e6]),
    ],
)
def test_ticks(low, high, expected):
    assert ticks(low, high) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_lie_inside_and_are_few(low, width):
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 6
    assert all(low - 1e-9 * width <= tick <= low + width + 1e-9 * width for tick in found)


A, B = Look(0, "7 4"), Look(1, "")


def chart(**changes: object) -> Chart:
    two = [Series("joint", [(0, 4.0), (50, 3.0), (100, 2.0)], A), Series("prealign", [(0, 9.0), (100, 1.0)], B)]
    return replace(Chart("en", "LM tokens", "bits per byte", two), **changes)


def test_range_leaves_out_the_steep_beginning():
    assert chart().x_range() == (0, 100)
    assert chart().y_range() == pytest.approx((1.0 - 0.12, 3.0 + 0.12))  # 4.0 and 9.0 stand at x = 0


def test_shares_start_at_zero():
    shares = [Series("a", [(0, 0.5), (1, 0.2)], A)]
    assert chart(series=shares, kind="percent").y_range() == pytest.approx((0.0, 0.575))
    assert chart(series=shares, kind="percent", top=0.8).y_range() == pytest.approx((0.0, 0.92))


def test_one_point_and_flat_lines_have_a_range():
    for points in ([(5.0, 2.0)], [(0.0, 2.0), (1.0, 2.0)], [(0.0, 0.0)]):
        low, high = chart(series=[Series("a", points, A)]).y_range()
        assert low < points[0][1] < high
        assert "<figure" in chart_html(chart(series=[Series("a", points, A)]))


def test_points_are_where_their_values_are():
    drawn = chart_html(chart(kind="percent", top=8.0, series=[Series("a", [(0, 0.0), (50, 4.6), (100, 9.2)], A)]))
    assert re.search(r'd="M0\.0 1000\.0L500\.0 500\.0L1000\.0 -?0\.0"', drawn)


def test_a_band_goes_along_the_highest_seed_and_back_along_the_lowest():
    series = Series("a", [(0, 4.6), (100, 4.6)], B, band=[(0, 2.3, 6.9), (100, 0.0, 9.2)])
    drawn = chart_html(chart(kind="percent", top=8.0, series=[series]))
    assert re.search(r'<path class="band s1" d="M0\.0 250\.0L1000\.0 -?0\.0L1000\.0 1000\.0L0\.0 750\.0Z"/>', drawn)
    assert "band" not in chart_html(chart())


def test_the_range_holds_the_band():
    points = [(0, 2.0), (100, 2.0)]
    series = Series("a", points, B, band=[(0, 1.0, 2.5), (100, 1.5, 3.5)])
    assert chart(series=[series]).y_range() == pytest.approx((1.5 - 0.12, 3.5 + 0.12))  # without the beginning
    assert chart(series=[replace(series, band=[])], kind="percent").y_range()[1] == pytest.approx(2.3)
    assert chart(series=[series], kind="percent").y_range()[1] == pytest.approx(1.15 * 3.5)


def test_texts_are_escaped_and_said_aloud():
    drawn = chart_html(chart(title="<en> & 'de'", series=[Series("<b>", [(0, 1.0), (1, 2.0)], A)]))
    assert "<b>" not in drawn
    assert "&lt;en&gt; &amp;" in drawn
    assert 'aria-label="&lt;en&gt; &amp; &#x27;de&#x27;, bits per byte: &lt;b&gt; ends at 2"' in drawn


def test_names_stand_at_their_places():
    layers = [Series("a", list(enumerate([0.1, 0.2, 0.3, 0.2, 0.1])), A)]
    drawn = chart_html(chart(series=layers, kind="percent", x_names={0.0: "in", 4.0: "out"}, level=("chance", 0.05)))
    axis = drawn[drawn.index('class="x-axis"') :]
    assert re.findall(r">([^<]+)</span>", axis) == ["in", "1", "2", "3", "out"]
    assert ">chance</span>" in drawn


def test_a_border_is_drawn_inside_the_chart_only():
    """Runs side by side may differ in stage 1: a note far to the right would make the page scroll sideways."""
    inside, outside = chart_html(chart(border=("end", 50.0))), chart_html(chart(border=("end", 5000.0)))
    assert '<path class="level" d="M500.0 0V1000"/>' in inside
    assert '<span class="note" style="left:50.00%;bottom:0">end</span>' in inside
    assert "level" not in outside
    assert "note" not in outside


def test_long_lines_have_no_dots():
    assert "dot" not in chart_html(chart(dots=False))
    assert chart_html(chart()).count('class="dot') == 5


def test_an_empty_chart_is_not_drawn():
    assert chart_html(chart(series=[Series("a", [], A)])) == ""


def test_a_legend_names_each_line_once():
    assert legend_html(chart().series * 2).count("<li>") == 2


def test_chance_above_all_values_stays_inside():
    chart = Chart("t", "x", "y", [Series("a", [(0, 0.01), (1, 0.02)], Look(0, ""))], "percent", level=("chance", 0.125))
    assert chart.y_range()[1] > 0.125

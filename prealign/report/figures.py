"""Line charts: what a chart shows, and its drawing as HTML with inline SVG.

Lines are drawn in an SVG that stretches to any width, while axis texts are HTML beside it: so letters and line widths
keep their size on a phone and on a wide screen. Colours come from the page's style sheet by number (`s0`, `s1`, ...),
so that light and dark follow the reader's setting; lines also have a dash, for readers who do not tell the colours
apart. A line over several seeds carries a band from the lowest to the highest of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from prealign.evaluation.table import tokens
from prealign.report.arms import Look

SIZE = 1000.0
"""Side of the SVG's own square coordinates, which are stretched to the plot."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    name: str
    points: list[tuple[float, float]]
    look: Look
    band: list[tuple[float, float, float]] = field(default_factory=list)
    """x, lowest and highest y over seeds; empty for one seed."""

    def values(self) -> list[tuple[float, float]]:
        """Everything that is drawn: the points and the edges of the band."""
        return self.points + [(x, y) for x, *edges in self.band for y in edges]


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw, without saying how; the page and the PNG files are made from it."""

    title: str
    x_label: str
    y_label: str
    series: list[Series]
    kind: str = "number"
    """How y is written and ranged: "number" (the range of the data), or "percent" (shares, from zero)."""
    x_counts: bool = False
    """x counts tokens or steps from zero, written as 1.5M; otherwise plain whole numbers."""
    x_names: dict[float, str] = field(default_factory=dict)
    """Names that stand at some places of x instead of numbers."""
    level: tuple[str, float] | None = None
    """A horizontal line to compare with, such as chance."""
    border: tuple[str, float] | None = None
    """A vertical line, such as the end of stage 1; not drawn where it lies outside, as with other runs beside it."""
    dots: bool = True
    """Whether each point has a dot that says its value; without, for long lines, the page is much lighter."""
    top: float | None = None
    """Upper end of y for charts that stand side by side; none: from the data."""

    def is_empty(self) -> bool:
        return not any(series.points for series in self.series)

    def y_text(self, value: float) -> str:
        """How a value of y is written."""
        return f"{100 * value:.3g} %" if self.kind == "percent" else f"{value:.4g}"

    def x_text(self, value: float) -> str:
        """How a value of x is written."""
        if value in self.x_names:
            return self.x_names[value]
        return tokens(value) if self.x_counts else f"{value:g}"

    def x_range(self) -> tuple[float, float]:
        places = [x for series in self.series for x, _ in series.points]
        low, high = min(places), max(places)
        return (0.0 if self.x_counts else low), (high if high > low else low + 1.0)

    def y_range(self) -> tuple[float, float]:
        """From zero for shares; else the range of the data without the first tenth of x.

        Loss curves fall steeply there; their lines enter from above.
        """
        if self.kind == "percent":
            top = self.top or max([0.01, *(y for series in self.series for _, y in series.values())])
            return 0.0, 1.15 * max(top, self.level[1] if self.level else 0.0)
        x_low, x_high = self.x_range()
        points = [point for series in self.series for point in series.values()]
        settled = [y for x, y in points if x >= x_low + 0.1 * (x_high - x_low)]
        values = settled or [y for _, y in points]
        margin = 0.06 * (max(values) - min(values)) or 0.05 * abs(values[0]) or 1.0
        return min(values) - margin, max(values) + margin


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between low and high, near `about` of them, in steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def chart_html(chart: Chart) -> str:
    """The chart as an HTML figure; the caller shows the legend (`legend_html`), which several charts may share."""
    if chart.is_empty():
        return ""
    x_at = _scale(*chart.x_range())
    y_low, y_high = chart.y_range()
    y_at = _scale(y_high, y_low)  # downwards
    y_ticks = ticks(y_low, y_high)
    x_ticks = sorted(
        {x for x in ticks(*chart.x_range(), about=4) if chart.x_counts or x == int(x)} | set(chart.x_names)
    )
    grid = "".join(f'<path class="grid" d="M0 {y_at(y):.1f}H{SIZE:g}"/>' for y in y_ticks)
    if chart.level is not None:
        grid += f'<path class="level" d="M0 {y_at(chart.level[1]):.1f}H{SIZE:g}"/>'
    border = chart.border if chart.border and 0 <= x_at(chart.border[1]) <= SIZE else None
    if border is not None:
        grid += f'<path class="level" d="M{x_at(border[1]):.1f} 0V{SIZE:g}"/>'
    lines = "".join(_line(chart, series, x_at, y_at) for series in chart.series if series.points)
    y_texts = "".join(f'<span style="top:{y_at(y) / SIZE:.2%}">{escape(chart.y_text(y))}</span>' for y in y_ticks)
    x_texts = "".join(
        f'<span class="{_edge(x_at(x))}" style="left:{x_at(x) / SIZE:.2%}">{escape(chart.x_text(x))}</span>'
        for x in x_ticks
    )
    notes = ""
    if chart.level is not None:
        notes += _note(chart.level[0], f"right:0;bottom:{1 - y_at(chart.level[1]) / SIZE:.2%}")
    if border is not None:
        edge = "top" if chart.kind == "percent" else "bottom"  # where curves leave room: losses fall, shares rise
        notes += _note(border[0], f"left:{x_at(border[1]) / SIZE:.2%};{edge}:0")
    return (
        f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>'
        f'<div class="y-label">{escape(chart.y_label)}</div>'
        f'<div class="frame"><div class="y-axis" aria-hidden="true">{y_texts}</div>'
        f'<div class="plot"><svg viewBox="0 0 {SIZE:g} {SIZE:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(_in_words(chart))}">{grid}{lines}</svg>{notes}</div>'
        f'<div class="x-axis" aria-hidden="true">{x_texts}</div></div>'
        f'<div class="x-label">{escape(chart.x_label)}</div></figure>'
    )


def legend_html(series: Sequence[Series]) -> str:
    """Names with their line samples, each name once."""
    once = {one.name: one.look for one in series}
    samples = "".join(
        f'<li><svg viewBox="0 0 28 8" class="sample"><path class="line s{look.colour}" stroke-dasharray="{look.dash}" '
        f'd="M1 4H27"/></svg>{escape(name)}</li>'
        for name, look in once.items()
    )
    return f'<ul class="legend">{samples}</ul>'


def _line(chart: Chart, series: Series, x_at: Callable[[float], float], y_at: Callable[[float], float]) -> str:
    """Path and dots of one line. A dot is a path of no length with round ends: it stays round when stretched."""
    colour, dash = series.look
    digits = 1 if chart.dots else 0
    line = _path([(x_at(x), y_at(y)) for x, y in series.points], digits)
    drawn = _band(series, x_at, y_at, digits) + f'<path class="line s{colour}" stroke-dasharray="{dash}" d="{line}"/>'
    for x, y in series.points if chart.dots else []:
        text = escape(f"{series.name}: {chart.y_text(y)} at {chart.x_text(x)}")
        drawn += f'<path class="dot s{colour}" d="M{x_at(x):.1f} {y_at(y):.1f}h0"><title>{text}</title></path>'
    return drawn


def _band(series: Series, x_at: Callable[[float], float], y_at: Callable[[float], float], digits: int) -> str:
    """The area between the lowest and the highest seed: along the upper edge and back along the lower one."""
    if not series.band:
        return ""
    upper = [(x_at(x), y_at(high)) for x, _, high in series.band]
    lower = [(x_at(x), y_at(low)) for x, low, _ in reversed(series.band)]
    return f'<path class="band s{series.look.colour}" d="{_path(upper + lower, digits)}Z"/>'


def _path(places: Sequence[tuple[float, float]], digits: int) -> str:
    """Straight lines from place to place."""
    return "M" + "L".join(f"{x:.{digits}f} {y:.{digits}f}" for x, y in places)


def _note(text: str, place: str) -> str:
    return f'<span class="note" style="{place}">{escape(text)}</span>'


def _scale(low: float, high: float) -> Callable[[float], float]:
    """Map low .. high to 0 .. SIZE."""
    return lambda value: SIZE * (value - low) / (high - low)


def _edge(place: float) -> str:
    """Texts at the ends of the x axis are pulled inwards, so that they do not stick out of a narrow page."""
    return "first" if place < 0.04 * SIZE else "last" if place > 0.96 * SIZE else ""


def _in_words(chart: Chart) -> str:
    """For readers who hear the page: the last value of each line."""
    ends = [f"{one.name} ends at {chart.y_text(one.points[-1][1])}" for one in chart.series if one.points]
    return f"{chart.title}, {chart.y_label}: " + "; ".join(ends)

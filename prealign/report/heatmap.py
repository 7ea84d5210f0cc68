"""Heat maps: a value for each layer and moment of a run, as HTML with inline SVG.

One hue from transparent to full on the page's own background, so that light and dark follow the reader's setting. Each
cell says its value when pointed at, and the last column is told in words to readers who hear the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SIZE = 1000.0
"""Side of the SVG's own square coordinates, which are stretched to the plot."""
MOST_LABELS = 4
"""Under a map: at 390 px five touch each other. Beside it twice as many."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Shares between 0 and 1 by row and column."""

    title: str
    x_label: str
    y_label: str
    columns: list[str]
    """Names of the columns, from the left."""
    rows: list[str]
    """Names of the rows, from the bottom."""
    values: list[list[float]]
    """[rows][columns]."""
    top: float = 1.0
    """The value with the full colour."""
    border: tuple[str, int] | None = None
    """A vertical line before a column, such as the end of stage 1, and its name."""


def percent(value: float) -> str:
    """How a value is written."""
    return f"{100 * value:.3g} %"


def heat_html(heat: HeatMap) -> str:
    """The map as an HTML figure."""
    width, height = SIZE / len(heat.columns), SIZE / len(heat.rows)
    cells = "".join(
        f'<rect class="heat" x="{column * width:.1f}" y="{SIZE - (row + 1) * height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" fill-opacity="{min(1.0, value / heat.top):.3f}">'
        f"<title>{escape(f'layer {heat.rows[row]} at {heat.columns[column]}: {percent(value)}')}</title></rect>"
        for row, values in enumerate(heat.values)
        for column, value in enumerate(values)
    )
    note = ""
    if heat.border is not None:
        place = heat.border[1] * width
        cells += f'<path class="level" d="M{place:.1f} 0V{SIZE:g}"/>'
        note = f" · dotted: {escape(heat.border[0])}"
    y_texts = "".join(
        f'<span style="top:{1 - (row + 0.5) / len(heat.rows):.2%}">{escape(heat.rows[row])}</span>'
        for row in some(len(heat.rows), 2 * MOST_LABELS)
    )
    x_texts = "".join(
        f'<span class="{"first" if column == 0 else "last" if column == len(heat.columns) - 1 else ""}" '
        f'style="left:{(column + 0.5) / len(heat.columns):.2%}">{escape(heat.columns[column])}</span>'
        for column in some(len(heat.columns), MOST_LABELS)
    )
    said = "; ".join(f"layer {name} {percent(values[-1])}" for name, values in zip(heat.rows, heat.values))
    return (
        f'<figure class="chart"><figcaption>{escape(heat.title)}</figcaption>'
        f'<div class="y-label">{escape(heat.y_label)}{note}</div>'
        f'<div class="frame"><div class="y-axis" aria-hidden="true">{y_texts}</div>'
        f'<div class="plot"><svg viewBox="0 0 {SIZE:g} {SIZE:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(f"{heat.title}, {heat.y_label}, at the end: {said}")}">{cells}</svg></div>'
        f'<div class="x-axis" aria-hidden="true">{x_texts}</div></div>'
        f'<div class="x-label">{escape(heat.x_label)}</div></figure>'
    )


def scale_html(top: float) -> str:
    """The key to the colours: from nothing to the full colour in five steps."""
    steps = [top * step / 4 for step in range(5)]
    cells = "".join(
        f'<li><svg viewBox="0 0 28 8" class="sample"><rect class="heat" width="28" height="8" '
        f'fill-opacity="{value / top:.2f}"/></svg>{percent(value)}</li>'
        for value in steps
    )
    return f'<ul class="legend">{cells}</ul>'


def some(n: int, most: int) -> Sequence[int]:
    """At most `most` of the places 0 .. n-1, evenly spread, first and last among them."""
    if n <= most:
        return range(n)
    return sorted({round(place * (n - 1) / (most - 1)) for place in range(most)})

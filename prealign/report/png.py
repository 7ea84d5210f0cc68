"""The report's charts as PNG files for papers and slides; needs matplotlib (extra `report`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from prealign.report.arms import COLOURS
from prealign.report.figures import Chart
from prealign.report.heatmap import MOST_LABELS, HeatMap, percent, some

FULL = "#0062b8"
"""The full colour of heat maps, as on the page."""


def available() -> bool:
    """Whether matplotlib is installed; it is not imported here."""
    return importlib.util.find_spec("matplotlib") is not None


def write_heat_png(heat: HeatMap, path: Path) -> None:
    """Draw one heat map, 12 by 8 cm at 200 dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.2), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("page", ["#ffffff", FULL])
    drawn = axes.imshow(heat.values, origin="lower", aspect="auto", cmap=colours, vmin=0.0, vmax=heat.top)
    if heat.border is not None:
        axes.axvline(heat.border[1] - 0.5, color="#999999", linewidth=0.8, linestyle=":")
    columns, rows = some(len(heat.columns), MOST_LABELS), some(len(heat.rows), 2 * MOST_LABELS)
    axes.set_xticks(list(columns), [heat.columns[place] for place in columns])
    axes.set_yticks(list(rows), [heat.rows[place] for place in rows])
    axes.set_title(heat.title, fontsize=9, loc="left")
    axes.set_xlabel(heat.x_label, fontsize=8)
    axes.set_ylabel("layer", fontsize=8)
    axes.tick_params(labelsize=7)
    figure.colorbar(drawn, format=lambda value, _: percent(value)).ax.tick_params(labelsize=7)
    figure.savefig(path)


def write_png(chart: Chart, path: Path) -> None:
    """Draw one chart, 12 by 8 cm at 200 dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(4.8, 3.2), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for series in chart.series:
        if series.points:
            x, y = zip(*series.points)
            colour = COLOURS[series.look.colour]
            dashes = tuple(float(part) / 2 for part in series.look.dash.split())
            line = axes.plot(
                x, y, color=colour, marker="o" if chart.dots else "", markersize=2, linewidth=1.4, label=series.name
            )[0]
            if series.band:
                places, low, high = zip(*series.band)
                axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
            if dashes:
                line.set_dashes(dashes)
    if chart.level is not None:
        axes.axhline(chart.level[1], color="#999999", linewidth=0.8, linestyle=":")
    if chart.border is not None:
        axes.axvline(chart.border[1], color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xlim(*chart.x_range())
    axes.set_ylim(*chart.y_range())
    axes.set_title(chart.title, fontsize=9, loc="left")
    axes.set_xlabel(chart.x_label, fontsize=8)
    axes.set_ylabel(chart.y_label, fontsize=8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: chart.x_text(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: chart.y_text(value)))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e7", linewidth=0.6)
    axes.legend(fontsize=7, frameon=False)
    figure.savefig(path)

"""Measures over training: the measurements of all arms and seeds in, a chart per language or language pair out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prealign.evaluation.table import pair_name, tokens
from prealign.report.arms import looks
from prealign.report.figures import Chart, Series
from prealign.report.heatmap import HeatMap, some
from prealign.report.moments import Moment, Row, SeedRows, end_of_init, line, mean, mean_of_lists, moments

Metrics = Mapping[str, SeedRows]
"""Arm -> seed -> rows of metrics.jsonl."""
MOST_COLUMNS = 40
"""Measurements in a heat map; of more, some are shown, evenly spread."""


def text_charts(metrics: Metrics, measure: str, y_label: str) -> list[Chart]:
    """A measure of running text ("bits_per_byte", "masked_lm_loss"): a chart per language, a line per arm."""
    return list(_courses(metrics, lambda row: row.get(measure) or {}, y_label).values())


def retrieval_charts(metrics: Metrics, chances: Mapping[str, float]) -> list[Chart]:
    """P@1 of held-out words (mean over layers), a chart per language pair, a line per arm.

    Args:
        chances: P@1 of guessing by pair, where it is known.
    """
    charts = _courses(metrics, lambda row: _held_out(row, "word_retrieval"), "P@1, mean over layers", "percent")
    return [
        replace(chart, level=("chance", chances[pair])) if pair in chances else chart for pair, chart in charts.items()
    ]


def held_out_charts(metrics: Metrics, measure: str, y_label: str) -> list[Chart]:
    """A measure of held-out words that has a value per layer ("word_cosine", "word_loss"), as its mean over layers: a
    chart per language pair, a line per arm."""
    return list(_courses(metrics, lambda row: _held_out(row, measure), y_label).values())


def heat_maps(metrics: Metrics, test: str = "held_out") -> list[HeatMap]:
    """P@1 by layer and measurement, mean over seeds: a map per arm and language pair, all with one scale of colours."""
    maps = []
    for arm, seeds in metrics.items():
        course = moments(seeds)
        pairs = dict.fromkeys(pair for moment in course for row in moment.rows for pair in _words(row))
        for pair in pairs:
            measured = [
                (moment, [layers for row in moment.rows if (layers := _words(row).get(pair, {}).get(test))])
                for moment in course
            ]
            columns = [(moment, mean_of_lists(layers)) for moment, layers in measured if layers]
            columns = [columns[place] for place in some(len(columns), MOST_COLUMNS)]
            if len(columns) >= 2:
                maps.append(_heat_map(f"{arm}, {pair_name(pair)}", columns))
    top = max((value for heat in maps for values in heat.values for value in values), default=0.0) or 1.0
    return [replace(heat, top=top) for heat in maps]


def _heat_map(title: str, columns: Sequence[tuple[Moment, list[float]]]) -> HeatMap:
    of_init = sum(moment.stage == "init" for moment, _ in columns)
    n_layers = len(columns[0][1])
    return HeatMap(
        title=title,
        x_label="LM tokens at each measurement",
        y_label="P@1 by layer",
        columns=[tokens(moment.lm_tokens) for moment, _ in columns],
        rows=layer_names(n_layers),
        values=[[layers[layer] for _, layers in columns] for layer in range(n_layers)],
        border=("end of stage 1", of_init) if 0 < of_init < len(columns) else None,
    )


def layer_names(n_layers: int) -> list[str]:
    """Names of the layers of word states: input embeddings, blocks, output rows."""
    return ["in", *map(str, range(1, n_layers - 1)), "out"] if n_layers > 1 else ["in"]


def _courses(
    metrics: Metrics, measures: Callable[[Row], Mapping[str, float]], y_label: str, kind: str = "number"
) -> dict[str, Chart]:
    """Chart by what is measured: a row gives {language or pair: value}."""
    courses = {arm: moments(seeds) for arm, seeds in metrics.items()}
    look = looks(list(metrics))
    names = dict.fromkeys(
        name for course in courses.values() for moment in course for row in moment.rows for name in measures(row)
    )
    return {
        name: Chart(
            pair_name(name),
            "LM tokens",
            y_label,
            [_line(arm, course, measures, name, look) for arm, course in courses.items()],
            kind,
            x_counts=True,
            border=end_of_init(courses),
        )
        for name in names
    }


def _line(
    arm: str, course: Sequence[Moment], measures: Callable[[Row], Mapping[str, float]], name: str, look: Any
) -> Series:
    return line(arm, look[arm], course, lambda row: measures(row).get(name))


def _held_out(row: Row, measure: str) -> dict[str, float]:
    """Mean over layers of the held-out words, by language pair."""
    return {pair: mean(layers) for pair, tests in (row.get(measure) or {}).items() if (layers := tests.get("held_out"))}


def _words(row: Row) -> Mapping[str, Mapping[str, list[float]]]:
    """Word retrieval of a row as pair -> test -> P@1 per layer."""
    return row.get("word_retrieval") or {}

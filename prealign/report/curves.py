"""From measurements to charts: rows of `metrics.jsonl` and parts of `results.json` in, `Chart`s out.

Rows are taken as they come: a run may have been stopped, or measure less than others. What is not there is not drawn.

A measurement row is {"kind": "eval", "stage": "init" | "pretrain", "step", "lm_tokens", "bits_per_byte": {language:
value}, "word_retrieval": {pair: {test: [P@1 per layer]}}}; "lm_tokens" counts on from stage 1 to stage 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prealign.evaluation.table import pair_name, tokens
from prealign.report.figures import Chart, Series
from prealign.report.heatmap import HeatMap, some

Row = Mapping[str, Any]
ARM_STYLES = {
    "joint": 0,
    "prealign": 1,
    "init_only": 2,
    "switching_only": 3,
    "during": 4,
    "after": 5,
    "both_sides": 9,
}
"""Known arms keep their colour on every page; other names share the two numbers that are left."""
OTHER_STYLES = (10, 11)
MOST_COLUMNS = 60
"""Measurements in a heat map; of more, some are shown, evenly spread."""
MOMENT_STYLES = {"at the start": 6, "after stage 1": 7, "at the end": 8}


def arm_style(arm: str, arms: Sequence[str]) -> int:
    """Number of an arm's colour and dash."""
    others = [name for name in arms if name not in ARM_STYLES]
    return ARM_STYLES[arm] if arm in ARM_STYLES else OTHER_STYLES[others.index(arm) % 2]


def arm_name(arm: str) -> str:
    """An arm's name for people."""
    return arm.replace("_", " ")


def eval_rows(rows: Sequence[Row]) -> list[Row]:
    """The measurements of one arm in order."""
    return [row for row in rows if row.get("kind") == "eval" and "lm_tokens" in row]


def retrieval_of(row: Row) -> Mapping[str, Mapping[str, list[float]]]:
    """Word retrieval of a row as pair -> test -> P@1 per layer."""
    return row.get("word_retrieval") or {}


def bits_charts(metrics: Mapping[str, Sequence[Row]]) -> list[Chart]:
    """Bits per byte over LM tokens, a chart per language, a line per arm."""
    rows = {arm: eval_rows(found) for arm, found in metrics.items()}
    languages = dict.fromkeys(
        code for found in rows.values() for row in found for code in row.get("bits_per_byte") or {}
    )
    border = _end_of_init(rows)
    charts = []
    for code in languages:
        series = []
        for arm, found in rows.items():
            points = [
                (row["lm_tokens"], row["bits_per_byte"][code])
                for row in found
                if code in (row.get("bits_per_byte") or {})
            ]
            series.append(Series(arm_name(arm), points, arm_style(arm, list(metrics))))
        charts.append(Chart(code, "LM tokens", "bits per byte", series, x_tokens=True, border=border))
    return charts


def retrieval_course_charts(metrics: Mapping[str, Sequence[Row]], arms: Mapping[str, Mapping[str, Any]]) -> list[Chart]:
    """P@1 of held-out words over LM tokens (mean over layers), a chart per language pair, a line per arm."""
    charts = _course_charts(metrics, "word_retrieval", "P@1, mean over layers", "percent")
    return [replace(chart, level=_chance(arms, pair)) for pair, chart in charts.items()]


def cosine_charts(metrics: Mapping[str, Sequence[Row]]) -> list[Chart]:
    """Mean cosine between all held-out words over LM tokens (mean over layers): near 1 they have become one."""
    return list(_course_charts(metrics, "word_cosine", "mean cosine, mean over layers", "number").values())


def _course_charts(metrics: Mapping[str, Sequence[Row]], measure: str, y_label: str, kind: str) -> dict[str, Chart]:
    """Language pair -> chart of a measure of the held-out words over LM tokens, a line per arm."""
    rows = {arm: eval_rows(found) for arm, found in metrics.items()}
    pairs = dict.fromkeys(
        pair
        for found in rows.values()
        for row in found
        for pair, tests in (row.get(measure) or {}).items()
        if "held_out" in tests
    )
    charts = {}
    for pair in pairs:
        series = []
        for arm, found in rows.items():
            measured = [(row["lm_tokens"], (row.get(measure) or {}).get(pair, {}).get("held_out")) for row in found]
            points = [(place, sum(layers) / len(layers)) for place, layers in measured if layers]
            series.append(Series(arm_name(arm), points, arm_style(arm, list(metrics))))
        border = _end_of_init(rows)
        charts[pair] = Chart(pair_name(pair), "LM tokens", y_label, series, kind, x_tokens=True, border=border)
    return charts


def heat_maps(metrics: Mapping[str, Sequence[Row]], test: str = "held_out") -> list[HeatMap]:
    """P@1 by layer and measurement, a map per language pair and arm, all with one scale of colours."""
    maps = []
    for arm, rows in metrics.items():
        measured = eval_rows(rows)
        for pair in dict.fromkeys(pair for row in measured for pair in retrieval_of(row)):
            found = [(row, retrieval_of(row).get(pair, {}).get(test)) for row in measured]
            columns = [(row, layers) for row, layers in found if layers]
            columns = [columns[place] for place in some(len(columns), MOST_COLUMNS)]
            if len(columns) < 2:
                continue
            of_init = sum(row.get("stage") == "init" for row, _ in columns)
            last = len(columns[0][1]) - 1
            heat = HeatMap(
                title=f"{arm_name(arm)}, {pair_name(pair)}",
                x_label="LM tokens at each measurement",
                y_label="P@1 by layer",
                columns=[tokens(row["lm_tokens"]) for row, _ in columns],
                rows=["in", *map(str, range(1, last)), "out"],
                values=[[layers[layer] for _, layers in columns] for layer in range(last + 1)],
                border=("end of stage 1", of_init) if 0 < of_init < len(columns) else None,
            )
            maps.append(heat)
    top = max((value for heat in maps for values in heat.values for value in values), default=0.0) or 1.0
    return [replace(heat, top=top) for heat in maps]


def layer_charts(metrics: Mapping[str, Sequence[Row]], arms: Mapping[str, Mapping[str, Any]], test: str) -> list[Chart]:
    """P@1 by layer, a chart per pair and arm, with lines for the start, the end of stage 1, and the end."""
    charts = []
    for pair in dict.fromkeys(pair for arm in arms.values() for pair in arm.get("word_retrieval") or {}):
        for arm, result in arms.items():
            moments: dict[str, list[float]] = {}
            for row in eval_rows(metrics.get(arm, [])):
                layers = retrieval_of(row).get(pair, {}).get(test)
                if layers and row.get("stage") == "init":
                    moments["at the start" if row.get("step") == 0 else "after stage 1"] = layers
            final = result.get("word_retrieval", {}).get(pair, {}).get(test)
            if final:
                moments["at the end"] = final["p_at_1"]
            series = [Series(name, list(enumerate(layers)), MOMENT_STYLES[name]) for name, layers in moments.items()]
            ends = {0.0: "in", max(map(len, moments.values()), default=2) - 1.0: "out"}
            level = _chance(arms, pair, test)
            title = f"{arm_name(arm)}, {pair_name(pair)}"
            charts.append(Chart(title, "layer", "P@1", series, kind="percent", x_names=ends, level=level))
    top = max((y for chart in charts for series in chart.series for _, y in series.points), default=None)
    return [replace(chart, top=top) for chart in charts if not chart.is_empty()]


def sentence_charts(arms: Mapping[str, Mapping[str, Any]]) -> list[Chart]:
    """MEXA by layer, a chart per set of sentences, a line per arm."""
    charts = []
    for name in dict.fromkeys(name for arm in arms.values() for name in arm.get("sentence_retrieval") or {}):
        measured = {arm: result.get("sentence_retrieval", {}).get(name) for arm, result in arms.items()}
        series = [
            Series(arm_name(arm), list(enumerate(found["mexa"])), arm_style(arm, list(arms)))
            for arm, found in measured.items()
            if found
        ]
        charts.append(Chart(pair_name(name), "layer", "MEXA", series, kind="percent", x_names={0.0: "in"}))
    return charts


def _end_of_init(rows: Mapping[str, Sequence[Row]]) -> tuple[str, float] | None:
    ends = [row["lm_tokens"] for found in rows.values() for row in found if row.get("stage") == "init"]
    return ("end of stage 1", max(ends)) if ends and max(ends) > 0 else None


def _chance(arms: Mapping[str, Mapping[str, Any]], pair: str, test: str = "held_out") -> tuple[str, float] | None:
    for arm in arms.values():
        for name, tests in (arm.get("word_retrieval") or {}).items():
            if name == pair:
                chance = tests.get(test, {}).get("summary", {}).get("chance")
                return None if chance is None else ("chance", chance)
    return None

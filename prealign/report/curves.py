"""From measurements to charts: rows of `metrics.jsonl` and parts of `results.json` in, `Chart`s out.

Rows are taken as they come: a run may have been stopped, or measure less than others. What is not there is not drawn.

A measurement row is {"kind": "eval", "stage": "init" | "pretrain", "step", "lm_tokens", "bits_per_byte": {language:
value}, "word_retrieval": {pair: {test: [P@1 per layer]}}}; with one pair the level of the pair may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prealign.evaluation.table import pair_name
from prealign.report.figures import Chart, Series

Row = Mapping[str, Any]
ARM_STYLES = {"joint": 0, "prealign": 1, "init_only": 2, "switching_only": 3}
"""Known arms keep their colour on every page; other names share the two numbers that are left."""
MOMENT_STYLES = {"at the start": 6, "after stage 1": 7, "at the end": 8}


def arm_style(arm: str, arms: Sequence[str]) -> int:
    """Number of an arm's colour and dash."""
    others = [name for name in arms if name not in ARM_STYLES]
    return ARM_STYLES[arm] if arm in ARM_STYLES else 4 + others.index(arm) % 2


def arm_name(arm: str) -> str:
    """An arm's name for people."""
    return arm.replace("_", " ")


def eval_rows(rows: Sequence[Row]) -> list[Row]:
    """The measurements of one arm in order, `lm_tokens` counted over both stages.

    Where `pretrain` counts its tokens from zero, those of `init` are added.
    """
    ends = [row["lm_tokens"] for row in rows if row.get("stage") == "init" and "lm_tokens" in row]
    init_end = max(ends, default=0)
    starts = [row["lm_tokens"] for row in rows if row.get("stage") == "pretrain" and "lm_tokens" in row]
    offset = init_end if min(starts, default=0) < init_end else 0
    found = [row for row in rows if row.get("kind") == "eval" and "lm_tokens" in row]
    return [{**row, "lm_tokens": row["lm_tokens"] + (offset if row.get("stage") == "pretrain" else 0)} for row in found]


def retrieval_of(row: Row) -> dict[str, dict[str, list[float]]]:
    """Word retrieval of a row as pair -> test -> P@1 per layer."""
    found = dict(row.get("word_retrieval") or {})
    flat = {name: values for name, values in found.items() if isinstance(values, list)}
    nested = {pair: dict(tests) for pair, tests in found.items() if isinstance(tests, Mapping)}
    return nested | ({"": flat} if flat else {})


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
    rows = {arm: eval_rows(found) for arm, found in metrics.items()}
    pairs = dict.fromkeys(
        pair for found in rows.values() for row in found for pair, t in retrieval_of(row).items() if "held_out" in t
    )
    charts = []
    for pair in pairs:
        series = []
        for arm, found in rows.items():
            measured = [(row["lm_tokens"], retrieval_of(row).get(pair, {}).get("held_out")) for row in found]
            points = [(place, sum(layers) / len(layers)) for place, layers in measured if layers]
            series.append(Series(arm_name(arm), points, arm_style(arm, list(metrics))))
        title, level, border = pair_name(pair) or "held-out words", _chance(arms, pair), _end_of_init(rows)
        y_label = "P@1, mean over layers"
        charts.append(Chart(title, "LM tokens", y_label, series, "percent", x_tokens=True, level=level, border=border))
    return charts


def layer_charts(metrics: Mapping[str, Sequence[Row]], arms: Mapping[str, Mapping[str, Any]], test: str) -> list[Chart]:
    """P@1 by layer, a chart per pair and arm, with lines for the start, the end of stage 1, and the end."""
    charts = []
    for pair in dict.fromkeys(pair for arm in arms.values() for pair in arm.get("word_retrieval") or {}):
        for arm, result in arms.items():
            moments: dict[str, list[float]] = {}
            for row in eval_rows(metrics.get(arm, [])):
                layers = next(
                    (t[test] for name, t in retrieval_of(row).items() if name in (pair, "") and test in t), None
                )
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
            if name == pair or not pair:
                chance = tests.get(test, {}).get("summary", {}).get("chance")
                return None if chance is None else ("chance", chance)
    return None

"""Measures by layer at the end of training: a chart per test, a line per arm, its mean over seeds with their band."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from prealign.evaluation.table import pair_name
from prealign.report.arms import looks
from prealign.report.curves import layer_names
from prealign.report.figures import Chart, Series
from prealign.report.moments import mean_of_lists

TaskScores = Mapping[str, Sequence[Mapping[str, Any]]]
"""Arm -> the scores of one task, one per seed."""


class Layers(NamedTuple):
    """A measure of one model on one test."""

    values: Sequence[float]
    """One per layer: input embeddings, blocks, output rows."""
    chance: float | None


def word_charts(scores: TaskScores) -> list[Chart]:
    """P@1 of word retrieval by layer, a chart per language pair and test."""
    return _charts(scores, _of_words, "P@1")


def sentence_charts(scores: TaskScores) -> list[Chart]:
    """MEXA by layer, a chart per set of sentences and way of pooling its tokens."""
    return _charts(scores, _of_sentences, "MEXA")


def _of_words(scores: Mapping[str, Any]) -> dict[str, Layers]:
    return {
        f"{pair_name(pair)}, {test.replace('_', ' ')}": Layers(found["p_at_1"], found["summary"].get("chance"))
        for pair, tests in scores.items()
        for test, found in tests.items()
    }


def _of_sentences(scores: Mapping[str, Any]) -> dict[str, Layers]:
    return {
        f"{pair_name(name)}, {pooling}": Layers(one["mexa"], one["summary"].get("mexa_chance"))
        for name, found in scores.items()
        for pooling, one in {"mean": found, **found.get("poolings", {})}.items()
    }


def _charts(scores: TaskScores, read: Callable[[Mapping[str, Any]], dict[str, Layers]], y_label: str) -> list[Chart]:
    """All charts of one measure, with one scale."""
    found = {arm: [read(one) for one in seeds] for arm, seeds in scores.items()}
    tests = dict.fromkeys(test for seeds in found.values() for one in seeds for test in one)
    charts = [
        _chart(test, y_label, {arm: [one[test] for one in seeds if test in one] for arm, seeds in found.items()})
        for test in tests
    ]
    top = max((y for chart in charts for series in chart.series for _, y in series.values()), default=None)
    return [replace(chart, top=top) for chart in charts]


def _chart(title: str, y_label: str, arms: Mapping[str, Sequence[Layers]]) -> Chart:
    look = looks(list(arms))
    series = []
    for arm, seeds in arms.items():
        if seeds:
            lists = [one.values for one in seeds]
            points = [(float(layer), value) for layer, value in enumerate(mean_of_lists(lists))]
            edges = [(float(layer), min(values), max(values)) for layer, values in enumerate(zip(*lists, strict=True))]
            series.append(Series(arm, points, look[arm], edges if len(lists) > 1 else []))
    sizes = {len(one.points) for one in series}
    names = layer_names(max(sizes))
    ends = {0.0: names[0], len(names) - 1.0: names[-1]} if len(sizes) == 1 else {0.0: names[0]}
    x_label = "layer" if len(sizes) == 1 else "layer; each line ends with the output rows"
    chances = {one.chance for seeds in arms.values() for one in seeds if one.chance is not None}
    level = ("chance", chances.pop()) if len(chances) == 1 else None  # runs side by side may have other tests
    return Chart(title, x_label, y_label, series, "percent", x_names=ends, level=level)

"""Training losses over the steps: the rows of all arms and seeds in, a chart per loss out, a line per arm.

A row of kind "train" in metrics.jsonl is {"stage", "step", "loss": {name: mean}, "loss_by_language": {name: {language:
mean}}, "loss_by_layer": {name: [mean or nothing per layer]}, ...} and stands for the steps since the row before. Steps
of stage 2 count on from those of stage 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from prealign.report.arms import looks
from prealign.report.curves import Metrics, layer_names
from prealign.report.figures import Chart, Series
from prealign.report.heatmap import some
from prealign.report.moments import Row, SeedRows, mean

MOST_POINTS = 40
"""On a line, about; of more rows, means of neighbours are drawn."""
MOST_LAYERS = 6
NAMES = {
    "lm": ("Language model", "nats per predicted token"),
    "tlm": ("Sentence pairs read as one", "nats per predicted token"),
    "pairs_as_text": ("Sentences of pairs, read alone", "nats per predicted token"),
    "sentence_alignment": ("Contrast of translations", "nats per sentence"),
    "alignment": ("Alignment of words", "nats per word"),
}
"""Loss -> what the page calls it, and its unit."""

Pick = Callable[[Row], float | None]


class Told(NamedTuple):
    """A loss of one row."""

    step: int
    """Counted from the start of stage 1."""
    loss: float


Place = tuple[str, int]
"""Stage and its own step."""


def loss_charts(metrics: Metrics) -> list[Chart]:
    """Every loss: a chart each, a line per arm that has it, with a band from the lowest to the highest seed."""
    names = dict.fromkeys(name for row in _rows(metrics) for name in row.get("loss") or {})
    order = [name for name in NAMES if name in names] + [name for name in names if name not in NAMES]
    return _drawn(_chart(metrics, *_named(name), _whole(name)) for name in order)


def language_charts(metrics: Metrics) -> list[Chart]:
    """Losses that are told by language: a chart per loss and language, without bands."""
    found = dict.fromkeys(
        (name, code)
        for row in _rows(metrics)
        for name, parts in (row.get("loss_by_language") or {}).items()
        for code in parts
    )
    return _drawn(
        _chart(metrics, f"{title}, {code}", unit, _of_language(name, code), banded=False)
        for name, code in found
        for title, unit in [_named(name)]
    )


def layer_charts(metrics: Metrics) -> list[Chart]:
    """Losses that are told by layer: a chart per loss and layer, of many layers some, without bands."""
    sizes: dict[str, int] = {}
    for row in _rows(metrics):
        for name, parts in (row.get("loss_by_layer") or {}).items():
            sizes[name] = max(sizes.get(name, 0), len(parts))
    return _drawn(
        _chart(metrics, f"{title}, layer {layer_names(n)[layer]}", unit, _of_layer(name, layer), banded=False)
        for name, n in sizes.items()
        for title, unit in [_named(name)]
        for layer in some(n, MOST_LAYERS)
    )


def course(seeds: SeedRows, pick: Pick) -> tuple[list[tuple[float, float]], list[tuple[float, float, float]]]:
    """One loss of one arm, of the rows that every seed has.

    Returns:
        (step, mean over seeds), and (step, lowest, highest seed), which is empty where seeds do not differ.
    """
    found = [told for rows in seeds.values() if (told := _told(rows, pick))]
    common = [place for place in found[0] if all(place in told for told in found)] if found else []
    points, band = [], []
    for group in _groups(common):
        step = mean([told[group[-1]].step for told in found])
        losses = [mean([told[place].loss for place in group]) for told in found]
        points.append((step, mean(losses)))
        band.append((step, min(losses), max(losses)))
    return points, band if any(low < high for _, low, high in band) else []


def _told(rows: Sequence[Row], pick: Pick) -> dict[Place, Told]:
    """The rows of one training that have this loss."""
    trained = [row for row in rows if row.get("kind") == "train"]
    of_init = max((row["step"] for row in trained if row["stage"] == "init"), default=0)
    found = {}
    for row in trained:
        loss = pick(row)
        if loss is not None and math.isfinite(loss):
            start = 0 if row["stage"] == "init" else of_init
            found[row["stage"], row["step"]] = Told(start + row["step"], loss)
    return found


def _groups(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    """Neighbours that become one point; none across the border of the stages."""
    size = max(1, math.ceil(len(places) / MOST_POINTS))
    for _, of_stage in groupby(places, key=lambda place: place[0]):
        same = list(of_stage)
        yield from (same[start : start + size] for start in range(0, len(same), size))


def _chart(metrics: Metrics, title: str, unit: str, pick: Pick, banded: bool = True) -> Chart:
    """A line per arm that has this loss."""
    look = looks(list(metrics))
    series = []
    for arm, seeds in metrics.items():
        points, band = course(seeds, pick)
        if points:
            series.append(Series(arm, points, look[arm], band if banded else []))
    drawn = {one.name: metrics[one.name] for one in series}
    steps = [row["step"] for row in _rows(drawn) if row["stage"] == "init"]
    border = ("end of stage 1", float(max(steps))) if steps else None
    return Chart(title, "training steps", unit, series, x_counts=True, border=border, dots=False)


def _drawn(charts: Iterator[Chart]) -> list[Chart]:
    return [chart for chart in charts if not chart.is_empty()]


def _rows(metrics: Metrics) -> Iterator[Row]:
    """The training rows of all arms and seeds."""
    return (row for seeds in metrics.values() for rows in seeds.values() for row in rows if row.get("kind") == "train")


def _named(name: str) -> tuple[str, str]:
    """What the page calls a loss, and its unit."""
    return NAMES.get(name, (name.replace("_", " ").capitalize(), "loss"))


def _whole(name: str) -> Pick:
    return lambda row: (row.get("loss") or {}).get(name)


def _of_language(name: str, code: str) -> Pick:
    return lambda row: _part(row, "loss_by_language", name).get(code)


def _of_layer(name: str, layer: int) -> Pick:
    def pick(row: Row) -> float | None:
        losses: Sequence[float | None] = (row.get("loss_by_layer") or {}).get(name) or ()
        return losses[layer] if layer < len(losses) else None

    return pick


def _part(row: Row, kind: str, name: str) -> Mapping[str, float]:
    return (row.get(kind) or {}).get(name) or {}

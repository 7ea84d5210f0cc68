"""The sections of a page about what was measured: one or more for every task, whatever its name; then the losses.

The tasks that have a course over training or values by layer are drawn, and keep the table of all their measures folded
up under the first drawing; every other task is its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from prealign.evaluation.comparison import Comparison
from prealign.evaluation.statistics import comparisons
from prealign.evaluation.table import Table
from prealign.report import curves, layers, losses, tables
from prealign.report.figures import Chart, Series
from prealign.report.heatmap import HeatMap
from prealign.report.runs import Run

TRANSFER, KNOWLEDGE, LM_EVAL = "transfer", "knowledge", "lm_eval"
"""The first words of the names of tasks that are told about in words."""


class Captioned(NamedTuple):
    """A table of a section."""

    caption: str
    table: Table
    folded: bool
    """Whether a reader has to open it."""


@dataclass(frozen=True, slots=True)
class Section:
    """Charts or heat maps that belong together, and tables."""

    name: str
    """For file names."""
    heading: str
    text: str = ""
    charts: Sequence[Chart] = ()
    maps: Sequence[HeatMap] = ()
    tables: Sequence[Captioned] = ()

    @property
    def is_drawn(self) -> bool:
        return bool(self.charts or self.maps)

    @property
    def lines(self) -> list[Series]:
        """All lines, for the legend."""
        return [series for chart in self.charts for series in chart.series if series.points]


def sections(run: Run) -> list[Section]:
    """The sections of all tasks, in the order of results.json."""
    rows: dict[str, list[Comparison]] = {}
    for row in comparisons(run.results):
        rows.setdefault(row.task, []).append(row)
    found: list[Section] = []
    for task in _tasks(run):
        drawn = [section for section in DRAWINGS.get(task, _nothing)(run) if section.is_drawn]
        first, *others = drawn or [_plain(task)]
        found += [replace(first, tables=list(_of_task(run, task, rows.get(task, []), bool(drawn)))), *others]
    return [*found, *(section for section in _training(run) if section.is_drawn)]


def task_scores(run: Run, task: str) -> dict[str, list[Mapping[str, Any]]]:
    """Arm -> the scores of one task, of the seeds that have it."""
    return {
        arm: [model["tasks"][task]["scores"] for model in models if task in model["tasks"]]
        for arm, models in run.results["arms"].items()
    }


def _tasks(run: Run) -> list[str]:
    models = [model for seeds in run.results["arms"].values() for model in seeds]
    return list(dict.fromkeys(task for model in models for task in model["tasks"]))


def _of_task(run: Run, task: str, rows: Sequence[Comparison], folded: bool) -> Iterator[Captioned]:
    arms = run.results["arms"]
    if rows:
        table = tables.measures_table(rows)
        extra = tables.knowledge_notes(arms) if task == KNOWLEDGE else []
        yield Captioned("All measures", replace(table, notes=[*extra, *table.notes]), folded)
    if task.startswith(TRANSFER) and (said := tables.confusion_table(arms, task)).rows:
        yield Captioned("What was said of each class", said, True)


def _plain(task: str) -> Section:
    """A task without drawings."""
    name = task.replace(" ", "-")
    kind, _, rest = task.partition(" ")
    if kind == TRANSFER:
        return Section(
            name,
            f"Transfer: {rest}",
            "A classifier was fine-tuned in the language of its training set and tested in every language, with "
            "nothing learnt there. Accuracy, and what guessing gives.",
        )
    if kind == KNOWLEDGE:
        return Section(
            name,
            "Invented knowledge",
            "Facts that exist nowhere were read in one language only; asked in each language, how often is the right "
            "answer ranked first of its candidates?",
        )
    if kind == LM_EVAL:
        return Section(name, f"lm-evaluation-harness: {rest}")
    return Section(name, task.replace("_", " "))


def _nothing(run: Run) -> Iterator[Section]:
    yield from ()


def _bits_per_byte(run: Run) -> Iterator[Section]:
    yield Section(
        "bits",
        "Bits per byte over training",
        "A fixed sample of the validation documents; lower is better. The vertical axes do not start at zero.",
        curves.text_charts(run.metrics, "bits_per_byte", "bits per byte"),
    )


def _masked_lm_loss(run: Run) -> Iterator[Section]:
    yield Section(
        "masked-lm-loss",
        "Masked LM loss over training",
        "Nats per hidden token on a fixed sample of the validation documents; lower is better. The vertical axes do "
        "not start at zero.",
        curves.text_charts(run.metrics, "masked_lm_loss", "nats per hidden token"),
    )


def _word_retrieval(run: Run) -> Iterator[Section]:
    scores = task_scores(run, "word_retrieval")
    guesses: dict[str, set[float]] = {}
    for found in (found for seeds in scores.values() for found in seeds):
        for pair, tests in found.items():
            if "held_out" in tests:
                guesses.setdefault(pair, set()).add(tests["held_out"]["summary"]["chance"])
    chances = {pair: values.pop() for pair, values in guesses.items() if len(values) == 1}
    yield Section(
        "retrieval-layers",
        "Word retrieval by layer",
        "At the end of training, isolated words, cosine: P@1, mean of both directions. Layer “in” is the input "
        "embeddings, “out” the output rows.",
        layers.word_charts(scores),
    )
    yield Section(
        "retrieval-course",
        "Retrieval of held-out words over training",
        "P@1, mean over layers and both directions: does alignment last while language modelling goes on?",
        curves.retrieval_charts(run.metrics, chances),
    )
    yield Section(
        "retrieval-heat",
        "Retrieval of held-out words by layer and time",
        "P@1, mean of both directions and over seeds. A column is a measurement, a row a layer, from the input "
        "embeddings at the bottom to the output rows at the top.",
        maps=curves.heat_maps(run.metrics),
    )
    yield Section(
        "cosine",
        "Are words still different?",
        "Mean cosine between all held-out words of a pair, translations or not: near 1 all words have become one.",
        curves.held_out_charts(run.metrics, "word_cosine", "mean cosine, mean over layers"),
    )
    yield Section(
        "word-loss",
        "Alignment loss of held-out words over training",
        "The loss of stage 1 on words that are never trained, mean over layers; lower is better.",
        curves.held_out_charts(run.metrics, "word_loss", "loss, mean over layers"),
    )


def _words_in_context(run: Run) -> Iterator[Section]:
    yield Section(
        "context-layers",
        "Retrieval of words in sentences by layer",
        "At the end of training, words inside translated sentences: P@1, mean of both directions.",
        layers.word_charts(task_scores(run, "words_in_context")),
    )


def _sentence_retrieval(run: Run) -> Iterator[Section]:
    yield Section(
        "sentences",
        "Sentences: MEXA by layer",
        "Share of sentence pairs that are each other's nearest. A sentence is the mean of its tokens, its last token, "
        "or a mean with weights that grow towards its end. Layer “in” is the input embeddings, “out” the output rows.",
        layers.sentence_charts(task_scores(run, "sentence_retrieval")),
    )


def _training(run: Run) -> Iterator[Section]:
    """What was learnt from, rather than measured."""
    charts = losses.loss_charts(run.metrics)
    on = (
        " Stage 2 counts its steps on from stage 1; there, the lines of arms with the same start lie on each other."
        if any(chart.border for chart in charts)
        else ""
    )
    yield Section(
        "losses",
        "Training losses",
        f"What each arm is trained on, a chart per loss.{on} The vertical axes do not start at zero.",
        charts,
    )
    yield Section(
        "losses-languages",
        "Training losses by language",
        "Means over seeds.",
        losses.language_charts(run.metrics),
    )
    yield Section(
        "losses-layers",
        "Training losses by layer",
        "Means over seeds. Layer “in” is the input embeddings, “out” the output rows; of many layers some are drawn.",
        losses.layer_charts(run.metrics),
    )


DRAWINGS: Mapping[str, Callable[[Run], Iterator[Section]]] = {
    "bits_per_byte": _bits_per_byte,
    "masked_lm_loss": _masked_lm_loss,
    "word_retrieval": _word_retrieval,
    "words_in_context": _words_in_context,
    "sentence_retrieval": _sentence_retrieval,
}

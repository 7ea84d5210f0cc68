"""What a training stage says about its own measurements: words that collapse into one, a language that is forgotten,
a goal that is reached.

Everything is decided from the rows of metrics.jsonl, those of before an interruption included.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from prealign.errors import PrealignError
from prealign.evaluation.harness import HELD_OUT, TRAINED

log = logging.getLogger(__name__)

COLLAPSED = 0.9
"""Mean cosine between all words of a layer from which on it tells them apart badly."""
RISEN = 0.05
"""Rise over the start before a layer counts as collapsed: GPT-2 and others have such cosines by nature."""

Row = Mapping[str, Any]


class Watch:
    """Looks at each measurement of a stage.

    Args:
        before: the stage's measurements so far, in order; the first one is the start. Those from the step of the next
            one on, as a kill after the last checkpoint leaves them, count no more.
        chance: pair -> P@1 of held-out words by chance.
        guard: language -> share by which its bits per byte may rise over the start.
        aligns: whether words are aligned in this stage; others have nothing that could collapse.
    """

    def __init__(
        self, before: Sequence[Row], chance: Mapping[str, float], guard: Mapping[str, float], aligns: bool
    ) -> None:
        self._rows, self._chance, self._guard, self._aligns = list(before), chance, guard, aligns
        self._warned = False

    def __call__(self, row: Row) -> None:
        """Take in a measurement.

        Raises:
            PrealignError: a guarded language got worse by more than its share.
        """
        self._rows = [*(other for other in self._rows if other["step"] < row["step"]), row]
        if problems := degraded(self._rows[0], row, self._guard):
            raise PrealignError.of_several(
                f"A guarded language got worse than init.guard allows, so stage 1 stops at step {row['step']:,}. Allow "
                "more, and the same command goes on from the last checkpoint, or from the start where there is none. "
                "Or lower init.optimizer.learning_rate or init.alignment_weight, or give the language more of the "
                "running text (languages.*.share, init.lm_rows_per_step), and start the stage anew with --fresh init. "
                "Found:",
                problems,
            )
        if self._aligns and not self._warned and (sign := collapse(self._rows, self._chance)):
            self._warned = True
            log.warning(
                "words are collapsing into one: %s. Take init.temperature near 0.1, a lower learning rate, or an "
                "init.collapse_weight of 0.1 to 1, and start the stage anew with --fresh init", sign
            )  # fmt: skip


def degraded(start: Row, now: Row, guard: Mapping[str, float]) -> list[str]:
    """The guarded languages that got worse than at the start by more than their share, as sentences.

    Measured in bits per byte, for masked language models in their loss.
    """
    measure, found = "bits_per_byte" if "bits_per_byte" in now else "masked_lm_loss", []
    for code, share in guard.items():
        before, after = (row[measure][code] for row in (start, now))
        if after > before * (1 + share):
            found.append(
                f"{code}: {before:.3f} {measure.replace('_', ' ')} at the start, {after:.3f} now, a rise of "
                f"{after / before - 1:.1%} where {share:.1%} is allowed"
            )
    return found


def collapse(rows: Sequence[Row], chance: Mapping[str, float]) -> str | None:
    """What looks like a collapse in the last of some measurements, or None.

    Two signs: at half of the layers or more the mean cosine over all held-out words, or trained words where none are
    held out, is above 0.9, and higher than it was at the start; or retrieval of held-out words, once at three times
    chance or more, is back at chance while the mean cosine has risen by 0.1.
    """
    start, now = rows[0], rows[-1]
    for pair, tests in (now.get("word_cosine") or {}).items():
        test = HELD_OUT if HELD_OUT in tests else TRAINED
        layers = tests.get(test)
        at_start = (start.get("word_cosine") or {}).get(pair, {}).get(test)
        if not layers or not at_start:
            continue
        high = [value for value, before in zip(layers, at_start) if value > COLLAPSED and value - before > RISEN]
        if len(high) >= len(layers) / 2:
            return (
                f"{pair}: the mean cosine between all words is over {COLLAPSED} at {len(high)} of {len(layers)} layers"
            )
        courses = [(_mean(row, "word_retrieval", pair), _mean(row, "word_cosine", pair)) for row in rows]
        best, cosine_then = max(courses, key=lambda course: course[0])
        retrieved, cosine = courses[-1]
        if pair in chance and best >= 3 * chance[pair] and retrieved <= chance[pair] and cosine > cosine_then + 0.1:
            return (
                f"{pair}: retrieval of held-out words fell from {best:.1%} to chance ({retrieved:.1%}) while the mean "
                f"cosine between all words rose from {cosine_then:.2f} to {cosine:.2f}"
            )
    return None


def reached(row: Row, goal: float) -> bool:
    """Whether P@1 of held-out words, mean over all layers and both directions, is at the goal in every pair."""
    tests = [found[HELD_OUT] for found in row["word_retrieval"].values() if HELD_OUT in found]
    found = [sum(layers) / len(layers) for layers in tests]
    return bool(found) and min(found) >= goal


def _mean(row: Row, measure: str, pair: str) -> float:
    """Mean over layers of a measure of the held-out words; 0 where it was not measured."""
    layers = (row.get(measure) or {}).get(pair, {}).get(HELD_OUT) or [0.0]
    return float(sum(layers) / len(layers))

"""The questions of a run and their answers in sentences, computed from the numbers and no stronger than they are.

Arms of words ask what the whole method changes against the baseline, and what each half does alone. Arms of sentence
pairs ask what each loss that is added changes, against the arm before it and against the baseline. A run with both asks
both. Caveats follow. Only headline measures speak.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prealign.evaluation.comparison import Comparison
from prealign.evaluation.comparison_table import arms_text, chance_text, unequal_text, when_real
from prealign.evaluation.statistics import comparisons
from prealign.evaluation.table import listed
from prealign.report.added import FIRST, Step, against_baseline_text, more_text, pair_arms, steps, steps_text
from prealign.report.arms import arm_name
from prealign.report.changes import Rows, by_title, changes
from prealign.report.halves import halves_text

OF_WORDS = (
    "Does it pay to align words across languages before pretraining, and to keep them aligned by code-switching, "
    "compared with joint training on the same text?"
)
OF_SENTENCES = (
    "Do translations of sentences find each other better with each loss over sentence pairs that is added to language "
    "modelling?"
)
CONTROL, METHOD = "joint", "prealign"
FEW_SEEDS = 6


def question(arms: Collection[str]) -> str:
    """What a run with these arms asks."""
    of_pairs = pair_arms(arms)
    of_words = set(arms) - {CONTROL, *of_pairs}
    return " ".join([*([OF_WORDS] if of_words or not of_pairs else []), *([OF_SENTENCES] if of_pairs else [])])


def answer(results: Mapping[str, Any], found: Sequence[Step] | None = None) -> list[str]:
    """Sentences on `prealign`, or the first other arm of words where it was not trained, and on arms of sentence pairs.

    Args:
        results: results.json (see `stages.evaluate`).
        found: the steps between arms of sentence pairs; none: made from the results, without items.
    """
    arms, baseline = list(results["arms"]), results.get("baseline") or CONTROL
    others = [arm for arm in arms if arm != baseline]
    if not arms:
        return ["No arm was measured, so there is nothing to compare."]
    if len(arms) > 1 and "baseline" in results and results["baseline"] is None:
        return [f"{listed(arms)} were measured; none was named as the baseline, so their differences are not tested."]
    if baseline not in arms or not others:
        verb = "was" if len(arms) == 1 else "were"
        only = f"Only {listed([arm_name(arm) for arm in arms])} {verb} measured, so there is nothing to compare."
        return [only, *_no_control(arms)]
    rows = by_title(comparisons(results))
    n_seeds = len(results.get("seeds") or [0])
    several = f" (mean of {n_seeds} seeds)" if n_seeds > 1 else ""
    of_pairs = pair_arms(others)
    of_words = [arm for arm in others if arm not in of_pairs]
    treated = [METHOD] if METHOD in of_words else of_words[:1]
    said = [text for arm in treated for text in _of_words(rows, arm, baseline, others, several)]
    if of_pairs:
        said += _of_sentences(results, steps(results) if found is None else found, baseline, several)
    compared = [*treated, *of_pairs]
    if not said:
        return [f"Nothing was measured for both {arm_name(baseline)} and {arm_name(compared[0])}."]
    return [*said, *_guessing(rows), *_no_control(arms), *_caveats(results, rows, compared)]


def _of_words(rows: Rows, treated: str, baseline: str, others: Sequence[str], several: str) -> list[str]:
    """What the method changes, and what its halves do; nothing where no measure compares."""
    clause = changes(rows, treated, baseline)
    if not clause:
        return []
    sentences = [f"Against {arm_name(baseline)} training{several}, {arm_name(treated)} {clause}."]
    if (treated, baseline) == (METHOD, CONTROL):
        sentences.append(halves_text(rows, treated, others))
    return sentences


def _of_sentences(results: Mapping[str, Any], found: Sequence[Step], baseline: str, several: str) -> list[str]:
    """What each loss over sentence pairs adds, what the arms change together, and what they read more."""
    arms, rows = results["arms"], by_title(comparisons(results), FIRST)
    texts = [" ".join(steps_text(found, several)), against_baseline_text(rows, found, arms, baseline)]
    return [*filter(None, texts), more_text(arms)] if any(texts) else []


def _guessing(rows: Rows) -> list[str]:
    """Measures in which arms cannot be told from a guess."""
    parts = []
    for title, found in rows.items():
        arms = [arm_name(arm) for arm, row in found.items() if row.like_chance]
        if arms:
            chance = chance_text(found.values())
            parts.append(f"{title} (chance {chance}) of {arms_text(arms, [arm_name(arm) for arm in found])}")
    return [f"No different from chance, as far as the intervals tell: {'; '.join(parts)}."] if parts else []


def _caveats(results: Mapping[str, Any], rows: Rows, compared: Sequence[str]) -> list[str]:
    """What limits the answer: unequal text, few seeds, measures that do not compare."""
    sentences = []
    if unequal_text(results["arms"]):
        sentences.append("The arms have not seen equally many LM tokens, so their bits per byte do not compare.")
    apart = dict.fromkeys(
        f"{title} ({found[arm].remark})"
        for title, found in rows.items()
        for arm in compared
        if _is_left_out(found.get(arm))
    )
    if apart:
        sentences.append(f"Left out: {'; '.join(apart)}.")
    if rule := when_real(row for found in rows.values() for row in found.values()):
        sentences.append(f"Better and worse are said of what passes the test: {rule}.")
    n_seeds = max((row.n_seeds for found in rows.values() for row in found.values()), default=1)
    if n_seeds < 2:
        sentences.append(
            "This is one run per arm with one seed: how much of a difference comes from the seed is unknown, so it "
            "says something about these models and little about the method."
        )
    elif n_seeds < FEW_SEEDS:
        sentences.append(f"With {n_seeds} seeds only differences that are large or very regular can be told from none.")
    return sentences


def _no_control(arms: Sequence[str]) -> list[str]:
    if CONTROL in arms:
        return []
    return [f"The control, {arm_name(CONTROL)} training, is missing: what alignment bought cannot be said."]


def _is_left_out(row: Comparison | None) -> bool:
    return row is not None and row.difference is None and bool(row.remark)

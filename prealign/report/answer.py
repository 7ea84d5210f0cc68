"""The question of a run and its answer in sentences, computed from the numbers and no stronger than they are.

Two sentences answer: what the whole method changes against the baseline, and what each half does alone. Caveats follow.
Only headline measures speak. "Better" and "worse" are said of real differences (see `Comparison.is_real`) alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prealign.evaluation.comparison import REAL, Comparison, pair
from prealign.evaluation.comparison_table import arms_text, chance_text, signed_all, titles, unequal_text, when_real
from prealign.evaluation.statistics import comparisons
from prealign.evaluation.table import MISSING, listed, number, percent, signed
from prealign.evaluation.uncertainty import Interval, holm, t_interval, t_test
from prealign.report.arms import arm_name

QUESTION = (
    "Does it pay to align words across languages before pretraining, and to keep them aligned by code-switching, "
    "compared with joint training on the same text?"
)
CONTROL, METHOD = "joint", "prealign"
HALVES = ("init_only", "switching_only")
FEW_SEEDS = 6

Rows = Mapping[str, Mapping[str, Comparison]]
"""Title of a measure -> arm -> row."""


def answer(results: Mapping[str, Any]) -> list[str]:
    """Sentences on `prealign`, or the first other arm where it was not trained, against the baseline.

    Args:
        results: results.json (see `stages.evaluate`).
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
    treated = METHOD if METHOD in others else others[0]
    rows = _rows(results)
    changes = _changes(rows, treated, baseline, len(results.get("seeds") or [0]))
    if not changes:
        return [f"Nothing was measured for both {arm_name(baseline)} and {arm_name(treated)}."]
    sentences = [changes]
    if (treated, baseline) == (METHOD, CONTROL):
        sentences += _halves(rows, treated, [half for half in HALVES if half in others])
    return [*sentences, *_guessing(rows), *_no_control(arms), *_caveats(results, rows, treated)]


def _rows(results: Mapping[str, Any]) -> Rows:
    """Headline rows by the title of their measure."""
    rows = [row for row in comparisons(results) if row.headline]
    names = titles(rows)
    found: dict[str, dict[str, Comparison]] = {}
    for row in rows:
        found.setdefault(" ".join(names[row.key]), {})[row.arm] = row
    return found


def _changes(rows: Rows, treated: str, baseline: str, n_seeds: int) -> str:
    """What is better, worse, not tested and not secured, each with its numbers; empty if no measure compares."""
    parts: dict[str, list[str]] = {}
    for title, found in rows.items():
        row, start = found.get(treated), found.get(baseline)
        if row is None or start is None or row.difference is None:
            continue
        if row.is_real:
            parts.setdefault(_verdict(row), []).append(f"{title} ({_values(row, start)}; {_uncertainty(row, start)})")
        elif row.p_value is None:
            parts.setdefault("untested", []).append(f"{title} ({_values(row, start)})")
        elif row.p_value < REAL:
            parts.setdefault("alone", []).append(f"{title} ({_uncertainty(row, start)})")
        elif row.like_chance and start.like_chance:
            parts.setdefault("guesses", [])  # which have a sentence of their own
        else:
            parts.setdefault("nothing", []).append(f"{title} ({_uncertainty(row, start)})")
    if not parts:
        return ""
    said = [f"{verdict} in {listed(parts[verdict])}" for verdict in ("better", "worse") if verdict in parts]
    said = [f"is {'; '.join(said)}"] if said else []
    if not said and set(parts) != {"untested"}:
        said = ["is neither better nor worse beyond chance"]
    if "untested" in parts:
        said.append(f"changes {listed(parts['untested'])}, untested")
    if "alone" in parts:
        said.append(f"a difference would count alone, but not among so many tests, in {listed(parts['alone'])}")
    if "nothing" in parts:
        said.append(f"no difference is secured in {listed(parts['nothing'])}")
    seeds = f" (mean of {n_seeds} seeds)" if n_seeds > 1 else ""
    return f"Against {arm_name(baseline)} training{seeds}, {arm_name(treated)} {'; '.join(said)}."


def _halves(rows: Rows, treated: str, halves: Sequence[str]) -> list[str]:
    """What each half does alone, and whether both together do more."""
    missing = [arm_name(half) for half in HALVES if half not in halves]
    not_there = f"{listed(missing)} {'was' if len(missing) == 1 else 'were'} not trained" if missing else ""
    if not halves:
        return [f"Which half of the method does it stays open: {not_there}."]
    parts = []
    for half in halves:
        said: dict[str, list[str]] = {}
        measured = {title: found[half] for title, found in rows.items() if half in found}
        for title, row in measured.items():
            if row.is_real:
                said.setdefault(_verdict(row), []).append(f"{title} ({_interval(row)})")
        texts = [f"{verdict} in {listed(those)}" for verdict, those in sorted(said.items())]
        tested = any(row.p_value is not None for row in measured.values())
        nothing = "neither better nor worse beyond chance" if tested else "untested"
        parts.append(f"{arm_name(half)} is {listed(texts) or nothing}")
    together = _beyond_halves(rows, treated, halves)
    return [f"Of its halves alone, {'; '.join([*parts, *together, *filter(None, [not_there])])}."]


def _beyond_halves(rows: Rows, treated: str, halves: Sequence[str]) -> list[str]:
    """Both halves together against each one, where both together differ from the baseline: paired t tests over seeds,
    with Holm's correction over these measures."""
    parts = []
    for half in halves:
        pairs = {
            title: (arms[treated], pair(arms[treated], arms[half]))
            for title, arms in rows.items()
            if half in arms and treated in arms and arms[treated].is_real
        }
        found = {title: p_value for title, (_, both) in pairs.items() if (p_value := t_test(both)) is not None}
        said: dict[str, list[str]] = {}
        for title, p_value in zip(found, holm(list(found.values()))):
            row, both = pairs[title]
            interval = t_interval(both)
            if p_value < REAL and interval is not None:
                verdict = "better" if (sum(both) > 0) == (row.better == "higher") else "worse"
                said.setdefault(verdict, []).append(f"{title} ({_span(row, interval)})")
        clauses = [f"{verdict} than {arm_name(half)} in {listed(those)}" for verdict, those in sorted(said.items())]
        n_open = len(found) - sum(map(len, said.values()))
        if n_open:
            where = f"the other {n_open}" if said else "any of these"
            clauses.append(f"not told apart from {arm_name(half)} in {where}")
        if clauses:
            parts.append(f"both together are {' and '.join(clauses)}")
    return parts


def _guessing(rows: Rows) -> list[str]:
    """Measures in which arms cannot be told from a guess."""
    parts = []
    for title, found in rows.items():
        arms = [arm_name(arm) for arm, row in found.items() if row.like_chance]
        if arms:
            chance = chance_text(found.values())
            parts.append(f"{title} (chance {chance}) of {arms_text(arms, [arm_name(arm) for arm in found])}")
    return [f"No different from chance, as far as the intervals tell: {'; '.join(parts)}."] if parts else []


def _caveats(results: Mapping[str, Any], rows: Rows, treated: str) -> list[str]:
    """What limits the answer: unequal text, few seeds, measures that do not compare."""
    sentences = []
    if unequal_text(results["arms"]):
        sentences.append("The arms have not seen equally many LM tokens, so their bits per byte do not compare.")
    apart = [f"{title} ({found[treated].remark})" for title, found in rows.items() if _is_left_out(found.get(treated))]
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


def _verdict(row: Comparison) -> str:
    """Better or worse, by the sign of the difference."""
    return "better" if (row.gain or 0.0) > 0 else "worse"


def _values(row: Comparison, start: Comparison) -> str:
    """From the baseline's value to the arm's: "2.575 to 2.531, −1.7 %"."""
    if row.mean is None or start.mean is None:
        return MISSING
    if row.form == "share":
        return f"{percent(start.mean)} to {percent(row.mean)}"
    relative = f", {signed(100 * (row.mean / start.mean - 1), 1)}\N{NO-BREAK SPACE}%" if start.mean else ""
    return f"{number(start.mean, 3)} to {number(row.mean, 3)}{relative}"


def _uncertainty(row: Comparison, start: Comparison) -> str:
    """Interval of the difference and agreement of the seeds: "difference −0.048 to −0.042, better in 3 of 3 seeds"."""
    agreement = ""
    if row.n_pairs > 1:
        sign = 1 if (_verdict(row) == "better") == (row.better == "higher") else -1
        n_alike = sum(sign * difference > 0 for difference in pair(row, start))
        agreement = ", equal in all seeds" if row.is_equal else f", {_verdict(row)} in {n_alike} of {row.n_pairs} seeds"
    return f"difference {_interval(row)}{agreement}"


def _interval(row: Comparison) -> str:
    """The interval of the difference, or the difference where it has none."""
    if row.difference_low is not None and row.difference_high is not None:
        return _span(row, Interval(row.difference_low, row.difference_high))
    (text,), unit = signed_all([row.difference or 0.0], row.form)
    return text + unit


def _span(row: Comparison, interval: Interval) -> str:
    """Both ends of an interval of differences in the measure's unit."""
    (low, high), unit = signed_all(interval, row.form)
    return f"{low} to {high}{unit}"

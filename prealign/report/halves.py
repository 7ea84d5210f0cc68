"""What each half of the method does alone, and whether both together do more than one: in words, for the answer."""

from __future__ import annotations

from collections.abc import Sequence

from prealign.evaluation.comparison import REAL, pair
from prealign.evaluation.table import listed
from prealign.evaluation.uncertainty import holm, t_interval, t_test
from prealign.report.arms import arm_name
from prealign.report.changes import Rows, in_short, span

HALVES = ("init_only", "switching_only")


def halves_text(rows: Rows, treated: str, trained: Sequence[str]) -> str:
    """The sentence on both halves.

    Args:
        rows: with differences to the baseline.
        treated: the arm with both halves.
    """
    halves = [half for half in HALVES if half in trained]
    missing = [arm_name(half) for half in HALVES if half not in halves]
    not_there = f"{listed(missing)} {'was' if len(missing) == 1 else 'were'} not trained" if missing else ""
    if not halves:
        return f"Which half of the method does it stays open: {not_there}."
    parts = [f"{arm_name(half)} is {in_short(rows, half)}" for half in halves]
    together = _beyond_halves(rows, treated, halves)
    return f"Of its halves alone, {'; '.join([*parts, *together, *filter(None, [not_there])])}."


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
                said.setdefault(verdict, []).append(f"{title} ({span(row, interval)})")
        clauses = [f"{verdict} than {arm_name(half)} in {listed(those)}" for verdict, those in sorted(said.items())]
        n_open = len(found) - sum(map(len, said.values()))
        if n_open:
            where = f"the other {n_open}" if said else "any of these"
            clauses.append(f"not told apart from {arm_name(half)} in {where}")
        if clauses:
            parts.append(f"both together are {' and '.join(clauses)}")
    return parts

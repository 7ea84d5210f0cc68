"""What a comparison says in words: better, worse, not tested or not secured, each with its numbers.

"Better" and "worse" are said of real differences (see `Comparison.is_real`) alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prealign.evaluation.comparison import REAL, Comparison, pair
from prealign.evaluation.comparison_table import signed_all, titles
from prealign.evaluation.table import MISSING, listed, number, percent, signed
from prealign.evaluation.uncertainty import Interval

Rows = Mapping[str, Mapping[str, Comparison]]
"""Title of a measure -> arm -> row."""


def by_title(rows: Iterable[Comparison], first: str = "") -> Rows:
    """Headline rows by the title of their measure.

    Args:
        first: the task whose measures stand first.
    """
    headlines = sorted((row for row in rows if row.headline), key=lambda row: row.task != first)
    names = titles(headlines)
    found: dict[str, dict[str, Comparison]] = {}
    for row in headlines:
        found.setdefault(" ".join(names[row.key]), {})[row.arm] = row
    return found


def changes(rows: Rows, treated: str, baseline: str) -> str:
    """What an arm changes in each measure, as a clause that follows its name; empty if no measure compares.

    Args:
        rows: with differences to the baseline.
    """
    parts: dict[str, list[str]] = {}
    for title, found in rows.items():
        row, start = found.get(treated), found.get(baseline)
        if row is None or start is None or row.difference is None:
            continue
        if row.is_real:
            parts.setdefault(verdict(row), []).append(
                f"{title} ({values_text(row, start)}; {_uncertainty(row, start)})"
            )
        elif row.p_value is None:
            parts.setdefault("untested", []).append(f"{title} ({values_text(row, start)})")
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
    return "; ".join(said)


def in_short(rows: Rows, arm: str) -> str:
    """In which measures an arm is better or worse than the baseline, each with its interval."""
    measured = {title: found[arm] for title, found in rows.items() if arm in found}
    said: dict[str, list[str]] = {}
    for title, row in measured.items():
        if row.is_real:
            said.setdefault(verdict(row), []).append(f"{title} ({interval_text(row)})")
    texts = [f"{verdict} in {listed(those)}" for verdict, those in sorted(said.items())]
    tested = any(row.p_value is not None for row in measured.values())
    return listed(texts) or ("neither better nor worse beyond chance" if tested else "untested")


def verdict(row: Comparison) -> str:
    """Better or worse, by the sign of the difference."""
    return "better" if (row.gain or 0.0) > 0 else "worse"


def interval_text(row: Comparison) -> str:
    """The interval of the difference, or the difference where it has none."""
    if row.difference_low is not None and row.difference_high is not None:
        return span(row, Interval(row.difference_low, row.difference_high))
    (text,), unit = signed_all([row.difference or 0.0], row.form)
    return text + unit


def span(row: Comparison, interval: Interval) -> str:
    """Both ends of an interval of differences in the measure's unit."""
    (low, high), unit = signed_all(interval, row.form)
    return f"{low} to {high}{unit}"


def values_text(row: Comparison, start: Comparison) -> str:
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
        sign = 1 if (verdict(row) == "better") == (row.better == "higher") else -1
        n_alike = sum(sign * difference > 0 for difference in pair(row, start))
        agreement = ", equal in all seeds" if row.is_equal else f", {verdict(row)} in {n_alike} of {row.n_pairs} seeds"
    return f"difference {interval_text(row)}{agreement}"

"""The comparison of arms as tables: values and differences of all headline measures, and the notes that they need.

What each column shows and under which conditions is decided here once, for the terminal, Markdown and the report's
page. Needs no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from prealign.config.arms import PLANS, Plan
from prealign.evaluation.comparison import REAL, Comparison
from prealign.evaluation.statistics import comparisons
from prealign.evaluation.table import MISSING, Table, listed, number, p_text, percent, signed, tokens

MARK = "*"
UPPER_BOUND_NOTE = (
    "full_alignment is an upper bound: it reads a cloned language in the ids of the language that it is a clone of. "
    "Retrieval between the two is left out for it, since everything would find itself."
)
PAIRS_NOTE = (
    "{}: sentence pairs come on top of the running text that all arms read (LM tokens, pairs), so these arms see more "
    "text and compute more in each step than joint."
)
TEXT_NOTE = "pairs_as_text reads the pairs of tlm with each sentence alone: the control that has equally much text."
CONTRAST_NOTE = "{}: sentences that are contrasted count in FLOPs, and not as LM tokens."
TOKENS = ("init", "pretrain", "pairs")
"""What LM tokens come from: text of stage 1, text of pretraining, sentence pairs."""

Names = Mapping[tuple[str, str, str], tuple[str, str]]
"""Key of a measure -> both lines of its column."""


def comparison_table(results: Mapping[str, Any]) -> Table:
    """Arms against headline measures: mean ± half of the 95 % interval, a mark where an arm differs from the baseline.

    Args:
        results: results.json (see `stages.evaluate`). What is missing shows as a dash.
    """
    rows = [row for row in comparisons(results) if row.headline]
    names, arms = titles(rows), results["arms"]
    columns = {title: {row.arm: row for row in rows if names[row.key] == title} for title in names.values()}
    header = [("arm", ""), *columns]
    lines = [[arm, *(value_text(found.get(arm)) for found in columns.values())] for arm in arms]
    if any(row.chance is not None for row in rows):
        lines.append(["chance", *(chance_text(found.values()) for found in columns.values())])
    counted = {name for parts in arms.values() for name in _lm_tokens(parts)}
    for stage in (name for name in TOKENS if name in counted):
        header.append(("LM tokens", stage))
        for line, text in zip(lines, [*(tokens(_lm_tokens(parts).get(stage)) for parts in arms.values()), ""]):
            line.append(text)
    notes = [*_measure_notes(rows, names), *_chance_notes(rows, names), *_method_notes(rows, results.get("baseline"))]
    return Table(
        header, lines, [*notes, *_remark_notes(rows, names), *_arm_notes(arms), *_token_notes(arms), *_pair_notes(arms)]
    )


def difference_table(results: Mapping[str, Any]) -> Table:
    """Every headline measure of every arm against the baseline: difference with its interval, p values, seeds."""
    baseline = results.get("baseline")
    return _differences([row for row in comparisons(results) if row.arm != baseline], str(baseline))


def step_table(steps: Mapping[str, tuple[str, Sequence[Comparison]]]) -> Table:
    """The same for arms that are compared with another one each.

    Args:
        steps: arm -> the one that it is compared with, and the rows of both.
    """
    rows = [row for arm, (_, found) in steps.items() for row in found if row.arm == arm]
    order = {title: place for place, title in enumerate(dict.fromkeys(row.key for row in rows))}
    rows.sort(key=lambda row: order[row.key])
    return _differences(rows, "the arm beside it", {arm: before for arm, (before, _) in steps.items()})


def _differences(found: Sequence[Comparison], baseline: str, against: Mapping[str, str] | None = None) -> Table:
    """A row for each headline measure of each arm.

    Args:
        baseline: what the arms are compared with, as the notes name it.
        against: arm -> what it is compared with, for a column of that.
    """
    headlines = [row for row in found if row.headline]
    names = titles(headlines)
    rows = [row for row in headlines if row.difference is not None or row.remark]
    others = against or {}
    header = [("measure", ""), ("arm", ""), *([("against", "")] if others else [])]
    lead = len(header)
    lines = [[" ".join(names[row.key]), row.arm, *([others[row.arm]] if others else [])] for row in rows]
    header += [("difference", "95 % interval"), ("p", ""), ("p", "adjusted")]
    for row, line in zip(rows, lines):
        line += [difference_text(row), p_text(row.p_value), p_text(row.adjusted_p)]
    if any(row.n_pairs > 1 for row in rows):
        header.append(("better", "in seeds"))
        for row, line in zip(rows, lines):
            line.append(_better_text(row))
    notes = [f"Differences: arm minus {baseline}; pp: percentage points."] if rows else ["There is nothing to compare."]
    return Table(header, lines, [*notes, *_method_notes(rows, baseline), *_remark_notes(rows, names)], lead=lead)


def value_text(row: Comparison | None) -> str:
    """Mean ± half of its interval, with the mark of a real difference; a dash where there is no value."""
    if row is None or row.mean is None:
        return MISSING
    half = None if row.low is None or row.high is None else (row.high - row.low) / 2
    if row.form == "number":
        text = number(row.mean, 3) + ("" if half is None else f" ± {half:.3f}")
    elif half is None:
        text = percent(row.mean)
    else:
        digits = 2 if 0 < row.mean < 0.01 else 1
        text = f"{100 * row.mean:.{digits}f} ± {100 * half:.{digits}f}\N{NO-BREAK SPACE}%"
    return text + (MARK if row.is_real else "")


def difference_text(row: Comparison) -> str:
    """A difference with its sign, its interval and the mark of a real one: "−0.029 (−0.041 to −0.017)*"."""
    if row.difference is None:
        return MISSING
    ends = [end for end in (row.difference_low, row.difference_high) if end is not None]
    (middle, *interval), unit = signed_all([row.difference, *ends], row.form)
    return middle + unit + (f" ({' to '.join(interval)})" if interval else "") + (MARK if row.is_real else "")


def _better_text(row: Comparison) -> str:
    """In how many seeds the arm is better."""
    if row.better_in is None:
        return MISSING
    return "equal in all" if row.is_equal else f"{row.better_in} of {row.n_pairs}"


def signed_all(differences: Sequence[float], form: str) -> tuple[list[str], str]:
    """Differences with their signs and the unit that belongs behind them: shares in percentage points, with two
    decimals where all are below one."""
    if form == "number":
        return [signed(value, 3) for value in differences], ""
    digits = 2 if max(map(abs, differences)) < 0.01 else 1
    return [signed(100 * value, digits) for value in differences], "\N{NO-BREAK SPACE}pp"


def titles(rows: Sequence[Comparison]) -> Names:
    """Both lines of each measure's column; the task goes with names that two tasks use for the same thing."""
    keys = dict.fromkeys(row.key for row in rows)
    seen = Counter((name, of) for _, name, of in keys)
    shared = {name for (name, _), times in seen.items() if times > 1}
    return {key: (f"{key[0]} {key[1]}" if key[1] in shared else key[1], key[2]) for key in keys}


def _measure_notes(rows: Sequence[Comparison], names: Names) -> list[str]:
    """How each measure was made, once for all columns of the same name where that is the same."""
    about: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in rows:
        name, of = names[row.key]
        about.setdefault((name, row.note, row.better), {})[of] = None
    kinds = Counter(name for name, _, _ in about)
    return [
        f"{name}{', ' + listed(list(places)) if kinds[name] > 1 else ''}: {better} is better; {note}".rstrip("; ")
        for (name, note, better), places in about.items()
    ]


def _chance_notes(rows: Sequence[Comparison], names: Names) -> list[str]:
    """Which arms may be guessing."""
    guessing = [row for row in rows if row.like_chance]
    where = placed(guessing, [row for row in rows if row.chance is not None], names)
    return [f"No different from chance, as far as the interval tells: {where}."] if guessing else []


def placed(found: Sequence[Comparison], among: Sequence[Comparison], names: Names, all_arms: str = "all arms") -> str:
    """Of which measures and arms something is said: "P@1 de and P@1 fr (all arms); MRR de (joint)".

    Args:
        found: those of which it is said.
        among: those of which it could be said.
        all_arms: what stands for every arm; empty: nothing.
    """
    arms, n_measures = list(dict.fromkeys(row.arm for row in among)), len({row.key for row in among})
    said: dict[str, list[str]] = {}
    for row in found:
        said.setdefault(" ".join(names[row.key]), []).append(row.arm)
    groups: dict[str, list[str]] = {}
    for title, of in said.items():
        groups.setdefault(arms_text(of, arms, all_arms), []).append(title)
    return "; ".join(
        ("all measures" if len(titles) == n_measures > 1 else listed(titles)) + (f" ({of})" if of else "")
        for of, titles in groups.items()
    )


def arms_text(arms: Sequence[str], among: Sequence[str], all_arms: str = "all arms") -> str:
    """Arms as a list, or where that is shorter as all but those that are not in it."""
    others = [arm for arm in among if arm not in arms]
    if not others:
        return all_arms
    return f"all arms but {listed(others)}" if 2 * len(others) < len(arms) else listed(arms)


def _method_notes(rows: Sequence[Comparison], baseline: str | None) -> list[str]:
    """Where intervals and marks come from."""
    notes = []
    n_seeds = [row.n_seeds for row in rows if row.interval == "seeds"]
    if n_seeds:
        freedom = _span([n - 1 for n in n_seeds]) + f" degree{'s' if max(n_seeds) > 2 else ''} of freedom"
        notes.append(
            f"Intervals: 95 % t intervals over {_span(n_seeds)} seeds ({freedom}); text, dictionary and test sets are "
            "the same for all seeds of a run."
        )
    elif any(row.interval == "items" for row in rows):
        notes.append(
            "Intervals: 95 % bootstrap intervals over the items of each test. There is one seed per arm: how much "
            "another seed would change is unknown and not in them."
        )
    elif rows:
        notes.append("There are no intervals: this takes two seeds or more, or the items of the tests.")
    if rule := when_real(rows):
        none = "" if any(row.is_real for row in rows) else "; none does"
        notes.append(f"The mark {MARK} says that an arm differs from {baseline}: {rule}{none}.")
        n_arms = len({row.arm for row in rows if row.adjusted_p is not None})
        if n_arms > 1:
            likely = f"{100 * min(1.0, n_arms * REAL):.0f} %"
            notes.append(
                f"If none of the {n_arms} arms differed from {baseline} in anything, a mark would still stand "
                f"somewhere in up to {likely} of such experiments: {100 * REAL:.0f} % for each arm."
            )
    return notes


def when_real(rows: Iterable[Comparison]) -> str:
    """When a difference counts as real, as a clause; empty where nothing was tested."""
    tested = [row for row in rows if row.adjusted_p is not None]
    if not tested:
        return ""
    tests = listed(list(dict.fromkeys(row.test or "" for row in tested)))
    sizes = Counter(row.arm for row in tested).values()
    correction = f" after Holm's correction over the {_span(sizes)} headline measures of each arm by itself"
    return f"{tests}, p < {REAL}{correction if max(sizes) > 1 else ''}"


def _span(numbers: Collection[int]) -> str:
    """One number, or the smallest and the largest."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _remark_notes(rows: Sequence[Comparison], names: Names) -> list[str]:
    """What could not be said, and why; the same reason once."""
    about: dict[str, list[Comparison]] = {}
    for row in rows:
        if row.remark:
            about.setdefault(row.remark, []).append(row)
    return [f"{placed(found, rows, names)}: {remark}." for remark, found in about.items()]


def _arm_notes(arms: Collection[str]) -> list[str]:
    """What an arm is that is no ordinary one."""
    return [UPPER_BOUND_NOTE] if "full_alignment" in arms else []


def _token_notes(arms: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Whether all arms read the same amount of text."""
    if unequal_text(arms):
        return ["The arms have NOT seen the same number of LM tokens: their bits per byte do not compare."]
    plans = {arm: _plan(arm) for arm, parts in arms.items() if _lm_tokens(parts).get("init")}
    controls = [arm for arm, plan in plans.items() if plan is not None and plan.start != "aligned"]
    if not controls or len(controls) == len(arms):
        return []
    verb = "was" if len(controls) == 1 else "were"
    return [
        f"Equal text for all arms: {listed(controls)}, which stage 1 does not align, {verb} first trained on the very "
        "LM tokens that stage 1 consumes, in the same order, with the LM loss but without the alignment loss."
    ]


def _pair_notes(arms: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What arms with sentence pairs read beside the text of the others."""
    seen = {arm: counts for arm, parts in arms.items() if (counts := _lm_tokens(parts))}
    notes = []
    if reading := [arm for arm, counts in seen.items() if counts.get("pairs")]:
        notes.append(PAIRS_NOTE.format(listed(reading)))
    plans = {arm: plan for arm in seen if (plan := _plan(arm)) is not None}
    if {"as text", "tlm"} <= {plan.translations for plan in plans.values()}:
        notes.append(TEXT_NOTE)
    if contrasting := [arm for arm, plan in plans.items() if plan.translations in ("contrast", "mixup")]:
        notes.append(CONTRAST_NOTE.format(listed(contrasting)))
    return notes


def _plan(arm: str) -> Plan | None:
    """What happens to an arm, such as run/tlm; None for other models, which may have any name."""
    known: dict[str, Plan] = dict(PLANS.items())
    return known.get(arm.rpartition("/")[2])


def unequal_text(arms: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
    """Whether some arms read more running text than others, as far as it is known; sentence pairs do not count."""
    read = [counts for parts in arms.values() if (counts := _lm_tokens(parts))]
    return len({sum(seen for stage, seen in counts.items() if stage != "pairs") for counts in read}) > 1


def _lm_tokens(parts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """LM tokens per stage of an arm, mean over its seeds: stage 1 may end early, at another step with another seed."""
    known = [counts for part in parts if (counts := part.get("lm_tokens"))]
    return {stage: sum(counts[stage] for counts in known) / len(known) for stage in (known[0] if known else ())}


def chance_text(rows: Iterable[Comparison]) -> str:
    """What guessing would give, nothing where that is not defined; every value, where the arms' tests differ."""
    known = [row for row in rows if row.chance is not None]
    return " or ".join(
        dict.fromkeys(percent(row.chance) if row.form == "share" else number(row.chance, 3) for row in known)
    )

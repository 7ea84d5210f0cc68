"""What each loss over sentence pairs adds: every arm with pairs against the arm that lacks one thing of it.

The comparison with the baseline stands in results.json; an arm's step from the one before it is compared here in the
same way: over seeds by the paired t test, with one seed over the items of the tests, adjusted over the headline
measures of the arm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from prealign.config.arms import PLANS, Pairs, Plan
from prealign.evaluation.comparison import Comparison
from prealign.evaluation.comparison_table import step_table
from prealign.evaluation.statistics import ModelResult, compare, models_of
from prealign.evaluation.table import Table, listed
from prealign.evaluation.task import Item
from prealign.report.arms import arm_name
from prealign.report.changes import Rows, by_title, in_short, interval_text, values_text, verdict

Items = Callable[[str, int, str], Iterable[Item]]
"""(arm, seed, task) -> the items of that task, where they were kept."""
FIRST = "sentence_retrieval"
"""The task whose measures answer the question, before all others."""
ADDED: Mapping[Pairs, str] = {
    "as text": "the sentences of pairs, read alone",
    "tlm": "that both sentences of a pair are read as one",
    "contrast": "the contrast of sentences with their translations",
    "mixup": "examples of that contrast which join two pairs",
}


class Step(NamedTuple):
    """An arm beside the arm that lacks one thing of it."""

    arm: str
    before: str
    rows: Sequence[Comparison]
    """Headline measures of both."""


def no_items(arm: str, seed: int, task: str) -> Iterable[Item]:
    """For results whose items were not kept."""
    return ()


def pair_arms(arms: Iterable[str]) -> list[str]:
    """Those of the arms that read sentence pairs."""
    return [arm for arm in arms if (plan := _plans().get(arm)) is not None and plan.translations != "none"]


def before(arm: str, arms: Collection[str]) -> str | None:
    """The arm that lacks one thing of it: the last of those above it in the table of arms, and trained, that differ
    from it in one column."""
    plans = _plans()
    above = list(plans)[: list(plans).index(arm)]
    found = [other for other in above if other in arms and sum(a != b for a, b in zip(plans[other], plans[arm])) == 1]
    return found[-1] if found else None


def steps(results: Mapping[str, Any], items: Items = no_items) -> list[Step]:
    """The steps between the arms of a run that read sentence pairs, in the order of the table of arms."""
    trained = results["arms"]
    models = {
        arm: [ModelResult(one.seed, [m for m in one.measures if m.headline], one.items) for one in seeds]
        for arm, seeds in models_of(results, items).items()
    }
    found = []
    for arm in sorted(pair_arms(trained), key=list(_plans()).index):
        start = before(arm, trained)
        if start is not None:
            found.append(Step(arm, start, compare({start: models[start], arm: models[arm]}, start)))
    return found


def steps_text(found: Sequence[Step], several: str) -> list[str]:
    """What each step changes: a sentence for each measure of the question's own task, and one for all others.

    Args:
        several: " (mean of 3 seeds)", or nothing.
    """
    told: dict[str, list[str]] = {}
    others = []
    for step in found:
        rows = by_title(step.rows)
        own = [title for title, of_arms in rows.items() if any(row.task == FIRST for row in of_arms.values())]
        for title in own:
            if text := _step_text(rows[title].get(step.arm), rows[title].get(step.before)):
                told.setdefault(title, []).append(text)
        rest = {title: of_arms for title, of_arms in rows.items() if title not in own and step.arm in of_arms}
        if rest:
            others.append(f"{arm_name(step.arm)} beside {arm_name(step.before)} is {in_short(rest, step.arm)}")
    sentences = [f"In {title}{several}, {listed(texts)}." for title, texts in told.items()]
    where = "the other measures" if told else f"what was measured{several}"
    return [*sentences, *([f"In {where}, {'; '.join(others)}."] if others else [])]


def _step_text(row: Comparison | None, start: Comparison | None) -> str:
    """A step in one measure: "xlco is better than tlm (2.6 % to 24.4 %; +21.4 to +22.2 pp)"; empty without numbers."""
    if row is None or start is None or row.difference is None:
        return ""
    if row.is_real:
        how = f"{verdict(row)} than"
    else:
        how = "not tested against" if row.p_value is None else "not told apart from"
    numbers = f"{values_text(row, start)}; {interval_text(row)}"
    return f"{arm_name(row.arm)} is {how} {arm_name(start.arm)} ({numbers})"


def against_baseline_text(rows: Rows, found: Sequence[Step], arms: Iterable[str], baseline: str) -> str:
    """The arms with pairs against the baseline, in short, except where that is their step; empty where there is none.

    Args:
        rows: with differences to the baseline.
    """
    said = {baseline, *(step.arm for step in found if step.before == baseline)}
    measured = {arm for of_arms in rows.values() for arm in of_arms}
    parts = [f"{arm_name(arm)} is {in_short(rows, arm)}" for arm in pair_arms(arms) if arm in measured - said]
    return f"Against {arm_name(baseline)} itself, {'; '.join(parts)}." if parts else ""


def steps_table(found: Sequence[Step]) -> Table:
    """Every headline measure of every step, and what the steps are."""
    table = step_table({step.arm: (step.before, step.rows) for step in found})
    added = [f"{step.arm} adds {text}" for step in found if (text := _added(step))]
    return replace(table, notes=[*([f"{'; '.join(added)}."] if added else []), *table.notes])


def more_text(arms: Collection[str]) -> str:
    """That arms with pairs read more than others, and whether the control for that was trained."""
    told = "Sentence pairs come on top of the running text that all arms read"
    controls = [arm_name(arm) for arm in pair_arms(arms) if _plans()[arm].translations == "as text"]
    if controls:
        return f"{told}; {listed(controls)} reads the same pairs sentence by sentence, for comparison."
    missing = [arm_name(arm) for arm, plan in _plans().items() if plan.translations == "as text"]
    return f"{told}. What more text alone does stays open: {listed(missing)} was not trained."


def _added(step: Step) -> str:
    """What the step adds: something with sentence pairs, or words to align."""
    plan, start = _plans()[step.arm], _plans()[step.before]
    if plan.translations != start.translations:
        return ADDED[plan.translations]
    return "batches of words to align" if plan.alignment != start.alignment else ""


def _plans() -> dict[str, Plan]:
    """The table of arms by plain strings: results may name models that are in no table."""
    return dict(PLANS.items())

"""The tables of the report: measures of a task, code-switching, costs, dictionary cards, settings that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from prealign.evaluation.comparison import Comparison
from prealign.evaluation.comparison_table import arms_text, chance_text, placed, value_text
from prealign.evaluation.table import MISSING, Table, listed, number, percent, tokens
from prealign.report.curves import Metrics
from prealign.report.moments import mean

CARD_ITEMS_SHOWN = 30
SHARES = ("share", "ratio", "precision", "recall", "p_at_1", "coverage", "f1", "rate")
"""A number between 0 and 1 is written as a percentage when its key holds one of these."""
STAGES = ("init", "pretrain")
PAIRS = "pairs"
"""Under this name stand the LM tokens that come from sentence pairs, beside those of the stages."""

Arms = Mapping[str, Sequence[Mapping[str, Any]]]
"""Arm -> its models, one per seed, as results.json has them."""
Items = list[tuple[str, str]]


def measures_table(rows: Sequence[Comparison]) -> Table:
    """All measures of one task: a row per arm, a column per measure, chance and conditions under them.

    A value is the mean over seeds, with half of its 95 % interval where there is one.
    """
    columns: dict[tuple[str, str], dict[str, Comparison]] = {}
    for row in rows:
        columns.setdefault((row.name, row.of), {})[row.arm] = row
    arms = dict.fromkeys(row.arm for row in rows)
    lines = [[arm, *(value_text(found.get(arm)) for found in columns.values())] for arm in arms]
    if any(row.chance is not None for row in rows):
        lines.append(["chance", *(chance_text(found.values()) for found in columns.values())])
    about: dict[str, list[Comparison]] = {}
    for row in rows:
        for text in filter(None, (row.note, row.remark, row.signature and f"conditions: {row.signature}")):
            about.setdefault(text, []).append(row)
    names = {row.key: (row.name, row.of) for row in rows}
    notes = [f"{placed(found, rows, names, all_arms='')}: {text}" for text, found in about.items()]
    return Table([("arm", ""), *columns], lines, notes)


def confusion_table(arms: Arms, task: str) -> Table:
    """What a classifier said of the examples of each class, counts summed over seeds, by arm and test."""
    classes: dict[str, None] = {}
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for arm, models in arms.items():
        for model in models:
            scores = _get(model, "tasks", task, "scores") or {}
            for test, found in {**scores.get("languages", {}), **scores.get("mixed", {})}.items():
                for right, line in zip(scores["labels"], found["confusion"], strict=True):
                    said = dict(zip(scores["labels"], line, strict=True))
                    counts.setdefault((arm, test, right), Counter()).update(said)
                    classes |= dict.fromkeys(said)
    header = [("arm", ""), ("test", ""), ("right class", ""), *((label, "said") for label in classes)]
    lines = [[*place, *(f"{said[label]:,}" for label in classes)] for place, said in counts.items()]
    return Table(header, lines, [], lead=3)


def knowledge_notes(arms: Arms) -> list[str]:
    """What the task on invented facts says in words: transfer ratios that are withheld, and why; objects covered."""
    withheld: dict[str, dict[str, Counter[str]]] = {}  # reason -> test -> arm -> seeds
    covered: dict[str, str] = {}
    for arm, models in arms.items():
        for model in models:
            scores = _get(model, "tasks", "knowledge", "scores") or {}
            for test, ratio in scores.get("ratio", {}).items():
                if reason := ratio.get("withheld"):
                    withheld.setdefault(reason, {}).setdefault(test, Counter())[arm] += 1
            shares = scores.get("objects_trained", {})
            covered |= {code: percent(share) for code, share in shares.items() if share is not None}
    notes = []
    for reason, tests in withheld.items():
        groups: dict[str, list[str]] = {}
        for test, seeds in tests.items():
            some = {arm: f" ({n} of {len(arms[arm])} seeds)" if n < len(arms[arm]) else "" for arm, n in seeds.items()}
            named = [f"{arm}{share}" for arm, share in some.items()]
            groups.setdefault(listed(named) if any(some.values()) else arms_text(named, list(arms)), []).append(test)
        where = "; ".join(f"{' / '.join(of)} ({who})" for who, of in groups.items())
        notes.append(f"No transfer ratio for {where}: {reason}")
    told = ", ".join(f"{code} {share}" for code, share in covered.items())
    return [*notes, *([f"Objects that trained dictionary entries cover: {told}."] if told else [])]


def switching_table(metrics: Metrics, asked: Mapping[str, float | None]) -> Table:
    """What switching did, counted over all training rows of all seeds, for the arms that switched.

    Args:
        asked: the ratio that an arm's recipe asks for.
    """
    rows = []
    for arm, seeds in metrics.items():
        counts = [found for of_seed in seeds.values() if (found := _switched(of_seed))]
        if counts:
            eligible, switched, cut, seen = (sum(column) for column in zip(*counts, strict=True))
            achieved, lost = percent(switched / eligible), percent(cut / seen) if seen > 0 else MISSING
            rows.append([arm, percent(asked.get(arm)), achieved, f"{eligible:,}", f"{switched:,}", lost])
    header = [("arm", ""), ("ratio", "asked"), ("ratio", "achieved"), ("words", "eligible"), ("words", "switched")]
    return Table([*header, ("tokens cut", "per LM token")], rows, [])


def _switched(rows: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """Eligible and switched words, tokens cut at the ends of blocks, and the LM tokens of these steps."""
    counting = [row for row in rows if row.get("n_eligible")]
    if not counting:
        return ()
    counts = [sum(row.get(key, 0) for row in counting) for key in ("n_eligible", "n_switched", "n_cut")]
    end_of_init = max((row["lm_tokens"] for row in rows if row.get("stage") == "init"), default=0)
    return *counts, max(row["lm_tokens"] for row in counting) - end_of_init


def costs_table(arms: Arms, metrics: Metrics) -> Table:
    """What an arm costs, mean over its seeds: text, time and computation of both stages, and the evaluation's time.

    Tokens of sentence pairs have a column where an arm reads any.
    """
    with_pairs = any(_mean(models, "lm_tokens", PAIRS) for models in arms.values())
    costs = [("lm_tokens", stage) for stage in (*STAGES, *([PAIRS] if with_pairs else []))]
    costs += [(key, stage) for key in ("flops", "seconds") for stage in STAGES] + [("seconds", "eval")]
    names, write = {"lm_tokens": "LM tokens", "flops": "FLOPs", "seconds": "seconds"}, {"lm_tokens": tokens}
    write |= {"flops": _power, "seconds": partial(number, digits=0)}
    rows = []
    for arm, models in arms.items():
        parts = [
            {**model, "seconds": (model.get("seconds") or {}) | _clocks(metrics.get(arm, {}).get(model["seed"], ()))}
            for model in models
        ]
        found = {cost: _mean(parts, *cost) for cost in costs}
        read, took = found["lm_tokens", "pretrain"], found["seconds", "pretrain"]
        speed = (read + (found.get(("lm_tokens", PAIRS)) or 0)) / took if read and took else None
        cells = [write[key](found[key, stage]) for key, stage in costs]
        rows.append([arm, *cells, tokens(speed), tokens(_mean(parts, "parameters"))])
    several = max((len(models) for models in arms.values()), default=1) > 1
    notes = ["Of one training each, mean over seeds."] if several else []
    if with_pairs:
        notes.append(
            "Tokens of sentence pairs come on top of those of pretraining's running text, and count in tokens/s; "
            "sentences that are contrasted count in FLOPs and seconds only."
        )
    if any(_clocks(rows) for seeds in metrics.values() for rows in seeds.values()):
        notes.append("Seconds of training leave out measuring and saving, and count all parts of a resumed one.")
    header = [("arm", ""), *((names[key], stage) for key, stage in costs), ("tokens/s", "pretrain"), ("parameters", "")]
    return Table(header, rows, notes)


def _clocks(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of each stage by the clock of its last training row, which goes on where training was resumed (a stage's
    manifest times its last process only)."""
    clocks = [(row.get("stage", ""), _get(row, "timing", "seconds")) for row in rows if row.get("kind") == "train"]
    return {stage: seconds for stage, seconds in clocks if seconds is not None}


def _mean(models: Sequence[Mapping[str, Any]], *path: str) -> float | None:
    known = [value for model in models if (value := _get(model, *path)) is not None]
    return mean(known) if known else None


def _power(value: float | None) -> str:
    """A large count as 1.23e15."""
    return MISSING if value is None else f"{value:.3g}".replace("e+", "e")


def differing_settings(recipes: Mapping[str, Mapping[str, Any]]) -> Table:
    """The settings in which recipes differ: a row per setting, a column per recipe."""
    plain = {name: leaves(recipe) for name, recipe in recipes.items()}
    settings = dict.fromkeys(setting for values in plain.values() for setting in values)
    rows = [[setting, *(str(values.get(setting, MISSING)) for values in plain.values())] for setting in settings]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    return Table([("setting", ""), *((name, "") for name in plain)], rows, [])


def dictionary_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card for the page: {"title", "facts": plain items, "quality": items}."""
    quality = {key: value for key, value in (card.get("quality") or {}).items() if card.get(key) != value}
    facts = flat({key: value for key, value in card.items() if key not in ("quality", "title")})
    if len(facts) > CARD_ITEMS_SHOWN:
        facts = [*facts[:CARD_ITEMS_SHOWN], ("…", f"{len(facts) - CARD_ITEMS_SHOWN} more in card.json")]
    title = card.get("title") or f"{card.get('source_language', '?')}–{card.get('target_language', '?')}"
    return {"title": title, "facts": facts, "quality": flat(quality)}


def flat(value: Mapping[str, Any]) -> Items:
    """Items of a mapping for people: nested keys joined by dots, nothing for None."""
    return [
        (place.replace("_", " "), text_of(inner, place.rpartition(".")[2])) for place, inner in leaves(value).items()
    ]


def leaves(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by their keys joined by dots, without None."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found |= leaves(inner, f"{prefix}{key}.")
        elif inner is not None:
            found[f"{prefix}{key}"] = inner
    return found


def text_of(value: Any, key: str = "") -> str:
    """A value for people: thousands separated, shares as percentages, lists joined."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return percent(value) if 0 <= value <= 1 and any(word in key for word in SHARES) else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text_of(inner, str(name))}" for name, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(text_of(item, key) for item in value) or "none"
    return str(value)


def _get(value: Any, *path: str) -> Any:
    """The value at a path of keys, None where the path ends early."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

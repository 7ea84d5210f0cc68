"""The tables of the report: results by arm, code-switching, costs, dictionary cards, versions. Values in, texts out."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prealign import __version__
from prealign.evaluation.table import MISSING, number, pair_name, percent, tokens
from prealign.report.answer import BASELINE, change
from prealign.report.curves import arm_name

LIBRARIES = ("torch", "transformers", "tokenizers", "sentencepiece", "numpy", "numba")
CARD_ITEMS_SHOWN = 30
SHARES = ("share", "ratio", "precision", "recall", "p_at_1", "coverage", "f1", "rate")
"""A number between 0 and 1 is written as a percentage when its key holds one of these."""

Arms = Mapping[str, Mapping[str, Any]]
Rows = Sequence[Mapping[str, Any]]
Items = list[tuple[str, str]]


def measures(arms: Arms) -> list[dict[str, Any]]:
    """The result table of the page: a row per measure, a cell per arm.

    Returns:
        Rows {"name", "detail", "cells": [(value, small figure or "")]}; the small figure is the difference to `joint`
        for bits per byte, and the best layer for retrieval.
    """
    rows = []
    for code in _keys(arms, "bits_per_byte"):
        values = [_get(arm, "bits_per_byte", code, "value") for arm in arms.values()]
        start = _get(arms.get(BASELINE, {}), "bits_per_byte", code, "value")
        cells = [(number(value, 3), _difference(start, value)) for value in values]
        rows.append({"name": "bits/byte", "detail": code, "cells": cells})
    for code in _keys(arms, "masked_lm_loss"):
        cells = [(number(_get(arm, "masked_lm_loss", code, "value"), 3), "") for arm in arms.values()]
        rows.append({"name": "masked LM loss", "detail": code, "cells": cells})
    for pair in _keys(arms, "word_retrieval"):
        for test in dict.fromkeys(test for arm in arms.values() for test in _get(arm, "word_retrieval", pair) or {}):
            found = [_get(arm, "word_retrieval", pair, test, "summary") for arm in arms.values()]
            cells = [_score_and_best(one, "p_at_1") for one in found]
            rows.append({"name": f"words P@1, {test.replace('_', '-')}", "detail": pair_name(pair), "cells": cells})
    for name in _keys(arms, "sentence_retrieval"):
        found = [_get(arm, "sentence_retrieval", name, "summary") for arm in arms.values()]
        cells = [_score_and_best(one, "mexa") for one in found]
        rows.append({"name": "sentences MEXA", "detail": pair_name(name), "cells": cells})
    for stage in ("init", "pretrain"):
        cells = [(tokens(_get(arm, "lm_tokens", stage)), "") for arm in arms.values()]
        rows.append({"name": "LM tokens", "detail": stage, "cells": cells})
    return rows


def switching_table(metrics: Mapping[str, Rows], recipe: Mapping[str, Any]) -> list[tuple[str, Items]]:
    """Per arm that switched: what was asked and what happened, counted over all its training rows."""
    by_language = _get(recipe, "pretrain", "switching", "language_ratios")
    asked = sum(by_language.values()) if by_language else _get(recipe, "pretrain", "switching", "ratio")
    found = []
    for arm, rows in metrics.items():
        counting = [row for row in rows if row.get("n_eligible")]
        if not counting:
            continue
        eligible, switched, cut = (
            sum(row.get(key, 0) for row in counting) for key in ("n_eligible", "n_switched", "n_cut")
        )
        seen = max(row["lm_tokens"] for row in counting) - _init_tokens(rows)
        items = [
            ("ratio asked", percent(asked)),
            ("ratio achieved", percent(switched / eligible)),
            ("eligible words", f"{eligible:,}"),
            ("switched words", f"{switched:,}"),
            ("tokens cut at block ends, per LM token", percent(cut / seen) if seen > 0 else MISSING),
        ]
        found.append((arm_name(arm), items))
    return found


def costs_table(arms: Arms, metrics: Mapping[str, Rows]) -> list[list[str]]:
    """Per arm: name, LM tokens of both stages, seconds of both stages, LM tokens per second of stage 2."""
    rows = []
    for name, arm in arms.items():
        seen, took = arm.get("lm_tokens") or {}, arm.get("seconds") or _clock(metrics.get(name, []))
        speed = seen["pretrain"] / took["pretrain"] if seen.get("pretrain") and took.get("pretrain") else None
        counts = [tokens(seen.get(stage)) for stage in ("init", "pretrain")]
        seconds = [number(took.get(stage), 0) for stage in ("init", "pretrain")]
        rows.append([arm_name(name), *counts, *seconds, tokens(speed)])
    return rows


def dictionary_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card for the page: {"title", "facts": plain items, "quality": items}."""
    facts = flat({key: value for key, value in card.items() if key != "quality"})
    if len(facts) > CARD_ITEMS_SHOWN:
        facts = [*facts[:CARD_ITEMS_SHOWN], ("…", f"{len(facts) - CARD_ITEMS_SHOWN} more in card.json")]
    title = f"{card.get('source_language', '?')}–{card.get('target_language', '?')}"
    return {"title": title, "facts": facts, "quality": flat(card.get("quality") or {})}


def flat(value: Mapping[str, Any], prefix: str = "") -> Items:
    """Items of a mapping for people: nested keys joined by dots, nothing for None."""
    items: Items = []
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            items += flat(inner, f"{prefix}{key}.")
        elif inner is not None:
            items.append((f"{prefix}{key}".replace("_", " "), text_of(inner, str(key))))
    return items


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


def versions() -> Items:
    """This package, Python and the libraries that shape the numbers."""
    found = [("prealign", __version__), ("Python", platform.python_version())]
    for library in LIBRARIES:
        try:
            found.append((library, version(library)))
        except PackageNotFoundError:
            continue
    return found


def _keys(arms: Arms, part: str) -> list[str]:
    """Keys of one part over all arms, in order of first appearance."""
    return list(dict.fromkeys(key for arm in arms.values() for key in arm.get(part) or {}))


def _get(value: Any, *path: str) -> Any:
    """The value at a path of keys, None where the path ends early."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _difference(start: float | None, value: float | None) -> str:
    if not start or value is None or value == start:
        return ""
    return f"{100 * change(start, value):+.1f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def _score_and_best(summary: Mapping[str, Any] | None, score: str) -> tuple[str, str]:
    """A score, and the best layer with its score."""
    if not summary:
        return MISSING, ""
    best, layer = summary.get(f"best_layer_{score}"), summary.get("best_layer")
    return percent(summary.get(score)), f"L{layer}: {percent(best)}" if best is not None else ""


def _clock(rows: Rows) -> dict[str, float]:
    """Seconds of each stage by the clock of its last training row."""
    clocks = [(row.get("stage", ""), _get(row, "timing", "seconds")) for row in rows if row.get("kind") == "train"]
    return {stage: seconds for stage, seconds in clocks if seconds is not None}


def _init_tokens(rows: Rows) -> int:
    """LM tokens at the end of stage 1."""
    return max((row["lm_tokens"] for row in rows if row.get("stage") == "init"), default=0)

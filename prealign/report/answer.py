"""The question of a run and its answer in sentences, computed from the numbers and no stronger than they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prealign.evaluation.table import pair_name, percent
from prealign.report.curves import arm_name

QUESTION = (
    "Does it pay to align words across languages before pretraining, and to keep them aligned by code-switching, "
    "compared with joint training on the same text?"
)
BASELINE = "joint"
SAME = 0.005
"""Relative differences of bits per byte under half a percent are called none."""

Arms = Mapping[str, Mapping[str, Any]]


def answer(arms: Arms, n_seeds: int = 1) -> list[str]:
    """Sentences that compare `prealign` (or the first other arm) with `joint`: bits, retrieval, halves, caveat."""
    others = [arm for arm in arms if arm != BASELINE]
    if BASELINE not in arms or not others:
        return [f"Only {', '.join(map(arm_name, arms)) or 'no arm'} was measured, so there is nothing to compare."]
    treated = "prealign" if "prealign" in arms else others[0]
    sentences = _bits(arms[BASELINE], arms[treated], treated) + _retrieval(arms[BASELINE], arms[treated], treated)
    if not sentences:
        return [f"Nothing was measured for both {BASELINE} and {arm_name(treated)}."]
    return sentences + _halves(arms, [arm for arm in others if arm != treated]) + _caveat(arms, n_seeds)


def change(before: float, after: float) -> float:
    """Relative change: -0.05 is five percent lower."""
    return after / before - 1.0


def _bits(baseline: Mapping[str, Any], treated: Mapping[str, Any], name: str) -> list[str]:
    """One sentence on bits per byte of all languages, those that changed first."""
    both = [
        (code, found["value"], treated["bits_per_byte"][code]["value"])
        for code, found in (baseline.get("bits_per_byte") or {}).items()
        if code in (treated.get("bits_per_byte") or {})
    ]
    parts = []
    for code, before, after in sorted(both, key=lambda item: -abs(change(item[1], item[2]))):
        relative = change(before, after)
        if abs(relative) < SAME:
            parts.append(f"left {code} practically as it was ({before:.3f} and {after:.3f})")
        else:
            verb = "lowered" if relative < 0 else "raised"
            worse = "" if relative < 0 else ", which is worse"
            parts.append(
                f"{verb} bits per byte of {code} by {percent(abs(relative))} ({before:.3f} to {after:.3f}{worse})"
            )
    return [f"Against {BASELINE} training, {arm_name(name)} {_listed(parts)}."] if parts else []


def _retrieval(baseline: Mapping[str, Any], treated: Mapping[str, Any], name: str) -> list[str]:
    sentences = []
    for pair, tests in (treated.get("word_retrieval") or {}).items():
        after = tests.get("held_out", {}).get("summary")
        before = (baseline.get("word_retrieval") or {}).get(pair, {}).get("held_out", {}).get("summary")
        if before and after:
            sentences.append(
                f"For words held out of alignment ({pair_name(pair)}), the nearest word is a translation in "
                f"{percent(after['p_at_1'])} of cases, with {BASELINE} in {percent(before['p_at_1'])}, by chance in "
                f"{percent(after['chance'])}."
            )
    return sentences


def _halves(arms: Arms, names: list[str]) -> list[str]:
    """What the other arms reach, so that the halves of the method can be told apart."""
    parts = []
    for name in names:
        found = [f"{item['value']:.3f} for {code}" for code, item in (arms[name].get("bits_per_byte") or {}).items()]
        if found:
            parts.append(f"{arm_name(name)} {_listed(found)}")
    return [f"The other arms reach bits per byte of: {'; '.join(parts)}."] if parts else []


def _caveat(arms: Arms, n_seeds: int) -> list[str]:
    sentences = []
    seen = {sum(arm["lm_tokens"].values()) for arm in arms.values() if arm.get("lm_tokens")}
    if len(seen) > 1:
        sentences.append("The arms have not seen equally many LM tokens, so their bits per byte do not compare.")
    if n_seeds < 2:
        sentences.append(
            "This is one run per arm with one seed: how much of a difference comes from the seed is unknown, so it is "
            "a measurement, no proof."
        )
    return sentences


def _listed(parts: list[str]) -> str:
    """a, b and c"""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)

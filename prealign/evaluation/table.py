"""The comparison of arms as a table: aligned columns for the terminal, Markdown for papers, rows for the report's page.

Needs no torch. What each column shows and under which conditions is decided here once, so that all three say the same.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"
MISSING = "–"
NOTE_WIDTH = 100

LAYER_RULE = "mean over all layers and both directions"
"""The one number reported for word retrieval, fixed beforehand: picking each arm's best layer would flatter it."""

CONTROL_NOTE = (
    "Equal text for all arms: those without stage 1 (joint, switching_only, during, after) were first trained on the "
    "very LM tokens that stage 1 consumes, in the same order, with the LM loss but without the alignment loss."
)


@dataclass(frozen=True, slots=True)
class Table:
    """A header of one or two lines per column, one row per arm, and notes that belong under it."""

    header: list[tuple[str, str]]
    """For each column what it shows and, on a second line, its unit or language."""
    rows: list[list[str]]
    notes: list[str]

    def text(self, colour: bool = False) -> str:
        """Aligned columns: the first to the left, numbers to the right; no tab, no line drawing."""
        lines = [[part[i] for part in self.header] for i in (0, 1)] + self.rows
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        drawn = []
        for line in lines:
            numbers = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            drawn.append("   ".join([line[0].ljust(widths[0]), *numbers]).rstrip())
        bold, dim, reset = (BOLD, DIM, RESET) if colour else ("", "", "")
        head = [f"{bold}{line}{reset}" for line in drawn[:2] if line.strip()]
        rule = "─" * max(map(len, drawn))
        notes = [dim + textwrap.fill(note, NOTE_WIDTH, subsequent_indent="  ") + reset for note in self.notes]
        return "\n".join([*head, rule, *drawn[2:], "", *notes]).rstrip() + "\n"

    def markdown(self) -> str:
        """A Markdown table with the notes under it."""
        header = [" ".join(part for part in parts if part) for parts in self.header]
        lines = [header, ["---"] + ["---:"] * (len(header) - 1), *self.rows]
        drawn = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
        return "\n".join([*drawn, "", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"


def wants_colour(stream: TextIO) -> bool:
    """Colour on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def comparison_table(arms: Mapping[str, Mapping[str, Any]]) -> Table:
    """Arms against measures.

    Args:
        arms: arm name -> its part of results.json (see `harness`). A part that is missing shows as a dash.
    """
    languages, masked = _union(arms, "bits_per_byte"), _union(arms, "masked_lm_loss")
    words = [pair for pair in _union(arms, "word_retrieval") if any(_held_out(arm, pair) for arm in arms.values())]
    header = [("arm", "")]
    header += [("bits/byte", code) for code in languages] + [("masked LM loss", code) for code in masked]
    header += [("P@1 held-out", pair_name(pair)) for pair in words]
    header += [("LM tokens", "init"), ("LM tokens", "pretrain")]
    rows = []
    for name, arm in arms.items():
        row = [name]
        row += [number(arm.get("bits_per_byte", {}).get(code, {}).get("value"), 3) for code in languages]
        row += [number(arm.get("masked_lm_loss", {}).get(code, {}).get("value"), 3) for code in masked]
        row += [percent(_held_out(arm, pair).get("p_at_1")) for pair in words]
        row += [tokens(arm.get("lm_tokens", {}).get(stage)) for stage in ("init", "pretrain")]
        rows.append(row)
    return Table(header, rows, _notes(arms, words))


def _notes(arms: Mapping[str, Mapping[str, Any]], words: list[str]) -> list[str]:
    notes = []
    if _union(arms, "bits_per_byte"):
        notes.append("bits/byte: over whole validation documents; lower is better.")
    if _union(arms, "masked_lm_loss"):
        notes.append("masked LM loss: nats per hidden token, the same tokens for all arms; lower is better.")
    for pair in words:
        held_out = next(found for arm in arms.values() if (found := _held_out(arm, pair)))
        notes.append(
            f"P@1 held-out, {pair_name(pair)}: how often the nearest word is a translation, among "
            f"{held_out['n_source']:,} source words held out of alignment and their {held_out['n_target']:,} "
            f"translations; {LAYER_RULE}; chance {percent(held_out['chance'])}."
        )
    seen = {name: arm["lm_tokens"] for name, arm in arms.items() if arm.get("lm_tokens")}
    if any(counts.get("init") for counts in seen.values()):
        notes.append(CONTROL_NOTE)
    if len({sum(counts.values()) for counts in seen.values()}) > 1:
        notes.append("The arms have NOT seen the same number of LM tokens: their bits per byte do not compare.")
    return notes


def _held_out(arm: Mapping[str, Any], pair: str) -> dict[str, Any]:
    """Summary of the held-out words of a pair, empty where it was not measured."""
    found = arm.get("word_retrieval", {}).get(pair, {}).get("held_out", {})
    return dict(found.get("summary", {}))


def _union(arms: Mapping[str, Mapping[str, Any]], part: str) -> list[str]:
    """Keys of one part over all arms, in order of first appearance."""
    return list(dict.fromkeys(key for arm in arms.values() for key in arm.get(part, {})))


def pair_name(pair: str) -> str:
    """A language pair for people: "en--de" is written en–de."""
    return pair.replace("--", "–")


def number(value: float | None, digits: int) -> str:
    """A plain number, or a dash where there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share as a percentage: one decimal, two below one percent."""
    if value is None:
        return MISSING
    return f"{100 * value:.2f}\N{NO-BREAK SPACE}%" if 0 < value < 0.01 else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def tokens(value: float | None) -> str:
    """A token count in thousands, millions or billions, three digits."""
    if value is None:
        return MISSING
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"

"""A table, drawn three ways, and how numbers are written: aligned columns for the terminal, Markdown for papers, rows
for the report's page. Needs no torch.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TextIO

BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"
MISSING = "–"
ESCAPED_BAR = r"\|"
NOTE_WIDTH = 100
BLOCK_WIDTH = 120
"""Characters per line of a table; what is wider goes on in a second block underneath."""

LAYER_RULE = "mean over all layers and both directions"
"""The one number reported for word retrieval, fixed beforehand: picking each arm's best layer would flatter it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A header of one or two lines per column, rows, and notes that belong under it."""

    header: list[tuple[str, str]]
    """For each column what it shows and, on a second line, its unit or language."""
    rows: list[list[str]]
    notes: list[str]
    lead: int = 1
    """Columns that name the row: they stand at the left, and again in front of every block."""

    def text(self, colour: bool = False) -> str:
        """Aligned columns: names to the left, numbers to the right; no tab. Wide tables continue in further blocks."""
        bold, dim, reset = (BOLD, DIM, RESET) if colour else ("", "", "")
        lines, widths = self._lines()
        drawn = []
        for block in self.blocks():
            texts = []
            for line in lines:
                cells = [line[i].ljust(widths[i]) if i < self.lead else line[i].rjust(widths[i]) for i in block]
                texts.append("   ".join(cells).rstrip())
            head = [f"{bold}{text}{reset}" for text in texts[:2] if text.strip()]
            drawn.append("\n".join([*head, "─" * max(map(len, texts)), *texts[2:]]))
        notes = [dim + textwrap.fill(note, NOTE_WIDTH, subsequent_indent="  ") + reset for note in self.notes]
        return "\n\n".join([*drawn, "\n".join(notes)]).rstrip() + "\n"

    def markdown(self) -> str:
        """Markdown, in the same blocks, with the notes under it."""
        drawn = []
        for block in self.blocks():
            header = [" ".join(part for part in self.header[i] if part) for i in block]
            rule = ["---" if i < self.lead else "---:" for i in block]
            lines = [header, rule, *([row[i] for i in block] for row in self.rows)]
            drawn.append(
                "\n".join(f"| {' | '.join(cell.replace('|', ESCAPED_BAR) for cell in line)} |" for line in lines)
            )
        return "\n\n".join([*drawn, "\n".join(f"- {note}" for note in self.notes)]).rstrip() + "\n"

    def blocks(self) -> list[list[int]]:
        """Numbers of the columns that fit side by side; columns with the same first line stay together if they can."""
        _, widths = self._lines()
        lead = list(range(self.lead))

        def width(columns: Sequence[int]) -> int:
            return sum(widths[i] + 3 for i in columns)

        found: list[list[int]] = [lead]
        for _, same in groupby(range(self.lead, len(self.header)), key=lambda i: self.header[i][0]):
            columns = list(same)
            pieces = [columns] if width([*lead, *columns]) <= BLOCK_WIDTH else [[i] for i in columns]
            for piece in pieces:
                if found[-1] != lead and width([*found[-1], *piece]) > BLOCK_WIDTH:
                    found.append(lead)
                found[-1] = [*found[-1], *piece]
        return found

    def _lines(self) -> tuple[list[list[str]], list[int]]:
        """Header and rows as lines of cells, and the width of each column."""
        lines = [[part[i] for part in self.header] for i in (0, 1)] + self.rows
        return lines, [max(len(line[column]) for line in lines) for column in range(len(self.header))]


def wants_colour(stream: TextIO) -> bool:
    """Colour on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def listed(parts: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def p_text(value: float | None) -> str:
    """A p value with three digits, or a dash where there was no test."""
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def signed(value: float, digits: int) -> str:
    """A number with its sign, none for what rounds to zero: "+0.012", "−0.029", "0.000"."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:.{digits}f}" if rounded == 0 else f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def pair_name(pair: str) -> str:
    """A language pair for people: "en--de" is written en–de."""
    return pair.replace("--", "–")


def number(value: float | None, digits: int) -> str:
    """A plain number, or a dash where there is none."""
    return MISSING if value is None else f"{value:z.{digits}f}"


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

"""Words over words on a terminal: what was replaced in the upper line, what the model reads in the lower one.

    The      house      stands near the river.
    The      Haus       stands near the 河.

Columns are counted as a terminal does: East Asian wide characters take two, combining marks none. Right-to-left words
stand in Unicode isolates, so that they do not turn the line around them (Unicode Standard Annex 9).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
LONGEST_WORD = 24
"""Columns from which a word may be broken between lines; text without spaces is broken anywhere."""
Paint = Callable[[str, str | None], str]
"""Gives a text the colour of a name; None is the quiet colour of what was replaced."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of both lines."""

    upper: str
    lower: str
    colour: str | None = None
    """Name that the lower text is painted for; None leaves it plain."""


def width(text: str) -> int:
    """Columns of a terminal that the text takes."""
    return sum(map(_columns, text))


def printable(text: str) -> str:
    """The text on one line and without control characters, which could steer a terminal."""
    text = re.sub(r"[ \t]*\r?\n[ \t]*", " ↵ ", text)
    return "".join(
        " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" else c for c in text
    )


def isolated(text: str) -> str:
    """The text in an isolate if it holds letters of a right-to-left script."""
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
    return text


def clipped(text: str, columns: int) -> str:
    """The beginning of a text, so many columns at most, up to a space where one is near."""
    used = 0
    for end, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            space = text.rfind(" ", 0, end + 1)
            return text[: space if space > end // 2 else end]
    return text


def clipped_left(text: str, columns: int) -> str:
    """The end of a text, so many columns at most, from a space on where one is near."""
    end = clipped(text[::-1], columns)[::-1]
    while end and _columns(end[0]) == 0:  # marks whose letter was cut off
        end = end[1:]
    return end


def interlinear(cells: Sequence[Cell], columns: int, paint: Paint) -> list[str]:
    """Lines of at most `columns`, an upper and a lower one by turns; an upper one without words is left out."""
    lines: list[str] = []
    upper, lower, n_upper, n_lower = "", "", 0, 0
    after_space, after_word = False, False
    for cell in _broken(cells):
        text, is_word = cell.lower.strip(), bool(cell.upper)
        if not text:
            after_space = True
            continue
        gap = int(n_lower > 0 and (after_space or cell.lower[:1].isspace() or (is_word and after_word)))
        start = max(n_lower, n_upper) + gap
        if start + max(width(text), width(cell.upper)) > columns and n_lower:
            lines += [upper, lower]
            upper, lower, n_upper, n_lower, start = "", "", 0, 0, 0
        lower += " " * (start - n_lower) + (paint(isolated(text), cell.colour) if is_word else text)
        n_lower = start + width(text)
        if is_word:
            upper += " " * (start - n_upper) + paint(isolated(cell.upper), None)
            n_upper = start + width(cell.upper)
        after_space, after_word = cell.lower[-1:].isspace(), is_word
    return [line for line in [*lines, upper, lower] if line]


def aligned(rows: Sequence[Sequence[str]], columns: int | None = None) -> list[str]:
    """Rows as columns, to the left; where the line is full (at `columns`) the rest of all rows follows below."""
    widths = [max(map(width, column)) for column in zip(*rows)]
    lines: list[str] = []
    first = 1
    while first < len(widths):
        last, used = first, widths[0]
        while last < len(widths) and (last == first or columns is None or used + 2 + widths[last] <= columns):
            used += 2 + widths[last]
            last += 1
        for row in rows:
            places = [0, *range(first, last)]
            lines.append("  ".join(row[p] + " " * (widths[p] - width(row[p])) for p in places).rstrip())
        first = last
    return lines


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _broken(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Words stay whole, the text between them is broken at spaces, and between characters where it has none."""
    for cell in cells:
        if cell.upper:
            yield cell
            continue
        for part in re.findall(r"\s*\S+|\s+", cell.lower):
            if width(part) <= LONGEST_WORD and not any(_columns(character) == 2 for character in part):
                yield Cell("", part)
            else:
                yield from (Cell("", cluster) for cluster in _clusters(part))


def _clusters(text: str) -> list[str]:
    """Characters with the marks that follow them, and with the spaces before them."""
    clusters = [""]
    for character in text:
        if clusters[-1].strip() and _columns(character) > 0:
            clusters.append("")
        clusters[-1] += character
    return clusters

"""What `prealign preview` shows, on a terminal or as a page: samples around their switched words, and statistics.

Both show the same. The page is one file without scripts and without anything from the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from prealign import files
from prealign.codeswitch.preview import Preview, Sample, Segment
from prealign.report.interlinear import (
    Cell,
    Paint,
    aligned,
    clipped,
    clipped_left,
    interlinear,
    isolated,
    printable,
    width,
)
from prealign.report.page import render

CONTEXT_COLUMNS = 36
"""Text kept on either side of a switched word; what is longer is left out in between."""
WORDS_SHOWN = 6
"""Switched words shown of one row."""
TRANSLATIONS_SHOWN = 3
MISSING_SHOWN = 12
GAP = " … "


@dataclass(frozen=True, slots=True)
class Block:
    """A small table of statistics."""

    heading: str
    header: list[str]
    rows: list[list[str]]


def statistics(found: Preview) -> list[Block]:
    """The statistics as tables of texts."""
    covered = found.coverage
    overall = [
        ["text", f"{found.n_rows:,} rows, {found.n_tokens:,} tokens"],
        ["eligible", f"{found.n_eligible:,} words"],
        ["switched", f"{found.n_switched:,} words: asked {found.asked:.1%}, got {found.got:.1%}"],
        ["length", f"{found.length_change:.1%} of the original"],
        ["cut", f"{found.cut_share:.2%} of the tokens, lost at the end of rows that grew"],
        ["coverage", f"{covered.share:.1%} of {covered.running_words:,} running words have an entry"],
    ]
    languages = [
        [code, f"{rate.asked:.2%}", f"{rate.got:.2%}", f"{rate.count:,}"] for code, rate in found.by_language.items()
    ]
    several = len(found.by_language) > 1
    top = []
    for word in found.top_switched:
        translations = [
            f"{isolated(printable(text))}{f' ({language})' if several else ''} {share:.0%}"
            for text, language, share in word.translations[:TRANSLATIONS_SHOWN]
        ]
        more = len(word.translations) - TRANSLATIONS_SHOWN
        top.append(
            [
                isolated(printable(word.word)),
                f"{word.count:,}",
                ", ".join(translations) + (f", {more} more" if more > 0 else ""),
            ]
        )
    missing = [[isolated(printable(word)), f"{count:,}"] for word, count in covered.missing[:MISSING_SHOWN]]
    return [
        Block("Overall", [], overall),
        Block("Switched by target language", ["target", "asked", "got", "words"], languages),
        Block(
            "Coverage by frequency", ["words by rank", "covered"], [[b, f"{s:.1%}"] for b, s in covered.by_band.items()]
        ),
        Block("Most often switched", ["word", "times", "into"], top),
        Block("Most frequent words without an entry", ["word", "times"], missing),
    ]


def excerpt(sample: Sample) -> list[Segment]:
    """The first switched words of a row with the text around them, on one line."""
    words = [place for place, segment in enumerate(sample.segments) if segment.language]
    first, last = words[0], words[:WORDS_SHOWN][-1]
    shown = []
    for place, segment in enumerate(sample.segments):
        text = printable(segment.text)
        if segment.language is not None and place <= last:
            shown.append(replace(segment, text=text, original=printable(segment.original)))
        elif segment.language is None and place <= last + 1:
            shown.append(replace(segment, text=_shortened(text, before=place > first, after=place < last)))
    shown[0] = replace(shown[0], text=shown[0].text.lstrip())
    return shown


def _shortened(text: str, before: bool, after: bool) -> str:
    """Text between two words (or before the first, or after the last) without its middle (or far end)."""
    start = clipped(text, CONTEXT_COLUMNS) if before else ""
    end = clipped_left(text, CONTEXT_COLUMNS) if after else ""
    if width(text) <= width(start) + width(end) + width(GAP):
        return text
    return start.rstrip() + GAP + end.lstrip()


def heading(sample: Sample) -> str:
    """What stands over a sample."""
    n_words = sum(segment.language is not None for segment in sample.segments)
    words = "1 word switched" if n_words == 1 else f"{n_words} words switched"
    return f"row {sample.row + 1}: {words}" + (f", the first {WORDS_SHOWN} shown" if n_words > WORDS_SHOWN else "")


def as_text(found: Preview, settings: str, *, columns: int, paint: Paint, with_tokens: bool) -> str:
    """The preview for a terminal.

    Args:
        settings: one line that says what was asked for.
        columns: width of the terminal.
        paint: gives translations the colour of their language.
        with_tokens: also show ids and labels around every switched word.
    """
    languages = ", ".join(paint(code, code) for code in found.by_language)
    lines = [f"{found.source_language} with {languages}: {settings}", ""]
    for sample in found.samples:
        cells = [
            Cell("", s.text) if s.language is None else Cell(s.original.strip(), s.text, s.language)
            for s in excerpt(sample)
        ]
        lines += [paint(heading(sample), None), *interlinear(cells, columns, paint), ""]
        for tokens in sample.tokens[:WORDS_SHOWN] if with_tokens else []:
            rows = [["input", "id", "label"], *([_piece(t.piece), str(t.id), _piece(t.label)] for t in tokens)]
            lines += [*aligned([*map(list, zip(*rows))], columns), ""]
    for block in statistics(found):
        if block.rows:
            lines += [paint(block.heading, None), *aligned([*filter(None, [block.header]), *block.rows]), ""]
    return "\n".join(lines)


def _piece(piece: str | None) -> str:
    return "·" if piece is None else isolated(printable(piece))


def write_page(found: Preview, settings: str, path: Path, *, with_tokens: bool) -> None:
    """Write the preview as one self-contained page."""
    languages = list(found.by_language)
    content = {
        "title": f"Switched text: {found.source_language} with {', '.join(languages)}",
        "settings": settings,
        "source_language": found.source_language,
        "samples": [(heading(s), excerpt(s), s.tokens[:WORDS_SHOWN] if with_tokens else []) for s in found.samples],
        "colour": {code: 1 + place % 8 for place, code in enumerate(languages)},
        "blocks": [block for block in statistics(found) if block.rows],
    }
    files.write_text(path, render("preview.html.j2", content))

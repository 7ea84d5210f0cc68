"""Everything that looks wrong with a dictionary: errors, which would harm or cannot be read, and remarks.

Reads the file itself, past faulty lines, rather than a `Dictionary`, which would refuse or repair them.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prealign.corpora.documents import byte_lines
from prealign.corpora.scripts import ScriptCheck
from prealign.corpora.words import fold
from prealign.dictionary.dictionary import table_and_card
from prealign.dictionary.entries import Entry
from prealign.dictionary.faults import Faults
from prealign.dictionary.imports import format_suffix, languages_in_name, parse_entries

SAMPLES = 5
ROUNDING = 0.001
"""By how much six-digit probabilities of a word may sum to more than 1."""
LANGUAGE_KEYS = ("source_language", "target_language")
BRACKETS = "()[]{}（）［］【】"
JOINERS = "\u200c\u200d"
"""Invisible, and part of the spelling in Persian, Hindi and others."""


@dataclass
class Finding:
    """One kind of thing that looks wrong."""

    what: str
    is_error: bool
    samples: list[str] = field(default_factory=list)


def check(path: Path, source_language: str = "", target_language: str = "") -> list[Finding]:
    """What looks wrong with a dictionary folder or file, errors first; an empty list if nothing does.

    Args:
        source_language, target_language: BCP 47 codes, where neither card nor file name tells them.
    Raises:
        PrealignError: the file is missing, empty or damaged as a whole.
    """
    table, card = table_and_card(path)
    in_name = languages_in_name(path)
    languages = [
        given or str(card.get(key) or "") or named or ""
        for given, key, named in zip((source_language, target_language), LANGUAGE_KEYS, in_name)
    ]
    faults = Faults()
    entries = parse_entries(table, faults, *languages)
    findings = [Finding(f"{faults.count:,} lines cannot be read", True, faults.told())] if faults.count else []
    if not entries and not faults.count:
        findings.append(Finding("no entries", True))
    findings += _of_card(card, languages, len(entries) + faults.count)
    findings += _of_entries(entries, *languages)
    if format_suffix(table) != ".parquet":
        findings += _not_nfc(table)
    return sorted(findings, key=lambda finding: not finding.is_error)


def _of_card(card: dict[str, Any], languages: list[str], n_entries: int) -> list[Finding]:
    findings = []
    if missing := [key for key, language in zip(LANGUAGE_KEYS, languages) if not language]:
        findings.append(Finding(f"neither card nor file name nor flags tell {' and '.join(missing)}", True))
    if not card:
        return [*findings, Finding("no card: nothing tells where the entries come from", False)]
    if card.get("entries") not in (None, n_entries):
        findings.append(Finding(f"the card says {card['entries']} entries, the table has {n_entries}", True))
    if not card.get("licence"):
        findings.append(Finding('no "licence" in the card', False))
    return findings


def _of_entries(entries: list[Entry], source_language: str, target_language: str) -> list[Finding]:
    source_script, target_script = ScriptCheck(source_language), ScriptCheck(target_language)
    rules: list[tuple[str, bool, Callable[[Entry], bool]]] = [
        ("with a control character or U+FFFD", True, lambda e: _holds(e, _is_control)),
        ("with an invisible character (direction mark, soft hyphen, ...)", False, lambda e: _holds(e, _is_invisible)),
        (f"whose source is not in the script of {source_language}", False, lambda e: source_script.is_wrong(e.source)),
        (f"whose target is not in the script of {target_language}", False, lambda e: target_script.is_wrong(e.target)),
        ("with brackets, which words of running text do not have", False, lambda e: _holds(e, BRACKETS.__contains__)),
        ("with a side without letters", False, lambda e: not (_has_letter(e.source) and _has_letter(e.target))),
        ("the same on both sides, where switching does nothing", False, lambda e: e.source == e.target),
        ("with a probability of 0", False, lambda e: not (e.p_target_given_source and e.p_source_given_target)),
    ]
    findings = []
    for what, is_error, applies in rules:
        found = [f"{entry.source} | {entry.target}" for entry in entries if applies(entry)]
        findings += _several(found, "entries", f"{what} ({len(found) / max(1, len(entries)):.1%})", is_error)
    by_source, by_target = defaultdict[str, float](float), defaultdict[str, float](float)
    for entry in entries:
        by_source[entry.source] += entry.p_target_given_source
        by_target[entry.target] += entry.p_source_given_target
    for name, sums in (("p_target_given_source", by_source), ("p_source_given_target", by_target)):
        over = [f"{word}: {total:.3f}" for word, total in sums.items() if total > 1.0 + ROUNDING]
        findings += _several(over, "words", f"whose {name} sums to more than 1", True)
    return findings + _same_when_folded(entries, source_language, target_language)


def _same_when_folded(entries: list[Entry], source_language: str, target_language: str) -> list[Finding]:
    first: dict[tuple[str, str], Entry] = {}
    again = []
    for entry in entries:
        key = fold(entry.source, source_language), fold(entry.target, target_language)
        if (other := first.setdefault(key, entry)) is not entry:
            again.append(f"{entry.source} | {entry.target} beside {other.source} | {other.target}")
    return _several(again, "entries", "the same as another one under case folding", False)


def _not_nfc(table: Path) -> list[Finding]:
    """Lines that the reader composes; not looked for in Parquet."""
    lines = ((number, line.decode(errors="replace")) for number, line in byte_lines(table))
    found = [f"line {number}: {text}" for number, text in lines if not unicodedata.is_normalized("NFC", text)]
    return _several(found, "lines", "that are not NFC; they are read as if they were", False)


def _several(found: list[str], noun: str, what: str, is_error: bool) -> list[Finding]:
    return [Finding(f"{len(found):,} {noun} {what}", is_error, found[:SAMPLES])] if found else []


def _holds(entry: Entry, is_such: Callable[[str], bool]) -> bool:
    text = entry.source + entry.target
    return not text.isalnum() and any(map(is_such, text))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" or character == "\N{REPLACEMENT CHARACTER}"


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" and character not in JOINERS


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))

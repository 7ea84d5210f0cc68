"""One record of a parallel corpus as it stands in its file, and what the readers of all formats share.

Readers turn a file into a stream of records without judging them; `sentence_pairs` cleans them. A record that holds no
pair says why, and goes as a whole: both sides or none, so the lines of a corpus never shift against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

NOT_UTF8 = "pairs that are not UTF-8"
NO_SECOND_COLUMN = "lines without a second column"
NOT_JSON = "lines that are not JSON"
NOT_BOTH_LANGUAGES = "records without both languages"
NOT_TEXT = "records with a side that is no text"

SIDE_NAMES = (("source", "target"), ("src", "tgt"))
"""Names of the two sides where the fields are not named by language."""


class Record(NamedTuple):
    """One line or record, not cleaned yet."""

    number: int
    """Line from 1; in TMX the translation unit, in Parquet the row."""
    source: str
    target: str
    fault: str = ""
    """Why this is no pair; empty when it is one."""


def matching(language: str, tags: Iterable[str]) -> str | None:
    """The tag that names the language: the same code, else the first that refines it, else the first it refines.

    Codes are compared by whole subtags without regard to case, `_` like `-`: en matches en-US and EN_GB, and zh-Hant
    matches zh where no tag says more (basic filtering and lookup of RFC 4647).
    """
    wanted = language.lower() + "-"
    found = [(tag, tag.lower().replace("_", "-") + "-") for tag in tags]
    same = (tag for tag, code in found if code == wanted)
    refining = (tag for tag, code in found if code.startswith(wanted))
    refined = (tag for tag, code in found if wanted.startswith(code))
    return next(chain(same, refining, refined), None)


def fields_of_sides(names: Iterable[str], source_language: str, target_language: str) -> tuple[str, str] | None:
    """The fields that hold the two sides: named by the languages, or source and target, or src and tgt."""
    names = list(names)
    by_language = matching(source_language, names), matching(target_language, names)
    if by_language[0] is not None and by_language[1] is not None and by_language[0] != by_language[1]:
        return by_language[0], by_language[1]
    return next((pair for pair in SIDE_NAMES if set(pair) <= set(names)), None)


def record_of_fields(number: int, fields: Mapping[str, Any], source_language: str, target_language: str) -> Record:
    """The record that a JSON object or table row stands for; its `translation` field, where it has one, is looked into.

    `{"en": "Yes.", "de": "Ja."}`, `{"translation": {"en": "Yes.", "de": "Ja."}}`, `{"source": "Yes.", "target": "Ja."}`
    and `{"src": "Yes.", "tgt": "Ja."}` are the same.
    """
    inner = fields.get("translation")
    sides: Mapping[str, Any] = inner if isinstance(inner, dict) else fields
    found = fields_of_sides((name for name in sides if isinstance(name, str)), source_language, target_language)
    if found is None:
        return Record(number, ", ".join(map(str, sides)), "", NOT_BOTH_LANGUAGES)
    source, target = ("" if sides[name] is None else sides[name] for name in found)
    if isinstance(source, str) and isinstance(target, str):
        return Record(number, source, target)
    return Record(number, str(source), str(target), NOT_TEXT)


def no_sides(place: str, names: str, source_language: str, target_language: str) -> str:
    """The sentence for a file whose records do not have both sides."""
    return (
        f"{place} has {names or 'nothing'}, but not both sides: they are looked for under the languages' "
        f"codes ({source_language}, {target_language}), under source and target, and under src and tgt. Rename them, "
        "or give the codes that the file uses."
    )

"""Dictionaries as groups: which surface form of a source word may become which translations, before any tokenizer is
involved.

A *group* is a list of candidate translations that several forms and spellings share. The exact form of an entry goes
before the folded one, separately in each dictionary: with entries `Polish` and `polish`, the text `Polish` takes the
first, `POLISH` both.

Some words are *blocked*: they are found as the longest match like an entry and left as they are, so that `can` is not
switched in `can't`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from operator import itemgetter
from typing import TYPE_CHECKING

from prealign.codeswitch.characters import has_letter, is_code_like
from prealign.codeswitch.forms import Shape, fold, in_shape, surface_forms
from prealign.corpora.drops import Drops
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from prealign.dictionary.dictionary import Dictionary


@dataclass(slots=True)
class Groups:
    """Forms, groups and candidates as columns; candidate columns are grouped, in the order of `sizes`."""

    languages: list[str]
    weights: list[float]
    """Per target language."""
    sources: int = 0
    forms: dict[str, int] = field(default_factory=dict)
    """Surface form -> group."""
    exact: set[str] = field(default_factory=set)
    """Forms that stand in a dictionary as they are; they win where two forms have the same tokens."""
    sizes: list[int] = field(default_factory=list)
    """Candidates per group."""
    language: array[int] = field(default_factory=lambda: array("i"))
    text: array[int] = field(default_factory=lambda: array("i"))
    """Number of the candidate's text, in the shape of the form."""
    plain_text: array[int] = field(default_factory=lambda: array("i"))
    """Number of the candidate's text as it stands in the dictionary."""
    probability: array[float] = field(default_factory=lambda: array("d"))
    texts: dict[str, int] = field(default_factory=dict)
    """All candidate texts, numbered."""
    blocked: list[str] = field(default_factory=list)
    """Forms that are matched but never switched; none of them is in `forms`."""


_Row = tuple[int, float, str, str]
"""A candidate: number of its language, minus its probability, its text in the shape of the form, its plain text."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One source spelling of one dictionary with its candidates."""

    dictionary: int
    source: str
    candidates: list[tuple[str, float]]


def group(dictionaries: Sequence[Dictionary], weights: Mapping[str, float] | None, drops: Drops) -> Groups:
    """Collect usable entries and the forms they are met in.

    Raises:
        PrealignError: no dictionary, several source languages, or weights that fit no dictionary.
    """
    languages, by_language = _weights(dictionaries, weights)
    source_language = dictionaries[0].source_language
    groups = Groups(languages, [by_language[code] for code in languages])
    items_of = _usable(dictionaries, by_language, source_language, drops)
    spellings = {item.source for items in items_of.values() for item in items}
    for items in items_of.values():
        known: dict[tuple[object, ...], int] = {}
        groups.sources += 1
        forms = {
            source: surface_forms(source, source_language) for source in dict.fromkeys(item.source for item in items)
        }
        for source, shapes in forms.items():
            for text, shape in shapes.items():
                if text in groups.forms or (text in spellings and text not in forms):
                    continue
                chosen = _items_for(text, shape, items, forms)
                rows = _rows(chosen, groups.languages, dictionaries)
                # Shapes that change no translation share a group: all of them where the script has no case.
                key = (*(id(item) for item, _ in chosen), *rows)
                if key not in known:
                    known[key] = len(groups.sizes)
                    _add(groups, rows)
                groups.forms[text] = known[key]
            groups.exact.add(source)
    groups.blocked = [form for form in contractions(source_language) if form not in groups.forms]
    return groups


@cache
def contractions(language: str) -> tuple[str, ...]:
    """All forms of the language's words whose parts are no words of their own (contractions.tsv), with either
    apostrophe."""
    text = resources.files("prealign.codeswitch").joinpath("contractions.tsv").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    primary = language.partition("-")[0].lower()
    return tuple(form for code, word in lines if code == primary for form in surface_forms(word, language))


def _items_for(
    text: str, shape: Shape, items: list[_Item], forms: dict[str, dict[str, Shape]]
) -> list[tuple[_Item, Shape]]:
    """The candidates' sources for a form: in each dictionary the exact spelling, else all spellings that fold to it."""
    if len(forms) == 1:
        return [(item, shape) for item in items]
    chosen: list[tuple[_Item, Shape]] = []
    for dictionary in dict.fromkeys(item.dictionary for item in items):
        own = [item for item in items if item.dictionary == dictionary]
        exact = [item for item in own if item.source == text]
        chosen += [(item, forms[item.source].get(text, "as is")) for item in exact or own]
    return chosen


def _rows(chosen: list[tuple[_Item, Shape]], languages: list[str], dictionaries: Sequence[Dictionary]) -> list[_Row]:
    """The candidates of a group, sorted by language, the most probable first."""
    rows: list[_Row] = []
    for item, shape in chosen:
        code = dictionaries[item.dictionary].target_language
        language = languages.index(code)
        rows += [
            (language, -p, target if shape == "as is" else in_shape(target, shape, code), target)
            for target, p in item.candidates
        ]
    if len(rows) > 1:
        rows.sort(key=itemgetter(0, 1))
    return rows


def _add(groups: Groups, rows: list[_Row]) -> None:
    """Append a group."""
    number = groups.texts.setdefault
    for language, minus_p, text, plain in rows:
        groups.language.append(language)
        groups.probability.append(-minus_p)
        groups.text.append(number(text, len(groups.texts)))
        groups.plain_text.append(number(plain, len(groups.texts)))
    groups.sizes.append(len(rows))


def _usable(
    dictionaries: Sequence[Dictionary], by_language: Mapping[str, float], source_language: str, drops: Drops
) -> dict[str, list[_Item]]:
    """Entries that can be switched, by folded source."""
    items_of: dict[str, list[_Item]] = {}
    known: dict[str, tuple[str | None, str]] = {}  # the same sources come with every dictionary
    for number, dictionary in enumerate(dictionaries):
        for source, entries in dictionary.by_source().items():
            if source not in known:
                known[source] = _unusable_source(source), fold(source, source_language)
            reason, folded = known[source]
            if by_language[dictionary.target_language] == 0.0:
                reason = f"weight of {dictionary.target_language} is 0"
            if reason:
                for entry in entries:
                    drops.add(reason, f"{entry.source} -> {entry.target}")
                continue
            candidates: list[tuple[str, float]] = []
            for entry in entries:
                target = entry.target.strip()
                if not target:
                    drops.add("target is empty", f"{entry.source} -> {entry.target}")
                elif target == source or fold(target, source_language) == folded:
                    drops.add("target equals source", f"{entry.source} -> {entry.target}")
                else:
                    candidates.append((target, entry.p_target_given_source))
            if candidates:
                if sum(p for _, p in candidates) <= 0.0:  # dictionaries without probabilities
                    candidates = [(target, 1.0) for target, _ in candidates]
                items_of.setdefault(folded, []).append(_Item(number, source, candidates))
    return items_of


def _unusable_source(source: str) -> str | None:
    if source != source.strip() or not source:
        return "source has spaces around it or is empty"
    if not has_letter(source):
        return "source has no letter"
    if is_code_like(source):
        return "source has digits or code characters"
    return None


def _weights(
    dictionaries: Sequence[Dictionary], weights: Mapping[str, float] | None
) -> tuple[list[str], dict[str, float]]:
    if not dictionaries:
        raise PrealignError("A switching table needs at least one dictionary; none was given.")
    source_languages = list(dict.fromkeys(dictionary.source_language for dictionary in dictionaries))
    if len(source_languages) > 1:
        raise PrealignError(
            f"The dictionaries translate from {' and '.join(source_languages)}. A table switches text of one language: "
            f"compile one table for each source language."
        )
    languages = list(dict.fromkeys(dictionary.target_language for dictionary in dictionaries))
    given = dict(weights or {})
    unknown = [code for code in given if code not in languages]
    if unknown:
        raise PrealignError(
            f"weights name {', '.join(unknown)}, but the dictionaries translate to {', '.join(languages)}."
        )
    by_language = {code: float(given.get(code, 1.0)) for code in languages}
    wrong = [f"{code}: {weight}" for code, weight in by_language.items() if not 0.0 <= weight < float("inf")]
    if wrong or not any(by_language.values()):
        raise PrealignError(
            f"weights must be numbers from 0 up, with at least one above 0; got {', '.join(wrong) or 'zeros only'}."
        )
    return languages, by_language

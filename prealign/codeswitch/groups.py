"""Dictionaries as groups: which surface form of a source word may become which translations, before any tokenizer is
involved.

A *group* is a list of candidate translations that several forms and spellings share. The exact form of an entry goes
before the folded one, separately in each dictionary: with entries `Polish` and `polish`, the text `Polish` takes the
first, `POLISH` both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    language: list[int] = field(default_factory=list)
    text: list[int] = field(default_factory=list)
    """Number of the candidate's text, in the shape of the form."""
    plain_text: list[int] = field(default_factory=list)
    """Number of the candidate's text as it stands in the dictionary."""
    probability: list[float] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    """All candidate texts, numbered."""


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
    known: dict[tuple[tuple[int, Shape], ...], int] = {}
    for items in items_of.values():
        groups.sources += 1
        forms = {
            source: surface_forms(source, source_language) for source in dict.fromkeys(item.source for item in items)
        }
        for source, shapes in forms.items():
            for text, shape in shapes.items():
                if text in groups.forms or (text in spellings and text not in forms):
                    continue
                chosen = _items_for(text, shape, items, forms)
                key = tuple((id(item), item_shape) for item, item_shape in chosen)
                if key not in known:
                    known[key] = len(groups.sizes)
                    _add(groups, chosen, dictionaries)
                groups.forms[text] = known[key]
            groups.exact.add(source)
    return groups


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


def _add(groups: Groups, chosen: list[tuple[_Item, Shape]], dictionaries: Sequence[Dictionary]) -> None:
    """Append a group: its candidates sorted by language, the most probable first."""
    rows: list[tuple[int, float, str, str]] = []
    for item, shape in chosen:
        code = dictionaries[item.dictionary].target_language
        language = groups.languages.index(code)
        rows += [
            (language, -p, target if shape == "as is" else in_shape(target, shape, code), target)
            for target, p in item.candidates
        ]
    rows.sort(key=lambda row: row[:2])
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
    for number, dictionary in enumerate(dictionaries):
        for source, entries in dictionary.by_source().items():
            reason = _unusable_source(source)
            if by_language[dictionary.target_language] == 0.0:
                reason = f"weight of {dictionary.target_language} is 0"
            if reason:
                for entry in entries:
                    drops.add(reason, f"{entry.source} -> {entry.target}")
                continue
            folded = fold(source, source_language)
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

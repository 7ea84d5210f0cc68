"""What pydantic refuses, as our sentences: which setting, what is allowed, what it got; of recipes and flags alike."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

Place = tuple[str | int, ...]
"""Where a setting stands: ("languages", "en", "text", 0)."""
Origin = int | str
"""What gave a value: a line of the recipe (1-based), or a flag as it is written."""


def sentences(error: ValidationError, kind: Any, origins: Mapping[Place, Origin]) -> list[tuple[Origin | None, str]]:
    """Origin and sentence for each mistake; a value that fits none of several types is told once.

    Args:
        kind: the class that was validated; its settings are suggested for names that are none.
        origins: of the values that were given. A sentence about the value of a flag begins with the flag.
    """
    told: dict[Place, tuple[Origin | None, str]] = {}
    for item in error.errors():
        place: Place = tuple(item["loc"])
        known = place
        if item["type"] not in ("missing", "value_error"):
            known = _of_flag_within(place, origins) or place
        while known and known not in origins:
            known = known[:-1]
        if known and item["type"] not in ("missing", "extra_forbidden"):
            is_word = isinstance(origins[known], str) and isinstance(next(iter(place[len(known) :]), None), int)
            place = place[: len(known) + 1] if is_word else known  # each word of a flag is a value of its own
        origin = origins.get(known)
        sentence = _sentence(item, kind, known, origin)
        if item["type"] == "value_error":  # sentences of ours, of which a section may have several
            place = (*place, f"mistake {len(told)}")
        if place in told and told[place][1] != sentence and place:
            sentence = f"{told[place][1].split(', got ')[0]}, or{sentence.split(':', 1)[1]}"
        told[place if place else (len(told),)] = (origin, sentence)
    return list(told.values())


def _of_flag_within(place: Place, origins: Mapping[Place, Origin]) -> Place | None:
    """The place of the flag that made a section where there is none: of --contrast.layer at ("contrast",)."""
    if not place or place in origins:
        return None
    within = (one for one, origin in origins.items() if isinstance(origin, str) and one[: len(place)] == place)
    return next(within, None)


def _sentence(error: Any, kind: Any, known: Place, origin: Origin | None) -> str:
    place: Place = max(tuple(error["loc"]), known, key=len)
    is_flag = isinstance(origin, str)
    if error["type"] == "extra_forbidden":
        return f"{as_flag(place) if is_flag else dotted(place)} is not a setting{_suggestion(kind, place, is_flag)}"
    if error["type"] == "missing":
        within = f"{origin}: " if is_flag and origin and known != place else ""
        return f"{origin if is_flag and known == place else within + dotted(place)} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        name = origin if is_flag else dotted(place)
        named = not name or message.startswith(f"{dotted(place)}.")  # the sentence says itself where
        return message if named else f"{name}: {message}"
    if error["type"] in ("model_type", "dict_type"):  # pydantic's "dictionary" would be taken for one of words
        message = "input should be `name: value` pairs"
    message = message.split(", unable to")[0]
    return f"{origin if is_flag else dotted(known or place)}: {message[0].lower()}{message[1:]}, got {error['input']!r}"


def _suggestion(kind: Any, place: Place, is_flag: bool) -> str:
    section, name = place[:-1], str(place[-1])
    elsewhere = [other for other in _places(kind) if other[-1] == name]
    fields = field_names(kind, section)
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
    if elsewhere:
        near = [as_flag(other) if is_flag else dotted(other) for other in elsewhere]
    elif near and is_flag:
        near = [as_flag((*section, near[0]))]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are {', '.join(fields)}" if fields else ""


def field_names(kind: Any, place: Place) -> list[str]:
    """The settings that exist at a place of a recipe, or of another class."""
    for part in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            kind = next((a for a in typing.get_args(kind) if a not in (str, types.NoneType)), None)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _places(kind: Any, section: Place = ()) -> Iterator[Place]:
    """All settings of the sections of a recipe, those of named languages and the like aside."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield (*section, name)
            yield from _places(field.annotation, (*section, name))


def dotted(place: Place) -> str:
    """`("languages", "en", "text", 0)` as `languages.en.text[0]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def as_flag(place: Place) -> str:
    """`("init", "max_steps")` as `--init.max-steps`."""
    return "--" + ".".join(str(part).replace("_", "-") for part in place)

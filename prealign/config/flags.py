"""Flags in, checked settings out: the values are taken as they are written, and pydantic judges them.

So a flag is refused by the same validators and in the same words as a value of a recipe, all mistakes at once.
`--help` is written by tyro, which reads the same classes.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from prealign.config.mistakes import Origin, Place, as_flag, sentences
from prealign.errors import PrealignError

HELP = ("-h", "--help")
Flags = TypeVar("Flags")


class _UnfitError(Exception):
    """Words that are no value of their flag, and why."""


def lay_over(
    values: dict[str, Any], origins: dict[Place, Origin], arguments: Sequence[str], kind: type[BaseModel]
) -> list[str]:
    """Put the values of flags such as `--init.temperature 0.2` in the place of a recipe's own.

    A flag takes all words up to the next one, so `-1` is a value, and one that begins with `--` is written
    `--flag=--value`. Of a flag that is given twice the last counts; a list is not added to.

    Args:
        values: the recipe as its file has it, not checked yet; changed in place, as are `origins`.
        origins: the lines of these values; where a flag gives one, the flag.
        kind: class of the recipe.
    Returns:
        A sentence for everything that has no place.
    """
    stray, given = _split(arguments)
    problems = [f"{' '.join(stray)}: belongs to no flag; they are --SECTION.SETTING VALUE"] if stray else []
    for flag, words in given:
        place, annotation = _setting(kind, values, flag)
        if annotation is None and str(place[-1]).startswith("no_"):
            yes, switch = _setting(kind, values, as_flag((*place[:-1], str(place[-1])[3:])))
            if bool in _kinds(switch):
                if words:
                    problems.append(f"{flag} takes no value, got {' '.join(words)}")
                place, annotation, words = yes, switch, ["false"]
        try:
            _put(values, place, words if annotation is None else _value(annotation, words))
        except _UnfitError as unfit:
            problems.append(f"{flag} {unfit}")
        else:
            for inner in [known for known in origins if known[: len(place)] == place]:
                del origins[inner]
            origins[place] = flag
    return problems


def parse(kind: type[Flags], arguments: Sequence[str], program: str) -> Flags:
    """The flags of a command as an instance of a dataclass; those of its sections have no prefix.

    Args:
        program: what the command is called in its help.
    Raises:
        PrealignError: lists every mistake.
        SystemExit: --help was asked for, and is printed.
    """
    if set(arguments) & set(HELP):
        import tyro

        tyro.cli(kind, args=["--help"], prog=program, config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff))
    fields = {field.name: field for field in _fields(kind)}
    values: dict[str, Any] = {}
    problems, unread = _read(arguments, fields, values, program)
    origins: dict[Place, Origin] = {field.place[:-1]: "" for field in fields.values()}  # sections have no names here
    origins |= {field.place: field.name for field in fields.values()}
    try:
        flags = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems += [sentence for flag, sentence in sentences(error, kind, origins) if flag not in unread]
    if problems:
        heading = "One mistake in the flags:" if len(problems) == 1 else f"{len(problems)} mistakes in the flags:"
        raise PrealignError.of_several(heading, problems)
    return flags


class _Field(NamedTuple):
    """One flag of a command."""

    name: str
    """As a user writes it: --min-count; where the place tells which one is meant, DICTIONARY."""
    place: Place
    annotation: Any
    is_positional: bool


def _fields(kind: Any, section: Place = ()) -> Iterator[_Field]:
    from tyro.conf import Positional

    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        annotations = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    else:
        annotations = {name: field.annotation for name, field in kind.model_fields.items()}
    for name, annotation in annotations.items():
        inner = _kinds(annotation)[0]
        if dataclasses.is_dataclass(inner) or (isinstance(inner, type) and issubclass(inner, BaseModel)):
            yield from _fields(inner, (*section, name))
        else:
            is_positional = typing.get_args(Positional[str])[1] in getattr(annotation, "__metadata__", ())
            yield _Field(
                name.upper() if is_positional else as_flag((name,)), (*section, name), annotation, is_positional
            )


def _read(
    arguments: Sequence[str], fields: dict[str, _Field], values: dict[str, Any], program: str
) -> tuple[list[str], set[str]]:
    """Fill `values`; sentences for what has no place there, and the flags that came without a value."""
    problems, unread = [], set()
    stray, given = _split(arguments)
    for flag, words in given:
        name = flag.replace("_", "-")
        switch = name.replace("--no-", "--", 1)
        if switch in fields and bool in _kinds(fields[switch].annotation):
            stray += words
            _put(values, fields[switch].place, name == switch)
        elif name in fields:
            field = fields[name]
            n = len(words) if _is_many(field.annotation) else 1
            stray += words[n:]
            try:
                _put(values, field.place, _value(field.annotation, words[:n]))
            except _UnfitError as unfit:
                problems.append(f"{flag} {unfit}")
                unread.add(name)
        else:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"{program} --help lists them"
            problems.append(f"{flag} is not a flag of this command; {hint}")
    for field in fields.values():
        n = len(stray) if _is_many(field.annotation) else 1
        if field.is_positional and len(stray) >= n:
            _put(values, field.place, _value(field.annotation, stray[:n]))
            stray = stray[n:]
    if stray:
        problems.append(f"{' '.join(stray)}: belongs to no flag; {program} --help lists them")
    return problems, unread


def _split(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The words before any flag, and each flag with the words up to the next."""
    stray: list[str] = []
    found: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            found.append((flag, [value] if equals else []))
        else:
            (found[-1][1] if found else stray).append(argument)
    return stray, found


def _setting(kind: Any, values: Any, flag: str) -> tuple[Place, Any]:
    """Place and type of the setting that a recipe's flag names; no type where there is no such setting."""
    place: Place = ()
    for part in flag.removeprefix("--").split("."):
        name: str | int = part.replace("-", "_")
        section = next((k for k in _kinds(kind) if typing.get_origin(k) in (list, dict)), _kinds(kind)[0])
        if isinstance(section, type) and issubclass(section, BaseModel):
            field = section.model_fields.get(str(name))
            kind = field.annotation if field else None
        elif typing.get_origin(section) is list:
            name = int(part) if part.isdecimal() else part
            kind = typing.get_args(section)[0]
        elif typing.get_origin(section) is dict:
            known = values if isinstance(values, dict) else {}
            name = next((key for key in known if str(key).replace("_", "-") == part.replace("_", "-")), part)
            kind = typing.get_args(section)[1]
        else:
            kind = None
        inner = dict(enumerate(values)) if isinstance(values, list) else values
        values = inner.get(name) if isinstance(inner, dict) else None
        place = (*place, name)
    return place, kind


def _put(values: Any, place: Place, value: Any) -> None:
    """Write a value to its place, and sections around it where there are none.

    Raises:
        _UnfitError: what is there is no section, or a list too short.
    """
    part: Any = place[0]
    rest = place[1:]
    if isinstance(values, list) and part not in range(len(values)):
        raise _UnfitError(f"has no place in the recipe: the list has {len(values)} of these, counted from 0")
    if not isinstance(values, dict | list):
        raise _UnfitError("has no place in the recipe")
    if not rest:
        values[part] = value
        return
    if isinstance(values, dict) and values.get(part) is None:
        values[part] = [] if isinstance(rest[0], int) else {}
    _put(values[part], rest, value)


def _value(annotation: Any, words: list[str]) -> Any:
    """The words of a flag as a recipe's file would hold them; whether they are right, validation says.

    Raises:
        _UnfitError: there are none, or an empty one, or a mapping's are not in pairs.
    """
    kinds = [kind for kind in _kinds(annotation) if kind is not types.NoneType]
    if words in (["None"], ["null"]) and len(kinds) < len(_kinds(annotation)):
        return None
    if words == [""]:  # --output "$FOLDER" with a variable that is not set
        raise _UnfitError("needs a value")
    many = next((kind for kind in kinds if typing.get_origin(kind) in (list, tuple, dict)), None)
    if many is not None and (len(kinds) == 1 or len(words) > 1):
        inner = typing.get_args(many)
        if typing.get_origin(many) is dict:
            if len(words) % 2:
                raise _UnfitError(f"takes pairs of a name and a value, got {' '.join(words)}")
            return {name: _value(inner[1], [word]) for name, word in zip(words[::2], words[1::2])}
        width = len(typing.get_args(inner[0])) if typing.get_origin(inner[0]) is tuple else 0
        if width:
            return [words[start : start + width] for start in range(0, len(words), width)]
        return [_value(inner[0], [word]) for word in words]
    if not words:
        if bool in kinds:
            return True
        raise _UnfitError("needs a value")
    if len(words) > 1:
        return words
    if str in kinds and {int, float, bool} & set(kinds):
        return _as_in_yaml(words[0])
    literals = [value for kind in kinds if typing.get_origin(kind) is Literal for value in typing.get_args(kind)]
    return next((value for value in literals if str(value) == words[0]), words[0])


def _as_in_yaml(word: str) -> Any:
    """Where a text and a number are both right: 6 is the number, as in a file."""
    try:
        return yaml.safe_load(word)
    except yaml.YAMLError:
        return word


def _is_many(annotation: Any) -> bool:
    """Whether a flag takes all words up to the next flag."""
    return any(typing.get_origin(kind) in (list, tuple, dict) for kind in _kinds(annotation))


def _kinds(annotation: Any) -> list[Any]:
    """The types that a value may have, without what is noted beside them."""
    if typing.get_origin(annotation) is Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [kind for member in typing.get_args(annotation) for kind in _kinds(member)]
    return [annotation]

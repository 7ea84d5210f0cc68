"""Recipes: YAML in, checked settings out, and back to YAML.

All mistakes of a recipe are told at once, each with file and line: unknown keys (with the nearest name), wrong types
and ranges, missing files. Flags after the recipe override its values (`--pretrain.optimizer.learning-rate 1e-4`).
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ValidationError, model_validator

from prealign import files
from prealign.config.arms import FOUR_ARMS
from prealign.config.settings import Recipe
from prealign.errors import PrealignError

Place = tuple[str | int, ...]


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe; `overrides` are flags such as `["--seed", "2"]`.

    Raises:
        PrealignError: lists every mistake with file and line.
    """
    values, lines = load_yaml(path)
    flags = spell_out(overrides)
    early = _early_values(flags)
    recipe = check(values | early, lines, path)
    if flags:
        recipe = check(_override(recipe, flags, f"prealign ... {path}").model_dump(), lines, path)
    return recipe


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe: every setting with the value this run uses."""
    files.write_text(path, "# Every setting of this run; `prealign run` on this file repeats it.\n" + as_yaml(recipe))


def as_yaml(recipe: Recipe) -> str:
    """The recipe as YAML, all settings spelt out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def spell_out(flags: Sequence[str]) -> list[str]:
    """`--arms all` becomes the four names."""
    result = list(flags)
    if "--arms" in result:
        place = result.index("--arms") + 1
        if result[place : place + 1] == ["all"]:
            result[place : place + 1] = FOUR_ARMS
    return result


def _early_values(flags: Sequence[str]) -> dict[str, Any]:
    """`--data` decides where inputs are looked for, so it counts before the rest of the recipe is checked."""
    for place, flag in enumerate(flags):
        if flag == "--data" and place + 1 < len(flags):
            return {"data": flags[place + 1]}
        if flag.startswith("--data="):
            return {"data": flag.removeprefix("--data=")}
    return {}


class _Flags(Recipe):
    """What tyro parses: the same settings, with the cross-checks left to `check`, which words them better."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        return self


def _override(recipe: Recipe, flags: Sequence[str], program: str) -> Recipe:
    import tyro

    default = _Flags.model_construct(**{name: getattr(recipe, name) for name in Recipe.model_fields})
    return tyro.cli(_Flags, default=default, args=list(flags), prog=program, description=Recipe.__doc__)


def load_yaml(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """The values of a YAML file and the line on which each of them stands (1-based)."""
    if path.is_dir():
        path = path / "recipe.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PrealignError(f"The recipe {path} does not exist.") from None
    except UnicodeDecodeError as error:
        raise PrealignError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise PrealignError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}.") from None
    if node is None or not isinstance(value, dict):
        raise PrealignError(f"{path} must hold settings as `name: value` lines.")
    lines: dict[Place, int] = {}
    repeated: list[str] = []
    _collect_lines(node, (), lines, repeated, path)
    if repeated:
        raise PrealignError.of_several(f"{path} names a setting twice:", repeated)
    return value, lines


def _collect_lines(node: yaml.Node, place: Place, lines: dict[Place, int], repeated: list[str], path: Path) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            if inner in lines:
                repeated.append(f"{path}:{key.start_mark.line + 1}: {dotted(inner)} (first on line {lines[inner]})")
            lines[inner] = key.start_mark.line + 1
            _collect_lines(value, inner, lines, repeated, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[(*place, number)] = value.start_mark.line + 1
            _collect_lines(value, (*place, number), lines, repeated, path)


def check(values: dict[str, Any], lines: dict[Place, int], path: Path) -> Recipe:
    """Validate all values at once, input files included."""
    data = Path(str(values.get("data", "."))).expanduser()
    context = {"data": data} if data.is_dir() else None
    problems = (
        [] if context else [(lines.get(("data",)), f"data: the folder {data} does not exist; give it with --data")]
    )
    try:
        recipe = Recipe.model_validate(values, context=context)
    except ValidationError as error:
        problems += _problems(error, lines)
    if problems:
        told = [f"{path}:{line}: {text}" if line else f"{path}: {text}" for line, text in problems]
        heading = "One mistake in the recipe:" if len(told) == 1 else f"{len(told)} mistakes in the recipe:"
        raise PrealignError.of_several(heading, dict.fromkeys(told))
    return recipe


def _problems(error: ValidationError, lines: dict[Place, int]) -> list[tuple[int | None, str]]:
    """Line and sentence for each mistake; a value that fits none of several types is told once."""
    told: dict[Place, tuple[int | None, str]] = {}
    for item in error.errors():
        place: Place = tuple(item["loc"])
        while place and place not in lines and item["type"] not in ("missing", "extra_forbidden"):
            place = place[:-1]
        line, sentence = _problem(item, lines)
        if item["type"] == "value_error":  # sentences of ours, of which a section may have several
            place = (*place, f"mistake {len(told)}")
        if place in told and told[place][1] != sentence and place:
            sentence = f"{told[place][1].split(', got ')[0]}, or{sentence.split(':', 1)[1]}"
        told[place if place else (len(told),)] = (line, sentence)
    return list(told.values())


def _problem(error: Any, lines: dict[Place, int]) -> tuple[int | None, str]:
    """Line and sentence for one of pydantic's errors."""
    place: Place = tuple(error["loc"])
    known = place
    while known and known not in lines:
        known = known[:-1]
    line = lines.get(known) if known else None
    if error["type"] == "extra_forbidden":
        return line, f"{dotted(place)} is not a setting{_suggestion(place)}"
    if error["type"] == "missing":
        return line, f"{dotted(place)} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        named = not place or message.startswith(f"{dotted(place)}.")  # the sentence says itself where
        return line, message if named else f"{dotted(place)}: {message}"
    return line, f"{dotted(known or place)}: {message[0].lower()}{message[1:]}, got {error['input']!r}"


def _suggestion(place: Place) -> str:
    fields = field_names(place[:-1])
    near = difflib.get_close_matches(str(place[-1]), fields, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(fields)}" if fields else ""


def field_names(place: Place) -> list[str]:
    """The settings that exist at a place of the recipe."""
    kind: Any = Recipe
    for part in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            kind = next((a for a in typing.get_args(kind) if a not in (str, types.NoneType)), None)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def dotted(place: Place) -> str:
    """`("languages", "en", "text", 0)` as `languages.en.text[0]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text

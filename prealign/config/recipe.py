"""Recipes: YAML in, checked settings out, and back to YAML.

Flags after the recipe take the place of its values (`--pretrain.optimizer.learning-rate 1e-4`). All mistakes are told
at once, each with file and line or with the flag: unknown keys (with the nearest name), wrong types and ranges, missing
files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from prealign import files
from prealign.config.flags import lay_over
from prealign.config.mistakes import Origin, Place, dotted, sentences
from prealign.config.settings import Recipe
from prealign.errors import PrealignError


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe; `overrides` are flags such as `["--seed", "2"]`.

    Raises:
        PrealignError: lists every mistake with file and line, or with the flag.
    """
    values, origins = load_yaml(path)
    problems = lay_over(values, origins, overrides, Recipe)
    return check(values, origins, path, problems)


def print_help(recipe: Recipe, program: str) -> None:
    """Every setting as a flag, with its meaning and the recipe's value."""
    import tyro

    with suppress(SystemExit):
        tyro.cli(Recipe, default=recipe, args=["--help"], prog=program, description=Recipe.__doc__)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe: every setting with the value this run uses."""
    files.write_text(path, "# Every setting of this run; `prealign run` on this file repeats it.\n" + as_yaml(recipe))


def as_yaml(recipe: Recipe) -> str:
    """The recipe as YAML, all settings spelt out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def load_yaml(path: Path) -> tuple[dict[str, Any], dict[Place, Origin]]:
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
    lines: dict[Place, Origin] = {}
    repeated: list[str] = []
    _collect_lines(node, (), lines, repeated, path)
    if repeated:
        raise PrealignError.of_several(f"{path} names a setting twice:", repeated)
    return value, lines


def _collect_lines(node: yaml.Node, place: Place, lines: dict[Place, Origin], repeated: list[str], path: Path) -> None:
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


def check(values: dict[str, Any], origins: Mapping[Place, Origin], path: Path, problems: Iterable[str] = ()) -> Recipe:
    """Validate all values at once, input files included; `problems` are told with what is found."""
    data = Path(str(values.get("data", "."))).expanduser()
    context = {"data": data} if data.is_dir() else None
    told = list(problems)
    if context is None:
        told.append(_at(path, origins.get(("data",)), f"data: the folder {data} does not exist; give it with --data"))
    try:
        recipe = Recipe.model_validate(values, context=context)
    except ValidationError as error:
        told += [_at(path, *one) for one in sentences(error, Recipe, origins)]
    if told := list(dict.fromkeys(told)):
        heading = "One mistake in the recipe:" if len(told) == 1 else f"{len(told)} mistakes in the recipe:"
        raise PrealignError.of_several(heading, told)
    return recipe


def _at(path: Path, origin: Origin | None, sentence: str) -> str:
    """What is wrong with a value, after the place in the file; a flag's value has none."""
    if isinstance(origin, str):
        return sentence
    return f"{path}: {sentence}" if origin is None else f"{path}:{origin}: {sentence}"

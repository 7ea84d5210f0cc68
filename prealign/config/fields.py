"""What all settings are made of: their base class, and the types of their values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from prealign.hub import HUB_FILE, HUB_NAME, is_on_hub

PYTHON_DOCS = "python-docs"
"""A `text` source that is no file: the English documentation of the running Python interpreter."""

PYTHON_TOPICS = "python-docs-topics"
"""The like among labelled texts: paragraphs of that documentation by topic."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
LANGUAGE_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")
NO_CODE = "{!r} is not a BCP 47 code such as en, zh or pt-BR"


def _check_local(path: str, info: ValidationInfo) -> str:
    """An input must exist when the recipe is read by a command (the reader passes `data` as context)."""
    if is_on_hub(path):
        raise ValueError(f"{path} would be a file of a data set; a folder is needed here")
    if info.context is None:
        return path
    place = resolve(path, info.context["data"])
    if not place.exists():
        raise ValueError(
            f"{place} does not exist; paths are relative to the data folder {info.context['data']} (--data)"
        )
    return path


def resolve(path: str, data: str | Path) -> Path:
    """Where an input of the recipe is: absolute paths stay, others are relative to the data folder."""
    place = Path(path).expanduser()
    return place if place.is_absolute() else Path(data).expanduser() / place


def _check_model(path: str, info: ValidationInfo) -> str:
    """A model or tokenizer may also be named as on the Hugging Face hub; whether it is there, the loader finds out."""
    return path if HUB_NAME.fullmatch(path) else _check_local(path, info)


def _check_input(path: str, info: ValidationInfo) -> str:
    """The like of a file; the hub is not asked for it before a stage reads it."""
    if not is_on_hub(path):
        return _check_local(path, info)
    if not HUB_FILE.fullmatch(path):
        raise ValueError(
            f"{path} names no file on the Hugging Face hub; write hf://datasets/OWNER/NAME/FILE, or "
            "hf://datasets/OWNER/NAME@REVISION/FILE"
        )
    return path


def _check_text(path: str, info: ValidationInfo) -> str:
    return path if path == PYTHON_DOCS else _check_input(path, info)


def _check_labelled(path: str, info: ValidationInfo) -> str:
    return path if path == PYTHON_TOPICS else _check_input(path, info)


InputPath = Annotated[str, AfterValidator(_check_input)]
"""A file, or one of a data set on the hub."""
LocalPath = Annotated[str, AfterValidator(_check_local)]
TextSource = Annotated[str, AfterValidator(_check_text)]
LabelledSource = Annotated[str, AfterValidator(_check_labelled)]
ModelPath = Annotated[str, AfterValidator(_check_model)]
"""A folder, or where there is none of that name, a name on the hub."""


def check_code(code: str) -> str:
    """The language code, if it is one."""
    if not LANGUAGE_CODE.fullmatch(code):
        raise ValueError(NO_CODE.format(code))
    return code


def refuse(mistakes: Iterable[str]) -> None:
    """For validators: tell all mistakes, each as an error of its own.

    Raises:
        ValidationError: there are any; pydantic adds them to those of other sections.
    """
    found = [PydanticCustomError("value_error", "{told}", {"told": sentence}) for sentence in mistakes]
    if found:
        details = [InitErrorDetails(type=error, input=None) for error in found]
        raise ValidationError.from_exception_data("settings", details, hide_input=True)


class Settings(BaseModel):
    """Base of all sections: unknown keys are refused, docstrings under fields are their descriptions."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

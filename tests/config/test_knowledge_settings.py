"""The section `knowledge` and what it asks of the rest of a recipe."""

from __future__ import annotations

from typing import Any

import pytest

from prealign.config.settings import Recipe

LANGUAGES: dict[str, Any] = {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}}


def test_it_is_off_unless_a_language_is_named() -> None:
    assert Recipe.model_validate({"languages": LANGUAGES}).knowledge.language is None


@pytest.mark.parametrize(
    ("knowledge", "others", "told"),
    [
        ({"language": "de"}, {}, r"knowledge\.language: de must be one of the languages"),
        ({"language": "en-x-clone"}, {}, r"and none that is cloned"),
        ({"language": "en", "entities": 20}, {}, r"entities \(20\) must be a multiple of candidates \(8\)"),
        ({"language": "en", "relations": ["colour", "colour"]}, {}, r"names colour twice"),
        ({"language": "en", "wordings": {"de": "de.yaml"}}, {}, r"knowledge\.wordings: de is not among the languages"),
        ({"language": "en"}, {"model": {"kind": "masked_lm"}}, r"which a masked LM does not do"),
    ],
)
def test_mistakes_are_told(knowledge: dict[str, Any], others: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Recipe.model_validate({"languages": LANGUAGES, "knowledge": knowledge} | others)

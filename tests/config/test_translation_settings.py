"""What does not fit together in recipes with sentence pairs is told in sentences, all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from prealign.config.recipe import read_recipe
from prealign.errors import PrealignError


def told(folder: Path, arms: list[str], **translations: Any) -> str:
    """What is said of a recipe; nothing if it is in order."""
    recipe = {
        "data": str(folder),
        "arms": ["joint", *arms],
        "languages": {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}},
        "translations": {"pairs": [{"source": "en", "target": "en-x-clone"}]} | translations,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    try:
        read_recipe(path)
    except PrealignError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("arm", ["pairs_as_text", "tlm", "xlco", "infoxlm"])
def test_in_order(tmp_path: Path, arm: str) -> None:
    assert told(tmp_path, [arm]) == ""


@pytest.mark.parametrize(
    ("arm", "translations", "sentence"),
    [
        ("tlm", {"pairs": []}, "arm tlm is trained on translation pairs, but translations.pairs names none"),
        ("pairs_as_text", {"tlm_pairs_per_step": 0}, "arm pairs_as_text reads translation pairs, but"),
        ("xlco", {"contrast": {"pairs_per_step": 0}}, "arm xlco contrasts sentences, but translations.contrast.pairs"),
        ("xlco", {"contrast": {"queue_size": 31}}, "queue_size is 31, less than the 32 keys of a step"),
        ("infoxlm", {"contrast": {"keys": "in_batch"}}, "arm infoxlm joins pairs for a queue of keys, but"),
        ("xlco", {"contrast": {"keys": "in_batch", "pairs_per_step": 1}}, "a step of one pair has nothing to tell"),
        ("tlm", {"pairs": [{"source": "en", "target": "sw"}]}, "pairs, en-sw: sw is not among the languages"),
        ("tlm", {"pairs": [{"source": "en-x-clone", "target": "en"}]}, "since en is no clone of en-x-clone"),
    ],
)
def test_mistakes(tmp_path: Path, arm: str, translations: dict[str, Any], sentence: str) -> None:
    assert sentence in told(tmp_path, [arm], **translations)


def test_all_at_once(tmp_path: Path) -> None:
    said = told(tmp_path, ["tlm", "xlco"], pairs=[], tlm_pairs_per_step=0, contrast={"queue_size": 1})
    for sentence in ("names none", "tlm_pairs_per_step is 0", "queue_size is 1"):
        assert sentence in said


def test_arms_without_pairs_ask_nothing_of_them(tmp_path: Path) -> None:
    assert told(tmp_path, ["prealign"], pairs=[], tlm_pairs_per_step=0, contrast={"queue_size": 1}) == ""

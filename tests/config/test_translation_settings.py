"""What does not fit together in recipes with sentence pairs is told in sentences, all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from prealign.config.recipe import read_recipe
from prealign.errors import PrealignError


def told(folder: Path, arms: list[str], kind: str = "masked_lm", init: Any = None, **translations: Any) -> str:
    """What is said of a recipe; nothing if it is in order. It has a dictionary if there is something about stage 1."""
    recipe = {
        "data": str(folder),
        "arms": ["joint", *arms],
        "languages": {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}},
        "translations": {"pairs": [{"source": "en", "target": "en-x-clone"}]} | translations,
        "model": {"kind": kind, "overrides": {"num_hidden_layers": 8}},
    }
    if init is not None:
        recipe |= {"init": init, "dictionary": {"pairs": [{"source": "en", "target": "en-x-clone"}], "keep_links": 9}}
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
        (
            "xlco",
            {"contrast": {"layer": 9}},
            "translations.contrast.layer is 9, but this model has blocks 1 to 8. Info",
        ),
        ("infoxlm", {"contrast": {"mixup": 0.0}}, "arm infoxlm joins pairs, but translations.contrast.mixup is 0"),
        ("xlco", {"contrast": {"last_momentum": 0.999}}, "translations.contrast.last_momentum and a momentum_schedule"),
        ("xlco", {"contrast": {"momentum_schedule": "linear"}}, "translations.contrast.last_momentum and a momentum_"),
        ("xlco", {"contrast": {"keys": "in_batch", "projection": True}}, "contrast.projection belongs to keys: mom"),
        ("tlm", {"pairs": [{"source": "en", "target": "en-x-clone"}] * 2}, "pairs, en-en-x-clone is named twice"),
        ("tlm", {"pairs": [{"source": "en", "target": "en"}]}, "pairs, en-en: a pair has two languages"),
        ("tlm", {"pairs": [{"source": "en", "target": "sw"}]}, "pairs, en-sw: sw is not among the languages"),
        ("tlm", {"pairs": [{"source": "en-x-clone", "target": "en"}]}, "since en is no clone of en-x-clone"),
    ],
)
def test_mistakes(tmp_path: Path, arm: str, translations: dict[str, Any], sentence: str) -> None:
    assert sentence in told(tmp_path, [arm], **translations)


@pytest.mark.parametrize(
    ("init", "sentence"),
    [
        (None, "arm words_and_sentences aligns words, but the recipe names no dictionary pairs"),
        ({"max_steps": 0}, "arm words_and_sentences brings a batch of words in pretraining for each step of its start"),
        ({"lm_weight": 0}, "for each step of its start, and has none: init.max_steps, init.lm_weight, and"),
        ({"alignment_weight": 0}, "and init.alignment_weight or the words in sentences must be above 0"),
        ({"alignment_weight": 0, "context_sentences_per_step": 4}, ""),
    ],
)
def test_words_beside_sentences(tmp_path: Path, init: Any, sentence: str) -> None:
    said = told(tmp_path, ["words_and_sentences"], init=init)
    assert sentence in said
    assert bool(sentence) == bool(said)


def test_a_masked_model_is_asked_for_what_it_reads(tmp_path: Path) -> None:
    said = told(tmp_path, ["both_sides"], init={})
    assert "arm both_sides predicts switched words, as a masked LM does in arm prealign already" in said
    assert told(tmp_path, ["both_sides"], "causal_lm", init={}) == ""


def test_a_causal_model_knows_nothing_at_its_first_token(tmp_path: Path) -> None:
    said = told(tmp_path, ["xlco"], "causal_lm")
    assert "translations.contrast.pooling is first, but the first token of a causal LM knows nothing" in said
    assert told(tmp_path, ["xlco"], "causal_lm", contrast={"pooling": "last"}) == ""
    assert told(tmp_path, ["tlm"], "causal_lm") == ""


def test_all_at_once(tmp_path: Path) -> None:
    contrast = {"queue_size": 1, "momentum_schedule": "linear"}
    said = told(tmp_path, ["tlm", "xlco"], pairs=[], tlm_pairs_per_step=0, contrast=contrast)
    for sentence in ("names none", "tlm_pairs_per_step is 0", "queue_size is 1", "go together"):
        assert sentence in said


def test_arms_without_pairs_ask_nothing_of_them(tmp_path: Path) -> None:
    assert told(tmp_path, ["prealign"], pairs=[], tlm_pairs_per_step=0, contrast={"queue_size": 1}) == ""

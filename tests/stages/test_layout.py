"""The identity of each stage depends on the settings that shape it, and on no others."""

from __future__ import annotations

import pytest

from prealign.config.settings import Recipe
from prealign.stages.layout import Layout

BASE = {
    "languages": {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en", "share": 0.05}},
    "dictionary": {"pairs": [{"source": "en", "target": "en-x-clone"}]},
}


def fingerprints(**changes) -> dict[str, str]:
    layout = Layout(Recipe.model_validate(BASE | changes))
    (pair,) = layout.recipe.dictionary.pairs
    return {
        "dictionary": layout.dictionary(pair).fingerprint,
        "tokenizer": layout.tokenizer.fingerprint,
        "store": layout.store.fingerprint,
        "aligned": layout.init("aligned").fingerprint,
        "control": layout.init("control").fingerprint,
        **{arm: layout.pretrain(arm).fingerprint for arm in ("joint", "prealign", "init_only", "switching_only")},
    }


@pytest.mark.parametrize(
    ("changes", "remade"),
    [
        ({"output": "elsewhere"}, set()),
        ({"engine": {"logging_steps": 3, "save_steps": 7}}, set()),
        ({"init": {"temperature": 0.2}}, {"aligned", "prealign", "init_only"}),
        ({"pretrain": {"switching": {"ratio": 0.1}}}, {"prealign", "switching_only"}),
        ({"pretrain": {"max_steps": 7}}, {"joint", "prealign", "init_only", "switching_only"}),
        ({"init": {"max_steps": 7}}, {"aligned", "control", "joint", "prealign", "init_only", "switching_only"}),
        (
            {"dictionary": BASE["dictionary"] | {"min_count": 9}},
            {"dictionary", "aligned", "prealign", "init_only", "switching_only"},
        ),
        (
            {"tokenizer": {"vocab_size": 999}},
            {"tokenizer", "store", "aligned", "control", "joint", "prealign", "init_only", "switching_only"},
        ),
    ],
)
def test_a_changed_setting_touches_exactly_the_stages_it_shapes(changes, remade):
    before, after = fingerprints(), fingerprints(**changes)
    assert {name for name in before if before[name] != after[name]} == remade


def test_arms_start_from_the_aligned_model_or_from_its_control():
    layout = Layout(Recipe.model_validate(BASE | {"arms": ["joint", "switching_only"]}))
    assert layout.init_kinds == ["control"]
    assert Layout(Recipe.model_validate(BASE)).init_kinds == ["aligned", "control"]

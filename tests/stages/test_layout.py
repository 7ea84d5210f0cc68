"""The identity of each stage depends on the settings that shape it, and on no others."""

from __future__ import annotations

import pytest

from prealign.config.arms import PLANS
from prealign.config.settings import Recipe
from prealign.stages.layout import Layout

BASE = {
    "languages": {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en", "share": 0.05}},
    "dictionary": {"pairs": [{"source": "en", "target": "en-x-clone"}]},
}
STARTS = {"aligned", "control"}
ARMS = set(PLANS)
ON_ALIGNED = {"aligned", "prealign", "init_only", "both_sides"}
"""The aligned start and the arms that go on from it."""
ALIGNED_LATER = {"during", "after"}
SWITCHING = {"prealign", "switching_only", "both_sides"}


def fingerprints(**changes) -> dict[str, str]:
    layout = Layout(Recipe.model_validate(BASE | changes))
    (pair,) = layout.recipe.dictionary.pairs
    return {
        "dictionary": layout.dictionary(pair).fingerprint,
        "tokenizer": layout.tokenizer.fingerprint,
        "store": layout.store.fingerprint,
        "aligned": layout.init("aligned").fingerprint,
        "control": layout.init("control").fingerprint,
        **{arm: layout.pretrain(arm).fingerprint for arm in PLANS},
    }


@pytest.mark.parametrize(
    ("changes", "remade"),
    [
        ({"output": "elsewhere"}, set()),
        ({"engine": {"logging_steps": 3, "save_steps": 7}}, set()),
        ({"init": {"temperature": 0.2}}, ON_ALIGNED | ALIGNED_LATER),
        ({"init": {"words_per_step": 9, "frequency_exponent": 0.5}}, ON_ALIGNED | ALIGNED_LATER),
        ({"init": {"guard": {"en": 0.1}}}, set()),
        ({"init": {"stop_at": 0.5}}, STARTS | ARMS),
        ({"init": {"lm_weight": 0.5}}, STARTS | ARMS),
        ({"pretrain": {"switching": {"ratio": 0.1}}}, SWITCHING),
        ({"pretrain": {"switching": {"labels": "none"}}}, SWITCHING - {"both_sides"}),
        ({"pretrain": {"max_steps": 301}}, ARMS),
        ({"pretrain": {"skip_steps": [[3, 4]]}}, ARMS),
        ({"pretrain": {"document_masking": True}}, STARTS | ARMS),
        ({"store": {"workers": 3}}, set()),
        ({"store": {"validation_share": 0.1}}, {"store"} | STARTS | ARMS),
        ({"init": {"max_steps": 7}}, STARTS | ARMS),
        (
            {"dictionary": BASE["dictionary"] | {"min_count": 9}},
            {"dictionary"} | ON_ALIGNED | ALIGNED_LATER | SWITCHING,
        ),
        ({"tokenizer": {"vocab_size": 999}}, {"tokenizer", "store"} | STARTS | ARMS),
    ],
)
def test_a_changed_setting_touches_exactly_the_stages_it_shapes(changes, remade):
    before, after = fingerprints(), fingerprints(**changes)
    assert {name for name in before if before[name] != after[name]} == remade


def test_words_in_context_touch_what_is_aligned_and_have_a_stage_of_their_own():
    pairs = {"dictionary": BASE["dictionary"] | {"keep_links": 9}}
    before, after = fingerprints(**pairs), fingerprints(**pairs, init={"context_sentences_per_step": 4})
    assert {name for name in before if before[name] != after[name]} == ON_ALIGNED | ALIGNED_LATER
    for init, there in (({}, False), ({"context_sentences_per_step": 4}, True)):
        names = [stage.name for stage in Layout(Recipe.model_validate(BASE | pairs | {"init": init})).stages()]
        assert ("pairs" in names) is there
    with pytest.raises(ValueError, match=r"needs a dictionary.keep_links above 0"):
        fingerprints(init={"context_sentences_per_step": 4})


def test_arms_start_from_the_aligned_model_or_from_its_control():
    layout = Layout(Recipe.model_validate(BASE | {"arms": ["joint", "switching_only"]}))
    assert layout.init_kinds == ["control"]
    assert Layout(Recipe.model_validate(BASE)).init_kinds == ["aligned", "control"]


def test_a_control_that_stops_with_the_aligned_start_has_it_made():
    layout = Layout(Recipe.model_validate(BASE | {"arms": ["joint"], "init": {"stop_at": 0.5}}))
    assert layout.init_kinds == ["aligned", "control"]


def test_where_measurements_decide_the_end_their_settings_count():
    def starts(stop_at: float | None, **engine: int) -> set[str]:
        layout = Layout(Recipe.model_validate(BASE | {"init": {"stop_at": stop_at}, "engine": engine}))
        return {layout.init(kind).fingerprint for kind in STARTS}

    assert not starts(0.5, eval_steps=10) & starts(0.5, eval_steps=20)
    assert starts(None, eval_steps=10) == starts(None, eval_steps=20)


def test_a_control_that_reads_the_words_depends_on_them():
    def control(**init: object) -> str:
        settings = {"lm_on": "words", **init}
        return Layout(Recipe.model_validate(BASE | {"init": settings})).init("control").fingerprint

    assert control() != control(words_per_step=9)
    assert control() == control(temperature=0.2)

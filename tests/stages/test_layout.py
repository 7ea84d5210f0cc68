"""The identity of each stage depends on the settings that shape it, and on no others."""

from __future__ import annotations

import pytest

from prealign.config.arms import PLANS
from prealign.config.settings import Recipe
from prealign.stages.layout import Layout
from prealign.stages.stage import FOLLOWERS

BASE = {
    "languages": {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en", "share": 0.05}},
    "dictionary": {"pairs": [{"source": "en", "target": "en-x-clone"}]},
}
STARTS = {"aligned", "control", "one_vocabulary"}
ARMS = set(PLANS)
ON_ALIGNED = {"aligned", "prealign", "init_only", "both_sides"}
"""The aligned start and the arms that go on from it."""
ALIGNED_LATER = {"during", "after", "words_and_sentences"}
SWITCHING = {"prealign", "switching_only", "both_sides"}
WITH_PAIRS = {"pairs_as_text", "tlm", "xlco", "infoxlm", "words_and_sentences"}


def fingerprints(**changes) -> dict[str, str]:
    layout = Layout(Recipe.model_validate(BASE | changes))
    (pair,) = layout.recipe.dictionary.pairs
    return {
        "dictionary": layout.dictionary(pair).fingerprint,
        "tokenizer": layout.tokenizer.fingerprint,
        "store": layout.store.fingerprint,
        "aligned": layout.init("aligned").fingerprint,
        "control": layout.init("control").fingerprint,
        "one_vocabulary": layout.init("one_vocabulary").fingerprint,
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
        ({"translations": {"tlm_weight": 0.5}}, WITH_PAIRS),
        ({"translations": {"contrast": {"temperature": 0.5}}}, {"xlco", "infoxlm", "words_and_sentences"}),
        ({"translations": {"contrast": {"mixup": 0.9}}}, {"infoxlm"}),
        ({"translations": {"max_sentence_pairs": 9}}, WITH_PAIRS),
        ({"translations": {"pairs": [{"source": "en", "target": "en-x-clone"}]}}, WITH_PAIRS),
        ({"eval": {"sentences": [{"name": "own", "source": "en", "target": "en-x-clone"}]}}, WITH_PAIRS),
        ({"store": {"validation_share": 0.1}}, {"store"} | STARTS | ARMS),
        ({"init": {"max_steps": 7}}, STARTS | ARMS),
        (
            {"dictionary": BASE["dictionary"] | {"min_count": 9}},
            {"dictionary"} | ON_ALIGNED | ALIGNED_LATER | SWITCHING,
        ),
        ({"tokenizer": {"vocab_size": 999}}, {"tokenizer", "store"} | STARTS | ARMS),
        ({"knowledge": {"language": "en"}}, {"store"} | STARTS | ARMS),
        ({"knowledge": {"mentions": 7}}, set()),  # no facts without a language
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


def test_the_starts_of_one_recipe_differ():
    found = fingerprints()
    assert len({found[name] for name in STARTS}) == 3
    assert len({found[arm] for arm in ARMS}) == len(ARMS)
    layout = Layout(Recipe.model_validate(BASE | {"arms": ["full_alignment", "joint"]}))
    assert layout.init_kinds == ["control", "one_vocabulary"]


def test_a_run_without_seeds_is_what_it_was_before_there_were_any():
    layout = Layout(Recipe.model_validate(BASE | {"seed": 4, "output": "runs/x"}))
    folders = [str(stage.folder.relative_to("runs/x")) for stage in layout.stages() if stage.name in FOLLOWERS["store"]]
    assert folders == ["init/aligned", "init/control", "pretrain/joint", "pretrain/prealign", "eval"]
    assert {layout.init("control").options["seed"], layout.pretrain("joint").options["seed"]} == {4}
    assert {"joint", "prealign"} < layout.eval.inputs.keys()


def test_seeds_have_folders_and_draws_of_their_own_and_share_the_data():
    layout = Layout(Recipe.model_validate(BASE | {"seed": 4, "seeds": [1, 4], "output": "runs/x", "arms": ["joint"]}))
    folders = [str(stage.folder.relative_to("runs/x")) for stage in layout.stages()]
    assert folders[-5:] == ["seed-1/init/control", "seed-1/pretrain/joint", "seed-4/init/control",
                            "seed-4/pretrain/joint", "eval"]  # fmt: skip
    first, other = layout.of_seeds().values()
    alone = Layout(Recipe.model_validate(BASE | {"seed": 4, "arms": ["joint"]}))
    assert first.store.fingerprint == other.store.fingerprint == alone.store.fingerprint
    assert first.pretrain("joint").fingerprint != other.pretrain("joint").fingerprint
    assert other.pretrain("joint").fingerprint == alone.pretrain("joint").fingerprint  # the same draws
    assert layout.eval.inputs["joint, seed 1"] == first.pretrain("joint").fingerprint
    assert layout.eval.inputs["joint, seed 4"] == other.pretrain("joint").fingerprint


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

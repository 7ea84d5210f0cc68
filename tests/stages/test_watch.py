"""What measurements say: collapse, degraded languages, a goal reached. Rows are made by hand."""

from __future__ import annotations

import pytest

from prealign.errors import PrealignError
from prealign.stages.watch import Watch, collapse, degraded, reached

CHANCE = {"en--de": 0.01}


def row(p_at_1: float = 0.5, cosine: list[float] | None = None, step: int = 0, **bits: float) -> dict:
    layers = cosine or [0.1, 0.1, 0.1, 0.1]
    return {
        "step": step,
        "bits_per_byte": {"en": 2.0, "de": 3.0} | bits,
        "word_retrieval": {"en--de": {"held_out": [p_at_1] * len(layers), "trained": [0.99] * len(layers)}},
        "word_cosine": {"en--de": {"held_out": layers, "trained": [0.0] * len(layers)}},
    }


@pytest.mark.parametrize(
    ("rows", "sign"),
    [
        ([row(), row(cosine=[0.2, 0.8, 0.8, 0.3])], None),
        ([row(), row(cosine=[0.2, 0.95, 0.8, 0.3])], None),  # one layer of four
        ([row(), row(cosine=[0.2, 0.95, 0.97, 0.3])], "over 0.9 at 2 of 4 layers"),
        ([row(cosine=[0.2, 0.94, 0.96, 0.3]), row(cosine=[0.2, 0.95, 0.97, 0.3])], None),  # so from the start
        ([row(0.01), row(0.4), row(0.01, [0.5] * 4)], "fell from 40.0% to chance"),
        ([row(0.01), row(0.4), row(0.2, [0.5] * 4)], None),  # worse, not gone
        ([row(0.01), row(0.4), row(0.01)], None),  # forgotten, not collapsed
        ([row(0.01), row(0.02), row(0.01, [0.5] * 4)], None),  # was never anywhere
    ],
)
def test_signs_of_collapse(rows, sign):
    found = collapse(rows, CHANCE)
    assert (found is None) if sign is None else (found is not None and sign in found)


def test_collapse_is_said_once_with_a_way_out_and_only_where_words_are_aligned(caplog):
    fallen = row(cosine=[0.95] * 4, step=6)
    for aligns, expected in ((True, 1), (False, 0)):
        caplog.clear()
        watch = Watch([row()], CHANCE, {}, aligns)
        watch(fallen)
        watch(fallen | {"step": 7})
        assert len(caplog.messages) == expected
    watch = Watch([row()], CHANCE, {}, True)
    watch(fallen)
    assert "collapsing" in caplog.text
    assert "init.collapse_weight" in caplog.text


def test_where_nothing_is_held_out_trained_words_tell_of_a_collapse():
    start, end = row(), row()
    for one, layers in ((start, [0.1] * 4), (end, [0.99] * 4)):
        one["word_cosine"] = {"en--de": {"trained": layers}}
    assert "over 0.9 at 4 of 4 layers" in collapse([start, end], {})
    assert collapse([end, end], {}) is None


def test_unmeasured_words_say_nothing():
    assert collapse([{"bits_per_byte": {}}, {"bits_per_byte": {}}], {}) is None


def test_a_guarded_language_may_get_worse_by_its_share_and_no_more():
    guard = {"en": 0.05, "de": 0.0}
    assert degraded(row(), row(en=2.099, de=2.9), guard) == []
    (sentence,) = degraded(row(), row(en=2.2), guard)
    assert sentence == "en: 2.000 bits per byte at the start, 2.200 now, a rise of 10.0% where 5.0% is allowed"
    assert len(degraded(row(), row(en=2.2, de=3.1), guard)) == 2


def test_a_masked_model_is_guarded_by_its_loss():
    before, after = ({"masked_lm_loss": {"en": loss}} for loss in (4.0, 5.0))
    assert degraded(before, after, {"en": 0.3}) == []
    assert "4.000 masked lm loss at the start, 5.000 now" in degraded(before, after, {"en": 0.2})[0]


def test_the_guard_stops_the_stage_and_compares_with_the_start_after_an_interruption():
    watch = Watch([row(), row(en=2.05, step=6)], CHANCE, {"en": 0.05}, aligns=False)
    with pytest.raises(PrealignError, match=r"(?s)stops at step 12\..*en: 2.000 bits per byte at the start, 2.120 now"):
        watch(row(en=2.12, step=12))


def test_measurements_after_the_checkpoint_that_is_gone_on_from_count_no_more():
    # A first attempt measured at steps 0, 6 and 12, was killed before it saved anything, and starts anew.
    watch = Watch([row(en=1.0), row(en=9.0, step=6), row(step=12)], CHANCE, {"en": 0.05}, aligns=False)
    watch(row(en=2.0))
    watch(row(en=2.05, step=6))
    with pytest.raises(PrealignError, match=r"en: 2.000 bits per byte at the start, 2.200 now"):
        watch(row(en=2.2, step=12))


def test_a_goal_is_reached_when_every_pair_is_there():
    both = row(0.8)
    both["word_retrieval"]["en--fr"] = {"held_out": [0.9, 0.5]}
    assert not reached(both, 0.75)
    assert reached(both, 0.7)
    assert not reached({"word_retrieval": {"en--de": {"trained": [1.0]}}}, 0.5)

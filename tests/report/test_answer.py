"""The answer says what the numbers say, and no more."""

from __future__ import annotations

from copy import deepcopy

from prealign.report.answer import answer


def plain(sentences: list[str]) -> str:
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_a_gain_in_one_language(arms):
    assert plain(answer(arms)) == (
        "Against joint training, prealign lowered bits per byte of en-x-clone by 10.0 % (3.000 to 2.700) and left en "
        "practically as it was (2.000 and 2.004). "
        "For words held out of alignment (en–en-x-clone), the nearest word is a translation in 60.0 % of cases, with "
        "joint in 20.0 %, by chance in 1.0 %. "
        "This is one run per arm with one seed: how much of a difference comes from the seed is unknown, so it is a "
        "measurement, no proof."
    )


def test_a_loss_is_called_one(arms):
    arms["prealign"]["bits_per_byte"]["en"]["value"] = 2.1
    assert "raised bits per byte of en by 5.0 % (2.000 to 2.100, which is worse)" in plain(answer(arms))


def test_no_difference_is_no_gain(arms):
    arms["prealign"]["bits_per_byte"] = deepcopy(arms["joint"]["bits_per_byte"])
    arms["prealign"]["bits_per_byte"]["en-x-clone"]["value"] = 2.995
    text = plain(answer(arms))
    assert "left en-x-clone practically as it was (3.000 and 2.995) and left en practically as it was" in text
    assert "lowered" not in text


def test_the_halves_of_the_method(arms):
    arms["init_only"] = deepcopy(arms["joint"])
    assert "The other arms reach bits per byte of: init only 2.000 for en and 3.000 for en-x-clone." in plain(
        answer(arms)
    )


def test_unequal_text_and_several_seeds(arms):
    assert "one seed" not in plain(answer(arms, n_seeds=3))
    arms["joint"]["lm_tokens"] = {"init": 0, "pretrain": 4000}
    assert "not seen equally many LM tokens, so their bits per byte do not compare" in plain(answer(arms))


def test_nothing_to_compare(arms):
    assert answer({}) == ["Only no arm was measured, so there is nothing to compare."]
    assert answer({"joint": arms["joint"]}) == ["Only joint was measured, so there is nothing to compare."]
    assert answer({"joint": {}, "prealign": {}}) == ["Nothing was measured for both joint and prealign."]

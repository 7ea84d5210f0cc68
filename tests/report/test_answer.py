"""The answer says what the numbers say, and no more."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from prealign.report.answer import answer


def plain(results: dict[str, Any]) -> str:
    return " ".join(answer(results)).replace("\N{NO-BREAK SPACE}", " ")


def again(results: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The results compared anew after a change."""
    return results | {"comparison": []} | changes


def shift(results: dict[str, Any], arm: str, task: str, by: list[float]) -> None:
    """Move the values of an arm, seed by seed."""
    for part, difference in zip(results["arms"][arm], by, strict=True):
        for measure in part["tasks"][task]["measures"]:
            measure["value"] += difference


def test_gains_halves_and_chance(results):
    assert plain(results) == (
        "Against joint training (mean of 3 seeds), prealign is better in bits/byte de (2.575 to 2.531, −1.7 %; "
        "difference −0.048 to −0.042, better in 3 of 3 seeds) and P@1 words en–de held out (3.2 % to 29.1 %; "
        "difference +25.7 to +26.1 pp, better in 3 of 3 seeds); no difference is secured in bits/byte en "
        "(difference −0.005 to +0.006, worse in 2 of 3 seeds). "
        "Of its halves alone, init only is better in bits/byte de (−0.016 to −0.012) and P@1 words en–de held out "
        "(+11.7 to +12.1 pp); both together are better than init only in bits/byte de (−0.034 to −0.027) and P@1 words "
        "en–de held out (+13.6 to +14.4 pp); switching only was not trained. "
        "No different from chance, as far as the intervals tell: accuracy de (chance 25.0 %) of all arms. "
        "Better and worse are said of what passes the test: paired t over seeds, p < 0.05 after Holm's correction over "
        "the 4 headline measures of each arm by itself. "
        "With 3 seeds only differences that are large or very regular can be told from none."
    )


def test_a_loss_is_called_one(results):
    shift(results, "prealign", "bits_per_byte", [0.2, 0.201, 0.199])
    assert "prealign is better in P@1 words" in plain(again(results))
    assert "worse in bits/byte de (2.575 to 2.731, +6.0 %; difference" in plain(again(results))


def test_a_change_of_every_size_is_no_gain_if_the_seeds_disagree(results):
    for task in ("bits_per_byte", "word_retrieval"):
        shift(results, "prealign", task, [-1.0, 1.0, 0.1])
    text = plain(again(results))
    assert "prealign is neither better nor worse beyond chance; no difference is secured in bits/byte de" in text
    assert "prealign is better" not in text


def test_a_half_that_does_it_all(results):
    """Initialisation alone reaches what both reach; switching alone is joint training."""
    arms = results["arms"]
    arms["switching_only"] = arms["joint"]
    arms["init_only"] = arms["prealign"]
    text = plain(again(results))
    assert "init only is better in bits/byte de" in text
    assert "switching only is neither better nor worse beyond chance" in text
    assert "both together are better than switching only in bits/byte de (−0.048 to −0.042)" in text
    assert "both together are not told apart from init only in any of these" in text


def test_a_half_that_is_as_good_as_both(results):
    results["arms"]["init_only"] = deepcopy(results["arms"]["prealign"])
    shift(results, "init_only", "bits_per_byte", [0.001, -0.001, 0.0005])
    shift(results, "init_only", "word_retrieval", [0.002, -0.001, 0.0005])
    assert "both together are not told apart from init only in any of these" in plain(again(results))


def test_one_half_may_explain_a_part(results):
    """Both are better than either half in words, and no different from one of them in bits."""
    results["arms"]["init_only"] = deepcopy(results["arms"]["prealign"])
    shift(results, "init_only", "bits_per_byte", [0.001, -0.001, 0.0005])
    shift(results, "init_only", "word_retrieval", [-0.1, -0.1005, -0.101])
    text = plain(again(results))
    assert (
        "better than init only in P@1 words en–de held out (+9.9 to +10.2 pp) and not told apart from init only" in text
    )
    assert "from init only in the other 1" in text


def test_what_counts_alone_but_not_among_many_is_told(results):
    shift(results, "prealign", "bits_per_byte", [0.0, 0.02, -0.01])
    shift(results, "prealign", "word_retrieval", [-0.2, -0.29, -0.22])
    assert "a difference would count alone, but not among so many tests, in bits/byte de" in plain(again(results))


def test_a_regular_difference_is_told_even_where_both_may_be_guessing(results):
    for arm, values in (("joint", [0.20, 0.25, 0.30]), ("prealign", [0.22, 0.271, 0.319])):
        for part, value in zip(results["arms"][arm], values, strict=True):
            part["tasks"]["transfer topics"]["measures"][0]["value"] = value
    text = plain(again(results))
    assert "would count alone, but not among so many tests, in accuracy de (difference +1.8 to +2.2 pp" not in text
    assert "accuracy de (25.0 % to 27.0 %; difference +1.8 to +2.2 pp, better in 3 of 3 seeds)" in text
    shift(results, "prealign", "transfer topics", [0.0, -0.01, 0.003])
    text = plain(again(results))
    assert "a difference would count alone, but not among so many tests, in accuracy de (difference" in text


def test_models_without_a_baseline_are_not_compared(results):
    found = answer(results | {"baseline": None, "comparison": []})
    assert found == [
        "joint, init_only and prealign were measured; none was named as the baseline, so their differences are not "
        "tested."
    ]


def test_without_halves_it_stays_open_which_one_does_it(results):
    del results["arms"]["init_only"]
    text = plain(again(results))
    assert "Which half of the method does it stays open: init only and switching only were not trained." in text


def test_other_arms_are_compared_too(results):
    results["arms"]["after"] = results["arms"].pop("prealign")
    del results["arms"]["init_only"]
    text = plain(again(results))
    assert "after is better in bits/byte de" in text
    assert "half" not in text


def test_one_seed_without_items_is_untested(results):
    arms = {arm: parts[:1] for arm, parts in results["arms"].items()}
    text = plain(again(results, arms=arms, seeds=[1]))
    assert text.startswith(
        "Against joint training, prealign changes bits/byte de (2.575 to 2.531, −1.7 %), bits/byte en (2.355 to 2.357, "
        "+0.1 %), P@1 words en–de held out (3.2 % to 29.1 %) and accuracy de (26.2 % to 27.0 %), untested. "
        "Of its halves alone, init only is untested; switching only was not trained. "
    )
    assert "better" not in text
    assert "This is one run per arm with one seed" in text


def test_unequal_text_is_told(results):
    results["arms"]["joint"][0]["lm_tokens"] = {"init": 0, "pretrain": 4000}
    assert "not seen equally many LM tokens, so their bits per byte do not compare" in plain(results)


def test_what_does_not_compare_is_left_out(results):
    for part in results["arms"]["prealign"]:
        part["tasks"]["word_retrieval"]["measures"][0]["signature"] = "n:500"
    text = plain(again(results))
    assert "Left out: P@1 words en–de held out (not compared: measured as 'n:500', joint as" in text
    assert "29.1" not in text


def test_without_the_control_nothing_is_said(results):
    del results["arms"]["joint"]
    text = plain(again(results))
    assert text == (
        "Only init only and prealign were measured, so there is nothing to compare. The control, joint training, is "
        "missing: what alignment bought cannot be said."
    )


def test_another_baseline_is_no_control(results):
    del results["arms"]["joint"]
    text = plain(again(results, baseline="init_only"))
    assert text.startswith("Against init only training (mean of 3 seeds), prealign is better in bits/byte de")
    assert "The control, joint training, is missing: what alignment bought cannot be said." in text
    assert "halves" not in text


def test_nothing_to_compare(results):
    joint = {"joint": results["arms"]["joint"]}
    assert answer({"arms": {}}) == ["No arm was measured, so there is nothing to compare."]
    assert answer(again(results, arms=joint)) == ["Only joint was measured, so there is nothing to compare."]
    empty = {arm: [{"seed": 1, "tasks": {}}] for arm in ("joint", "prealign")}
    assert answer(again(results, arms=empty)) == ["Nothing was measured for both joint and prealign."]


def test_it_never_proves(results):
    assert "prove" not in plain(results)
    assert "proof" not in plain(results)

"""Arms of sentence pairs: which stands before which, and what a step changes."""

from __future__ import annotations

import pytest
from scipy.stats import ttest_rel

from prealign.config.arms import PLANS
from prealign.evaluation.statistics import comparisons
from prealign.evaluation.task import Item
from prealign.report.added import ADDED, against_baseline_text, before, pair_arms, steps, steps_table, steps_text
from prealign.report.answer import OF_SENTENCES, OF_WORDS, answer, question
from prealign.report.changes import by_title


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


ALL = ("joint", "prealign", "pairs_as_text", "tlm", "xlco", "infoxlm")


@pytest.mark.parametrize(
    ("arm", "trained", "expected"),
    [
        ("tlm", ("joint", "tlm"), "joint"),
        ("tlm", ALL, "pairs_as_text"),
        ("pairs_as_text", ALL, "joint"),
        ("xlco", ALL, "tlm"),
        ("xlco", ("joint", "xlco"), "joint"),
        ("infoxlm", ALL, "xlco"),
        ("words_and_sentences", ALL, "xlco"),
        ("infoxlm", ("tlm", "infoxlm"), "tlm"),
        ("infoxlm", ("prealign", "infoxlm"), None),
    ],
)
def test_an_arm_is_compared_with_the_one_that_lacks_one_thing(arm, trained, expected):
    assert before(arm, trained) == expected


def test_every_arm_with_pairs_stands_on_another_and_says_what_it_adds():
    for arm in pair_arms(PLANS):
        assert before(arm, PLANS) is not None
        assert PLANS[arm].translations in ADDED
    assert pair_arms(["joint", "prealign", "a/tlm", "gpt"]) == []


def test_steps_are_paired_t_tests_over_seeds(pair_results):
    found = steps(pair_results)
    assert [(step.arm, step.before) for step in found] == [("tlm", "joint"), ("xlco", "tlm"), ("infoxlm", "xlco")]
    for step in found:
        for task in pair_results["arms"]["joint"][0]["tasks"]:
            values = {
                arm: [part["tasks"][task]["measures"][0]["value"] for part in pair_results["arms"][arm]]
                for arm in (step.arm, step.before)
            }
            row = next(row for row in step.rows if (row.arm, row.task) == (step.arm, task))
            assert row.values == values[step.arm]
            expected = ttest_rel(values[step.arm], values[step.before])
            assert row.p_value == pytest.approx(expected.pvalue)
            interval = expected.confidence_interval()
            assert (row.difference_low, row.difference_high) == pytest.approx((interval.low, interval.high))


def test_steps_in_words(pair_results):
    sentences = [plain(text) for text in steps_text(steps(pair_results), " (mean of 3 seeds)")]
    assert sentences == [
        "In sentence P@1 en–de tatoeba (mean of 3 seeds), tlm is better than joint (1.1 % to 6.2 %; +4.9 to +5.2 pp), "
        "xlco is better than tlm (6.2 % to 24.1 %; +16.8 to +19.1 pp) and infoxlm is not told apart from xlco "
        "(24.1 % to 24.2 %; −1.2 to +1.3 pp).",
        "In the other measures, tlm beside joint is worse in masked LM loss de (+0.089 to +0.118); xlco beside tlm is "
        "neither better nor worse beyond chance; infoxlm beside xlco is neither better nor worse beyond chance.",
    ]


def test_without_the_task_of_the_question_all_measures_are_told(pair_results):
    for parts in pair_results["arms"].values():
        for part in parts:
            del part["tasks"]["sentence_retrieval"]
    (sentence,) = steps_text(steps(pair_results), "")
    assert sentence.startswith("In what was measured, tlm beside joint is worse in masked LM loss de")


def test_the_table_of_steps_has_a_row_for_each_measure_and_step(pair_results):
    table = steps_table(steps(pair_results))
    assert [name for name, _ in table.header] == ["measure", "arm", "against", "difference", "p", "p", "better"]
    assert [row[:3] for row in table.rows[-3:]] == [
        ["sentence P@1 en–de tatoeba", "tlm", "joint"],
        ["sentence P@1 en–de tatoeba", "xlco", "tlm"],
        ["sentence P@1 en–de tatoeba", "infoxlm", "xlco"],
    ]
    assert plain(table.rows[-2][3]) == "+18.0 pp (+16.8 to +19.1)*"
    assert [row[-1] for row in table.rows[-3:]] == ["3 of 3", "3 of 3", "2 of 3"]
    assert table.notes[0].startswith("tlm adds that both sentences of a pair are read as one; xlco adds the contrast")
    assert "Differences: arm minus the arm beside it; pp: percentage points." in table.notes


def test_an_arm_that_adds_words_says_so(pair_results):
    arms = pair_results["arms"]
    arms["words_and_sentences"] = arms["infoxlm"]
    assert "words_and_sentences adds batches of words to align." in steps_table(steps(pair_results)).notes[0]


def test_with_one_seed_steps_are_tested_over_items(pair_results):
    """xlco finds each sentence that tlm finds and 180 more; infoxlm finds the same number as xlco, others of them."""
    found = {"joint": range(10), "tlm": range(60), "xlco": range(240), "infoxlm": range(5, 245)}

    def items(arm: str, seed: int, task: str) -> list[Item]:
        return [Item("en–de tatoeba", str(place), float(place in found[arm])) for place in range(1000)]

    for arm, parts in pair_results["arms"].items():
        part = parts[0]
        part["tasks"] = {"sentence_retrieval": part["tasks"]["sentence_retrieval"]}
        part["tasks"]["sentence_retrieval"]["measures"][0]["value"] = len(found[arm]) / 1000
    arms = {arm: parts[:1] for arm, parts in pair_results["arms"].items()}
    results = pair_results | {"arms": arms, "seeds": [1], "comparison": []}
    (sentence,) = steps_text(steps(results, items), "")
    assert "xlco is better than tlm (6.0 % to 24.0 %; +1" in plain(sentence)
    assert "infoxlm is not told apart from xlco (24.0 % to 24.0 %; −0.6" in plain(sentence)
    (sentence,) = steps_text(steps(results), "")
    assert "xlco is not tested against tlm (6.0 % to 24.0 %; +18.0 pp)" in plain(sentence)


def test_against_the_baseline_the_first_step_is_not_told_twice(pair_results):
    rows = by_title(comparisons(pair_results))
    text = plain(against_baseline_text(rows, steps(pair_results), pair_results["arms"], "joint"))
    assert text == (
        "Against joint itself, xlco is better in sentence P@1 en–de tatoeba (+21.9 to +24.2 pp) and worse in masked LM "
        "loss de (+0.092 to +0.121); infoxlm is better in sentence P@1 en–de tatoeba (+20.7 to +25.5 pp) and worse in "
        "masked LM loss de (+0.085 to +0.135)."
    )


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (["joint", "tlm", "infoxlm"], OF_SENTENCES),
        (["joint", "pairs_as_text"], OF_SENTENCES),
        (["joint", "after"], OF_WORDS),
        (["joint"], OF_WORDS),
        (["joint", "prealign", "xlco"], f"{OF_WORDS} {OF_SENTENCES}"),
    ],
)
def test_the_question_follows_the_arms(arms, expected):
    assert question(arms) == expected


def test_arms_of_sentence_pairs_have_an_answer_of_their_own(pair_results):
    first, second, third, *rest = answer(pair_results)
    assert first == " ".join(steps_text(steps(pair_results), " (mean of 3 seeds)"))
    assert second.startswith("Against joint itself, xlco is better")
    assert third == (
        "Sentence pairs come on top of the running text that all arms read. What more text alone does stays open: "
        "pairs as text was not trained."
    )
    text = plain(" ".join([first, second, third, *rest]))
    assert "half" not in text.lower()
    assert "have not seen equally many LM tokens" not in text
    assert "paired t over seeds, p < 0.05 after Holm's correction over the 3 headline measures" in text


def test_a_run_with_both_kinds_of_arms_answers_both(pair_results):
    arms = pair_results["arms"]
    arms |= {"prealign": arms["tlm"], "pairs_as_text": arms["joint"]}
    text = plain(" ".join(answer(pair_results | {"comparison": []})))
    assert text.startswith("Against joint training (mean of 3 seeds), prealign is better in sentence P@1 en–de tatoeba")
    assert "stays open: init only and switching only were not trained." in text
    assert "pairs as text is not told apart from joint (1.1 % to 1.1 %; 0.00 pp)" in text
    assert "tlm is better than pairs as text (1.1 % to 6.2 %; +4.9 to +5.2 pp)" in text
    assert "Against joint itself, tlm is better in sentence P@1" in text
    assert "pairs as text reads the same pairs sentence by sentence, for comparison." in text


def test_arms_of_sentence_pairs_that_were_not_measured_have_no_answer():
    empty = {arm: [{"seed": 1, "tasks": {}}] for arm in ("joint", "tlm")}
    assert answer({"arms": empty, "baseline": "joint"}) == ["Nothing was measured for both joint and tlm."]

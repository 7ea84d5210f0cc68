"""The tables of a comparison: what they say and what they admit."""

from __future__ import annotations

from typing import Any

from prealign.evaluation.comparison_table import comparison_table, difference_table, step_table
from prealign.evaluation.statistics import compare, models_of


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def joined(notes: list[str]) -> str:
    return plain(" ".join(notes))


def test_arms_against_headline_measures(results):
    lines = plain(comparison_table(results).text()).splitlines()
    assert lines[:7] == [
        "arm              bits/byte       bits/byte        P@1 words       accuracy   LM tokens   LM tokens",
        "                        de              en   en–de held out             de        init    pretrain",
        "──────────────────────────────────────────────────────────────────────────────────────────────────",
        "joint        2.575 ± 0.014   2.355 ± 0.009      3.2 ± 0.6 %   25.3 ± 2.7 %        205k        819k",
        "init_only   2.561 ± 0.013*   2.355 ± 0.006    15.1 ± 0.5 %*   25.5 ± 2.1 %        205k        819k",
        "prealign    2.531 ± 0.011*   2.355 ± 0.013    29.1 ± 0.9 %*   25.5 ± 3.3 %        205k        819k",
        "chance                                               0.14 %         25.0 %",
    ]
    notes = " ".join(line.strip() for line in lines[7:])
    assert "bits/byte: lower is better; how bits/byte was measured. P@1 words: higher is better;" in notes
    assert "No different from chance, as far as the interval tells: accuracy de (all arms)." in notes
    assert "95 % t intervals over 3 seeds (2 degrees of freedom); text, dictionary and test sets are the same" in notes
    assert (
        "The mark * says that an arm differs from joint: paired t over seeds, p < 0.05 after Holm's correction over "
        "the 4 headline measures of each arm by itself."
    ) in notes
    assert "If none of the 2 arms differed from joint in anything, a mark would still stand somewhere in up to" in notes
    assert "in up to 10 % of such experiments: 5 % for each arm." in notes
    assert "all arms: joint, which stage 1 does not align, was first trained on the very LM tokens that" in notes


def test_markdown(results):
    lines = plain(comparison_table(results).markdown()).splitlines()
    assert lines[:3] == [
        "| arm | bits/byte de | bits/byte en | P@1 words en–de held out | accuracy de | LM tokens init "
        "| LM tokens pretrain |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| joint | 2.575 ± 0.014 | 2.355 ± 0.009 | 3.2 ± 0.6 % | 25.3 ± 2.7 % | 205k | 819k |",
    ]
    assert all(line.startswith("- ") and line[2] != "*" for line in lines[7:])


def test_differences_from_the_baseline(results):
    lines = plain(difference_table(results).text()).splitlines()
    assert lines[:5] == [
        "measure                    arm                         difference        p          p     better",
        "                                                    95 % interval            adjusted   in seeds",
        "────────────────────────────────────────────────────────────────────────────────────────────────",
        "bits/byte de               init_only   −0.014 (−0.016 to −0.012)*    0.002      0.005     3 of 3",
        "bits/byte de               prealign    −0.045 (−0.048 to −0.042)*   <0.001     <0.001     3 of 3",
    ]
    assert "P@1 words en–de held out   prealign    +25.9 pp (+25.7 to +26.1)*   <0.001     <0.001     3 of 3" in lines
    assert not any(line.startswith("P@5") for line in lines)
    assert difference_table(results | {"arms": {"joint": results["arms"]["joint"]}, "comparison": []}).rows == []


def one_seed(results: dict[str, Any]) -> dict[str, Any]:
    """The first seed alone, without its items."""
    return results | {
        "seeds": [1],
        "arms": {arm: parts[:1] for arm, parts in results["arms"].items()},
        "comparison": [],
    }


def test_one_seed_without_items_has_no_interval_and_says_so(results):
    table = comparison_table(one_seed(results))
    assert plain(table.rows[0][1]) == "2.575"
    notes = joined(table.notes)
    assert "There are no intervals: this takes two seeds or more, or the items of the tests." in notes
    assert "all measures (all arms): no interval: its items were not kept." in notes
    assert "mark" not in notes


def test_a_column_without_chance_or_value(results):
    del results["arms"]["prealign"][0]["tasks"]["bits_per_byte"], results["comparison"]
    for part in results["arms"]["joint"]:
        del part["tasks"]["transfer topics"]
    table = comparison_table(results)
    assert table.rows[0][4] == "–"
    assert table.rows[-1][:2] == ["chance", ""]
    assert "accuracy de (init_only and prealign): joint was not measured on it." in joined(table.notes)


def test_no_marks_are_told(results):
    for part in results["arms"]["prealign"] + results["arms"]["init_only"]:
        del part["tasks"]["bits_per_byte"], part["tasks"]["word_retrieval"]
    del results["comparison"]
    assert "paired t over seeds, p < 0.05; none does." in joined(comparison_table(results).notes)


def test_the_task_goes_with_names_that_two_tasks_share(results):
    for parts in results["arms"].values():
        for part in parts:
            (row,) = part["tasks"]["transfer topics"]["measures"]
            part["tasks"]["transfer nli"] = {"scores": {}, "measures": [row | {"task": "transfer nli"}]}
    header = comparison_table(results | {"comparison": []}).header
    assert header[4:6] == [("transfer topics accuracy", "de"), ("transfer nli accuracy", "de")]


def test_unequal_text_is_told(results):
    assert "NOT" not in joined(comparison_table(results).notes)
    for part in results["arms"]["joint"]:
        part["lm_tokens"]["init"] = 0
    notes = joined(comparison_table(results).notes)
    assert "NOT seen the same number of LM tokens" in notes
    assert "Equal text" not in notes


def test_sentence_pairs_are_no_unequal_text(results):
    for part in results["arms"]["prealign"]:
        part["lm_tokens"]["pairs"] = 60_000
    table = comparison_table(results)
    assert table.header[-1] == ("LM tokens", "pairs")
    assert [row[-1] for row in table.rows[:3]] == ["–", "–", "60k"]
    notes = joined(table.notes)
    assert "NOT seen" not in notes
    assert "prealign: sentence pairs come on top of the running text that all arms read" in notes


def test_arms_that_are_compared_with_one_another(results):
    models = {arm: parts for arm, parts in models_of(results).items() if arm != "joint"}
    table = step_table({"prealign": ("init_only", compare(models, "init_only"))})
    assert table.header[:3] == [("measure", ""), ("arm", ""), ("against", "")]
    assert table.lead == 3
    assert [plain(" ".join(row)) for row in table.rows if "P@1" in row[0]] == [
        "P@1 words en–de held out prealign init_only +14.0 pp (+13.6 to +14.4)* <0.001 <0.001 3 of 3"
    ]
    assert {row[1] for row in table.rows} == {"prealign"}
    assert step_table({}).rows == []


def test_tokens_are_means_over_seeds(results):
    """Stage 1 may end early, at another step with another seed, and the control with it."""
    for parts in results["arms"].values():
        for part, n in zip(parts, (100_000, 200_000, 600_000), strict=True):
            part["lm_tokens"]["init"] = n
    table = comparison_table(results)
    assert table.rows[0][-2] == "300k"
    assert "NOT" not in joined(table.notes)


def test_values_that_never_change_are_told_once(results):
    for arm, parts in results["arms"].items():
        for part in parts:
            for measure in part["tasks"]["bits_per_byte"]["measures"]:
                measure["value"] = 2.5
            if arm != "init_only":
                part["tasks"]["word_retrieval"]["measures"][0]["value"] = 0.01
    del results["comparison"]
    notes = joined(comparison_table(results).notes)
    assert (
        "bits/byte de and bits/byte en (all arms); P@1 words en–de held out (joint and prealign): "
        "all seeds gave the same value." in notes
    )
    row = next(row for row in difference_table(results).rows if row[:2] == ["bits/byte en", "prealign"])
    assert row[-1] == "equal in all"


def test_one_seed_has_no_column_of_seeds(results):
    assert ("better", "in seeds") not in difference_table(one_seed(results)).header


def test_chance_that_differs_between_arms_is_told_for_both(results):
    for part in results["arms"]["prealign"]:
        part["tasks"]["transfer topics"]["measures"][0]["chance"] = 0.5
    table = comparison_table(results | {"comparison": []})
    assert plain(table.rows[-1][4]) == "25.0 % or 50.0 %"


def test_nothing_measured_is_a_table_too():
    empty = {"arms": {"joint": [{"seed": 1, "tasks": {}}]}, "baseline": "joint", "comparison": []}
    assert comparison_table(empty).rows == [["joint"]]
    assert difference_table(empty).text().endswith("There is nothing to compare.\n")
    assert comparison_table({"arms": {}}).text()

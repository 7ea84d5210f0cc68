"""Tables: what stands in them."""

from __future__ import annotations

import pytest

from prealign.evaluation.statistics import comparisons
from prealign.report import tables


def plain(cells):
    return [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in cells]


def test_measures_of_a_task_stand_beside_chance_and_their_conditions(results):
    rows = [row for row in comparisons(results) if row.task == "word_retrieval"]
    table = tables.measures_table(rows)
    assert table.header == [("arm", ""), ("P@1 words", "en–de held out"), ("P@5 words", "en–de held out")]
    assert [row[0] for row in table.rows] == ["joint", "init_only", "prealign", "chance"]
    assert plain(table.rows[2]) == ["prealign", "29.1 ± 0.9 %*", "39.1 ± 0.9 %"]
    assert plain(table.rows[3]) == ["chance", "0.14 %", "0.68 %"]
    assert "P@5 words en–de held out: how P@5 words was measured." in table.notes
    assert "all measures: conditions: en–de held out|n:400" in table.notes


def test_a_remark_names_the_arms_that_it_is_about(results):
    for part in results["arms"]["prealign"]:
        part["tasks"]["word_retrieval"]["measures"][0]["value"] = 0.3
        part["tasks"]["word_retrieval"]["measures"][1]["signature"] = "n:500"
    rows = comparisons(results | {"comparison": []})
    notes = tables.measures_table([row for row in rows if row.task == "word_retrieval"]).notes
    assert "P@1 words en–de held out (prealign): all seeds gave the same value" in notes
    assert "P@5 words en–de held out (prealign): conditions: n:500" in notes


def test_measures_without_chance_have_no_row_for_it(results):
    table = tables.measures_table([row for row in comparisons(results) if row.task == "bits_per_byte"])
    assert [row[0] for row in table.rows] == ["joint", "init_only", "prealign"]


def test_confusions_are_summed_over_seeds():
    def model(*lines):
        scores = {"labels": ["a", "b"], "languages": {"de": {"confusion": lines}}}
        return {"tasks": {"transfer topics": {"scores": scores}}}

    arms = {"joint": [model([1, 2], [3, 4]), model([10, 0], [0, 10])], "prealign": [{"tasks": {}}]}
    table = tables.confusion_table(arms, "transfer topics")
    assert [first for first, _ in table.header] == ["arm", "test", "right class", "a", "b"]
    assert table.rows == [["joint", "de", "a", "11", "2"], ["joint", "de", "b", "3", "14"]]


def test_a_transfer_ratio_that_is_withheld_says_why():
    def model(ratio):
        scores = {"ratio": {"de": ratio}, "objects_trained": {"de": 0.9, "en": None}}
        return {"tasks": {"knowledge": {"scores": scores}}}

    arms = {"joint": [model({"withheld": "en recall is chance."})], "prealign": [model({"above_chance": 0.5})]}
    assert plain(tables.knowledge_notes(arms)) == [
        "No transfer ratio for de (joint): en recall is chance.",
        "Objects that trained dictionary entries cover: de 90.0 %.",
    ]


def test_a_transfer_ratio_may_be_withheld_for_some_seeds():
    def model(reason):
        ratio = {"withheld": reason} if reason else {"above_chance": 0.5}
        return {"tasks": {"knowledge": {"scores": {"ratio": {"de": ratio, "fr": ratio}}}}}

    arms = {"joint": [model("nothing."), model("nothing.")], "prealign": [model(""), model("nothing.")]}
    assert tables.knowledge_notes(arms) == [
        "No transfer ratio for de / fr (joint and prealign (1 of 2 seeds)): nothing."
    ]
    arms["prealign"] = arms["joint"]
    assert tables.knowledge_notes(arms) == ["No transfer ratio for de / fr (all arms): nothing."]


def test_switching_is_counted_over_all_rows_and_seeds(metrics):
    table = tables.switching_table(metrics, {"prealign": 0.05})
    # 19 of 400 words in each of two rows of three seeds; 16 tokens cut of the 4,000 of each seed's stage 2
    assert [plain(row) for row in table.rows] == [["prealign", "5.0 %", "4.8 %", "2,400", "114", "0.40 %"]]


def test_costs_are_means_over_seeds(results):
    results["arms"]["joint"][1]["seconds"]["pretrain"] = 296.0
    table = tables.costs_table(results["arms"], {})
    assert [f"{name} {stage}".strip() for name, stage in table.header] == [
        "arm", "LM tokens init", "LM tokens pretrain", "FLOPs init", "FLOPs pretrain", "seconds init",
        "seconds pretrain", "seconds eval", "tokens/s pretrain", "parameters",
    ]  # fmt: skip
    assert table.rows[0] == ["joint", "205k", "819k", "1.2e12", "4.1e12", "76", "276", "31", "2.97k", "2.4M"]
    assert table.notes == ["Of one training each, mean over seeds."]


def test_costs_have_a_column_for_sentence_pairs_where_an_arm_reads_any(pair_results):
    table = tables.costs_table(pair_results["arms"], {})
    assert table.header[:4] == [("arm", ""), ("LM tokens", "init"), ("LM tokens", "pretrain"), ("LM tokens", "pairs")]
    speed = table.header.index(("tokens/s", "pretrain"))
    # pairs of three seeds: 60, 63 and 66 thousand tokens; 80 thousand of running text in 100 seconds
    assert [(*row[:4], row[speed]) for row in table.rows[:2]] == [
        ("joint", "0", "80k", "–", "800"),
        ("tlm", "0", "80k", "63k", "1.43k"),
    ]
    assert any("of sentence pairs come on top" in note for note in table.notes)


def test_costs_count_a_resumed_training_whole(results, metrics):
    """The manifest, and so results.json, has the seconds of the last process; the clock of the rows goes on."""
    results["arms"]["joint"][0]["seconds"]["pretrain"] = 1.0
    table = tables.costs_table(results["arms"], metrics)
    assert table.rows[0][5:7] == ["2", "8"]  # the last row of each stage: steps 10 and 40, five a second
    assert any("all parts of a resumed one" in note for note in table.notes)


def test_costs_that_are_not_known_are_dashes(metrics):
    table = tables.costs_table({"joint": [{"seed": 1, "lm_tokens": {"pretrain": 4000}, "tasks": {}}]}, {})
    assert table.rows == [["joint", "–", "4k", "–", "–", "–", "–", "–", "–", "–"]]


def test_settings_that_differ():
    recipes = {
        "a": {"seed": 1, "pretrain": {"max_steps": 250, "optimizer": {"learning_rate": 0.001}}, "seeds": []},
        "b": {"seed": 1, "pretrain": {"max_steps": 500, "optimizer": {"learning_rate": 0.001}}, "seeds": [1, 2]},
    }
    table = tables.differing_settings(recipes)
    assert table.header == [("setting", ""), ("a", ""), ("b", "")]
    assert table.rows == [["pretrain.max_steps", "250", "500"], ["seeds", "[]", "[1, 2]"]]
    assert tables.differing_settings({"a": recipes["a"], "b": recipes["a"]}).rows == []


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (4312, "entries", "4,312"),
        (0.993, "precision", "99.3 %"),
        (0.1, "min_probability", "0.1"),
        (True, "casefold", "yes"),
        ([], "corpora", "none"),
        (["a", {"name": "b", "lines": 12000}], "corpora", "a, name b, lines 12,000"),
    ],
)
def test_values_for_people(value, key, text):
    assert plain([tables.text_of(value, key)]) == [text]


def test_what_a_card_says_of_itself_is_told_once():
    card = tables.dictionary_card({"entries": 4, "quality": {"entries": 4, "precision": 0.5}})
    assert plain([value for _, value in card["facts"]]) == ["4"]
    assert [key for key, _ in card["quality"]] == ["precision"]


def test_long_cards_are_cut_and_say_so():
    card = tables.dictionary_card({f"fact_{i}": i for i in range(40)} | {"nested": {"a": None, "b": {"c": 1}}})
    assert len(card["facts"]) == 31
    assert card["facts"][-1] == ("…", "11 more in card.json")

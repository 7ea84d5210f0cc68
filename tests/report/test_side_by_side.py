"""Reading runs and putting them side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from prealign.errors import PrealignError
from prealign.evaluation.parts import Parts
from prealign.evaluation.task import Item, Outcome
from prealign.report.runs import read_results, side_by_side


def write_results(folder, value) -> None:
    (folder / "eval").mkdir()
    (folder / "eval" / "results.json").write_text(json.dumps(value))


def test_a_folder_without_results_is_no_run(tmp_path):
    with pytest.raises(PrealignError, match=r"has no eval/results.json, so it is no finished run"):
        read_results(tmp_path)


@pytest.mark.parametrize("value", [{"arms": {}, "seeds": [1]}, {"format": 3}, []], ids=str)
def test_results_of_another_version_say_how_to_renew_them(tmp_path, value):
    write_results(tmp_path, value)
    with pytest.raises(PrealignError, match=r"this version reads format 2.*with `prealign eval`"):
        read_results(tmp_path)


def test_arms_are_named_after_their_run_and_compared_with_the_first_baseline(run):
    found = side_by_side([run, replace(run, name="other")])
    assert list(found.results["arms"])[2:4] == ["quickstart/prealign", "other/joint"]
    assert list(found.metrics) == list(found.results["arms"])
    rows = {(row["arm"], row["name"], row["of"]): row for row in found.results["comparison"]}
    assert rows["quickstart/joint", "bits/byte", "de"]["difference"] is None
    assert rows["other/joint", "bits/byte", "de"]["difference"] == 0
    assert rows["other/prealign", "bits/byte", "de"]["difference"] == pytest.approx(-0.044667, abs=1e-6)


def test_unequal_signatures_are_not_compared(run):
    results = json.loads(json.dumps(run.results).replace("en|n:400", "en|n:1"))
    found = side_by_side([run, replace(run, name="other", results=results)])
    rows = {(row["arm"], row["of"]): row for row in found.results["comparison"] if row["name"] == "bits/byte"}
    assert rows["other/joint", "en"]["difference"] is None
    assert "en|n:1" in rows["other/joint", "en"]["remark"]
    assert rows["other/joint", "de"]["difference"] is not None


def test_runs_of_one_seed_are_compared_by_their_items(run, tmp_path):
    runs = []
    for name, score in (("a", 1.0), ("b", 0.0)):
        results = json.loads(json.dumps(run.results))
        folder = tmp_path / name
        results["arms"] = {"joint": results["arms"]["joint"][:1]}
        (measure, *_) = results["arms"]["joint"][0]["tasks"]["transfer topics"]["measures"]
        items = [Item(measure["test"], str(place), score if place < 50 else 0.5) for place in range(100)]
        measure["value"] = sum(item.score for item in items) / 100
        Parts(folder, "joint-1").write("transfer topics", Outcome({}, [], items))
        runs.append(replace(run, name=name, results=results, metrics={}, evaluation=folder))
    rows = {(row["arm"], row["task"]): row for row in side_by_side(runs).results["comparison"]}
    assert rows["b/joint", "transfer topics"]["n_items"] == 100
    assert rows["b/joint", "transfer topics"]["difference"] == pytest.approx(-0.5)
    assert rows["b/joint", "transfer topics"]["p_value"] < 0.001
    assert "not kept" in rows["b/joint", "word_retrieval"]["remark"]


def test_models_named_by_paths_find_their_items(run, tmp_path):
    results = json.loads(json.dumps(run.results))
    (part, *_), tasks = results["arms"]["joint"], {}
    results["arms"] = {arm: [part | {"seed": 0, "tasks": tasks}] for arm in ("a/model", "b/model")}
    measure = part["tasks"]["transfer topics"]["measures"][0]
    measure["value"] = 0.5
    tasks["transfer topics"] = {"scores": {}, "measures": [measure]}
    items = [Item(measure["test"], str(place), place % 2) for place in range(100)]
    for arm in results["arms"]:
        Parts.of(tmp_path, arm, 0).write("transfer topics", Outcome({}, [], items))
    models = replace(run, name="models", results=results | {"baseline": "a/model"}, metrics={}, evaluation=tmp_path)
    found = side_by_side([models, replace(models, name="more")]).results
    assert found["baseline"] == "models/a/model"
    assert {(row["arm"], row["n_items"]) for row in found["comparison"]} == {(arm, 100) for arm in found["arms"]}


def test_seeds_stand_in_the_order_of_the_values(run):
    results = json.loads(json.dumps(run.results))
    for models in results["arms"].values():
        models[0]["seed"] = 7
    found = side_by_side([replace(run, results=results), replace(run, name="other")]).results
    assert found["seeds"] == [7, 2, 3, 1]
    row = next(row for row in found["comparison"] if row["arm"] == "other/joint")
    assert [value is None for value in row["values"]] == [True, False, False, False]
    assert "the difference is that of the 2 seeds shared with quickstart/joint" in row["remark"]


def test_two_runs_of_one_name_are_refused(run):
    with pytest.raises(PrealignError, match="same name"):
        side_by_side([run, run])

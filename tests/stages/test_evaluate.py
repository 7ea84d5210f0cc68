"""`prealign eval` on a finished run: what it writes, and that an interrupted one goes on without measuring twice."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from prealign import cli
from prealign.evaluation.task import Item, Measure, Outcome
from prealign.stages import evaluate

pytestmark = pytest.mark.slow
ARMS = ["joint", "prealign", "init_only", "switching_only"]


class Interrupted(Exception):  # noqa: N818, not an error
    """Stands for whatever ends an evaluation."""


class Counting:
    """A task that counts its runs and fails in one of them."""

    name = "counting words"

    def __init__(self, fails_in: int = 0) -> None:
        self.runs, self.fails_in = 0, fails_in

    def run(self, model) -> Outcome:
        self.runs += 1
        if self.runs == self.fails_in:
            raise Interrupted
        value = float(next(model.parameters()).abs().sum() > 0)
        measure = Measure(
            task=self.name,
            name="weights",
            of="en",
            value=value,
            better="higher",
            form="share",
            test="t",
            signature="v1",
        )
        return Outcome({"value": value}, [measure], [Item("t", str(n), value) for n in range(3)])


@pytest.fixture
def unevaluated(finished_run, tmp_path):
    """A copy of the finished run without its evaluation: the recipe."""
    folder, _ = finished_run
    copy = tmp_path / "run"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("eval", "report.*"))
    recipe = (copy / "recipe.yaml").read_text(encoding="utf-8").replace(str(folder), str(copy))
    (copy / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return copy / "recipe.yaml"


def test_results_have_every_arm_task_and_item(finished_run):
    folder, _ = finished_run
    results = json.loads((folder / "eval" / "results.json").read_text(encoding="utf-8"))
    assert (results["format"], results["seeds"], results["baseline"]) == (2, [1], "joint")
    assert list(results["arms"]) == ARMS
    for arm, (part,) in results["arms"].items():
        assert part["seed"] == 1
        assert list(part["tasks"]) == ["bits_per_byte", "word_retrieval"]
        assert part["flops"]["pretrain"] > 6 * part["parameters"] * 0.1 * part["lm_tokens"]["pretrain"]
        assert set(part["seconds"]) == {"init", "pretrain", "eval"}
        for task, found in part["tasks"].items():
            items = (folder / "eval" / "items" / f"{arm}-1" / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in items]
            tested = [measure for measure in found["measures"] if measure["test"] is not None]
            assert tested
            for measure in tested:
                own = [row for row in rows if row["test"] == measure["test"]]
                assert sum(r["score"] for r in own) / sum(r["weight"] for r in own) == pytest.approx(measure["value"])
    compared = [row for row in results["comparison"] if row["name"] == "bits/byte" and row["of"] == "en"]
    assert [row["arm"] for row in compared] == ARMS
    assert compared[0]["difference"] is None
    assert compared[1]["difference"] == pytest.approx(compared[1]["mean"] - compared[0]["mean"])


def test_an_interrupted_evaluation_goes_on(unevaluated, monkeypatch, capsys):
    first, second = Counting(fails_in=3), Counting()
    monkeypatch.setattr(evaluate, "tasks_of", lambda materials: [first])
    with pytest.raises(Interrupted):
        cli.run(["eval", str(unevaluated)])
    assert not (unevaluated.parent / "eval").exists()
    monkeypatch.setattr(evaluate, "tasks_of", lambda materials: [second])
    assert not cli.run(["eval", str(unevaluated)])
    assert second.runs == len(ARMS) - 2
    results = json.loads((unevaluated.parent / "eval" / "results.json").read_text(encoding="utf-8"))
    assert [part["tasks"]["counting words"]["scores"]["value"] for (part,) in results["arms"].values()] == [1.0] * 4
    assert "joint" in capsys.readouterr().out
    assert not list(unevaluated.parent.glob("eval.*"))


def test_what_another_recipe_left_is_not_gone_on_with(unevaluated, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "tasks_of", lambda materials: [Counting(fails_in=2)])
    with pytest.raises(Interrupted):
        cli.run(["eval", str(unevaluated)])
    assert cli.run(["eval", str(unevaluated), "--eval.max-words", "7"]) == 2
    assert "eval.max_words: made with 1000, now 7" in capsys.readouterr().err


def test_sentences_of_a_clone_and_words_in_context(unevaluated, capsys):
    """Both are made from what the run has; the stage of linked pairs is made for the evaluation alone."""
    recipe = yaml.safe_load(unevaluated.read_text(encoding="utf-8"))
    recipe["eval"]["sentences"] = [{"name": "validation", "source": "en", "target": "en-x-clone"}]
    recipe["eval"]["context_sentences"] = 20
    unevaluated.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    assert cli.run(["eval", str(unevaluated)]) == 2
    assert "prealign prepare" in capsys.readouterr().err
    assert not cli.run(["prepare", str(unevaluated)])
    assert not cli.run(["eval", str(unevaluated)])
    results = json.loads((unevaluated.parent / "eval" / "results.json").read_text(encoding="utf-8"))
    (part,) = results["arms"]["prealign"]
    assert list(part["tasks"]) == ["bits_per_byte", "word_retrieval", "sentence_retrieval", "words_in_context"]
    found = part["tasks"]["sentence_retrieval"]["scores"]["validation en--en-x-clone"]
    assert found["forward"]["n_queries"] > 20
    in_context = part["tasks"]["words_in_context"]["scores"]["en--en-x-clone"]
    assert set(in_context) == {"held_out", "trained"}
    assert in_context["trained"]["sentences"] <= 20
    headlines = {(row["name"], row["of"], row["task"]) for row in results["comparison"] if row["headline"]}
    assert ("sentence P@1", "en–en-x-clone validation", "sentence_retrieval") in headlines
    assert ("P@1", "en–en-x-clone held out", "words_in_context") in headlines

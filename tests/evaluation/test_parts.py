"""One model's measurements on disk: written as they are made, read back the same, and never made twice."""

from __future__ import annotations

import json

import pytest

from prealign.evaluation.parts import Parts, has_parts, measure_missing
from prealign.evaluation.task import Item, Measure, Outcome


class Counting:
    """A task that counts its runs and can fail."""

    def __init__(self, name: str, fails: bool = False) -> None:
        self.name, self.fails, self.runs = name, fails, 0

    def run(self, model) -> Outcome:
        self.runs += 1
        if self.fails:
            raise KeyboardInterrupt
        measure = Measure(task=self.name, name="accuracy", of="ärm", value=0.5, better="higher", form="share", test="t")
        return Outcome({"value": 0.5}, [measure], [Item("t", "1", 1.0, detail={"said": "日本"}), Item("t", "2", 0.0)])


def test_what_is_written_is_read_back(tiny_model, tmp_path):
    parts = Parts(tmp_path, "joint-1")
    task = Counting("transfer my topics/de")
    told = []
    measure_missing(tiny_model, [task], parts, told.append)
    assert told == [task.name]
    assert (tmp_path / "parts" / "joint-1" / "transfer-my-topics-de.json").is_file()
    found = parts.read(task.name)
    assert found["scores"] == {"value": 0.5}
    assert Measure(**found["measures"][0]) == task.run(None).measures[0]
    assert found["parameters"] == sum(p.numel() for p in tiny_model().parameters())
    assert list(parts.items(task.name)) == list(task.run(None).items)
    lines = (tmp_path / "items" / "joint-1" / "transfer-my-topics-de.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"test": "t", "item": "1", "score": 1.0, "weight": 1.0, "said": "日本"}


def test_an_interrupted_evaluation_goes_on_where_it_was(tiny_model, tmp_path):
    tasks = [Counting("one"), Counting("two"), Counting("three", fails=True), Counting("four")]
    parts, loads = Parts(tmp_path, "joint-1"), []

    def load():
        loads.append("model")
        return tiny_model()

    assert not has_parts(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        measure_missing(load, tasks, parts, lambda name: None)
    assert has_parts(tmp_path)
    assert not parts.is_done("three")
    tasks[2].fails = False
    told = []
    measure_missing(load, tasks, parts, told.append)
    assert [task.runs for task in tasks] == [1, 1, 2, 1]
    assert told == ["three", "four"]
    measure_missing(load, tasks, parts, told.append)  # nothing is left to do, and no model is loaded for it
    assert len(loads) == 2
    assert not list(tmp_path.rglob("*.partial"))

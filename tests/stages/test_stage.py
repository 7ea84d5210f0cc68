"""Stages: made once, reused with the same identity, refused with another, resumed when interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign import files
from prealign.errors import PrealignError
from prealign.stages.stage import MANIFEST, Stage, fresh


def make(text: str):
    def write(folder):
        (folder / "result").write_text(text)
        return {"letters": len(text)}

    return write


def test_a_finished_stage_is_reused_and_its_manifest_says_what_it_is(tmp_path):
    stage = Stage("store", tmp_path / "store", {"store.deduplicate": True}, {"corpus.txt": "abc"})
    first = stage.build(make("one"))
    assert stage.build(make("two")) == first
    assert (tmp_path / "store" / "result").read_text() == "one"
    assert first["summary"] == {"letters": 3}
    assert first["inputs"] == {"corpus.txt": "abc"}
    assert "torch" in first["versions"]


def test_another_identity_is_refused_with_the_field_and_the_way_out(tmp_path):
    Stage("store", tmp_path / "s", {"seed": 1, "gone": 0}, {"corpus.txt": "abc"}).build(make("one"))
    with pytest.raises(PrealignError) as caught:
        Stage("store", tmp_path / "s", {"seed": 2, "new": 3}, {"corpus.txt": "abd"}).is_finished()
    told = str(caught.value)
    for part in ("seed: made with 1, now 2", "gone: made with 0, now absent", "new: not there when it was made, now 3",
                 "corpus.txt: made with abc, now abd", "--fresh store", "--output"):  # fmt: skip
        assert part in told


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    stage = Stage("store", tmp_path / "store")

    def fail(folder):
        (folder / "half").write_text("x")
        raise PrealignError("bad corpus")

    with pytest.raises(PrealignError, match="bad corpus"):
        stage.build(fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_is_never_overwritten(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.txt").write_text("precious")
    with pytest.raises(PrealignError, match=f"has no {MANIFEST}"):
        Stage("store", tmp_path / "store").build(make("one"))
    assert (tmp_path / "store" / "thesis.txt").read_text() == "precious"


def test_an_interrupted_stage_goes_on_only_with_the_same_recipe(tmp_path):
    stage = Stage("pretrain", tmp_path / "p", {"seed": 1})
    (stage.begin_or_resume() / "checkpoint").write_text("half way")
    assert (stage.begin_or_resume() / "checkpoint").read_text() == "half way"
    with pytest.raises(PrealignError, match="seed: made with 1, now 2"):
        Stage("pretrain", tmp_path / "p", {"seed": 2}).begin_or_resume()
    stage.finish({}, 1.0)
    assert (tmp_path / "p" / "checkpoint").exists()
    assert stage.is_finished()


def test_a_missing_input_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(PrealignError, match="Run `prealign prepare RECIPE` first"):
        Stage("store", tmp_path / "store").require("prealign prepare RECIPE")


def test_fresh_removes_a_stage_and_what_was_made_from_it_only(tmp_path):
    folders = {name: [tmp_path / name] for name in ("dictionary", "tokenizer", "store", "init", "pretrain")}
    for (folder,) in folders.values():
        folder.mkdir()
    files.partial_of(tmp_path / "pretrain").mkdir()
    fresh(folders, ["init"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dictionary", "store", "tokenizer"]


def test_a_stage_goes_on_when_all_it_lacks_are_inputs_that_may_come_later(tmp_path):
    def stage(**inputs: str) -> Stage:
        return Stage("eval", tmp_path / "eval", {"eval.max_words": 9}, inputs, growing=("one", "two", "three"))

    def make(folder, *models: str):
        made = [(folder / model).write_text(model) for model in models if not (folder / model).exists()]
        return {"made": len(made)}

    assert stage(one="a").build(lambda folder: make(folder, "one"))["summary"] == {"made": 1}
    assert not stage(one="a", two="b").is_finished()
    assert stage(one="a").is_finished()  # to ask changes nothing

    def stop(folder):
        make(folder, "one", "two")
        raise PrealignError("stopped")

    with pytest.raises(PrealignError, match="stopped"):
        stage(one="a", two="b").build(stop, worth_keeping=lambda folder: True)
    grown = stage(one="a", two="b", three="c")
    done = grown.build(lambda folder: make(folder, "one", "two", "three"), worth_keeping=lambda folder: True)
    assert done["summary"] == {"made": 1}
    assert grown.is_finished()
    assert sorted(place.name for place in tmp_path.iterdir()) == ["eval"]
    assert sorted(place.name for place in grown.folder.iterdir()) == [MANIFEST, "one", "three", "two"]
    for refused in (stage(one="a", two="b"), stage(one="other", two="b", three="c"),
                    Stage("eval", grown.folder, {"eval.max_words": 8}, grown.inputs | {"four": "d"})):  # fmt: skip
        with pytest.raises(PrealignError, match="--fresh eval"):
            refused.is_finished()
    with pytest.raises(PrealignError, match="corpus: not there when it was made"):
        stage(one="a", two="b", three="c", corpus="new").is_finished()


def test_a_kill_while_a_finished_stage_begins_to_grow_loses_nothing(tmp_path, monkeypatch):
    def stage(**inputs: str) -> Stage:
        return Stage("eval", tmp_path / "eval", {}, inputs, growing=("one", "two"))

    stage(one="a").build(make("dear"))
    remove = Path.unlink

    def killed(self: Path, missing_ok: bool = False) -> None:
        if self.name == MANIFEST:
            raise KeyboardInterrupt
        remove(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        stage(one="a", two="b").begin_or_resume()
    monkeypatch.undo()
    folder = stage(one="a", two="b").begin_or_resume()
    assert (folder / "result").read_text() == "dear"
    stage(one="a", two="b").finish({}, 1.0)
    assert sorted(place.name for place in (tmp_path / "eval").iterdir()) == [MANIFEST, "result"]

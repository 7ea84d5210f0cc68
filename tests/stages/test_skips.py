"""An interrupted training takes new skips ahead of it, refuses those behind it, and no other change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prealign import cli, files
from prealign.errors import PrealignError
from prealign.stages.skips import refuse_skips_of_the_past
from prealign.stages.stage import STARTED, Stage
from prealign.train.metrics import read_rows

AMENDABLE = ("pretrain.skip_steps",)


def stage_at(folder: Path, *steps: int, skips: list[list[int]]) -> Stage:
    """A training that was interrupted, with checkpoints at some steps."""
    stage = Stage("pretrain", folder / "joint", {"pretrain.skip_steps": skips, "seed": 1}, amendable=AMENDABLE)
    for step in steps:
        place = stage.begin_or_resume() / "checkpoints" / f"step-{step:08d}"
        place.mkdir(parents=True)
        (place / "COMPLETE").touch()
    return stage


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ([], [(41, 50)], False),
        ([], [(40, 50)], True),
        ([[5, 9]], [(5, 9)], False),
        ([[5, 9]], [(5, 9), (60, 61)], False),
        ([[5, 9]], [(60, 61)], True),  # what was skipped was skipped
        ([[60, 61]], [], False),
    ],
)
def test_only_what_lies_ahead_may_change(tmp_path, before, after, refused):
    stage = stage_at(tmp_path, 20, 40, skips=before)
    if not refused:
        refuse_skips_of_the_past(stage, after)
        return
    with pytest.raises(PrealignError, match=r"has reached step 40, .* remove the checkpoints .*step-00000040 from"):
        refuse_skips_of_the_past(stage, after)


def test_the_way_back_is_told(tmp_path):
    with pytest.raises(PrealignError, match=r"checkpoints step-00000040 from .* goes on from the one before"):
        refuse_skips_of_the_past(stage_at(tmp_path / "a", 20, 40, skips=[]), [(30, 35)])
    with pytest.raises(PrealignError, match=r"step-00000020, step-00000040 from .* begins anew"):
        refuse_skips_of_the_past(stage_at(tmp_path / "b", 20, 40, skips=[]), [(7, 35)])


def test_an_interrupted_stage_may_change_what_is_amendable_and_nothing_else(tmp_path):
    first = stage_at(tmp_path, 20, skips=[])
    second = Stage("pretrain", first.folder, {"pretrain.skip_steps": [[30, 31]], "seed": 1}, amendable=AMENDABLE)
    assert second.fingerprint_of_work == first.fingerprint_of_work
    assert second.fingerprint != first.fingerprint
    second.begin_or_resume()
    assert files.read_json(first.working_folder / STARTED) == second.identity
    with pytest.raises(PrealignError, match="seed: made with 1, now 2"):
        Stage("pretrain", first.folder, {"pretrain.skip_steps": [], "seed": 2}, amendable=AMENDABLE).begin_or_resume()


@pytest.fixture
def interrupted(finished_run, tmp_path) -> Path:
    """The toy run as it was when the arm `joint` had made 9 of 12 steps."""
    whole, _ = finished_run
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for later in ("eval", "pretrain/prealign", "pretrain/init_only", "pretrain/switching_only"):
        shutil.rmtree(run / later)
    joint = run / "pretrain" / "joint.partial"
    (run / "pretrain" / "joint").rename(joint)
    manifest = files.read_json(joint / "manifest.json")
    files.write_json(joint / STARTED, {name: manifest[name] for name in ("stage", "options", "inputs")})
    (joint / "manifest.json").unlink()
    shutil.rmtree(joint / "model")
    shutil.rmtree(joint / "checkpoints" / "step-00000012")
    return run


@pytest.mark.slow
def test_the_command_skips_and_refuses(interrupted, finished_run, capsys):
    command = ["pretrain", str(interrupted / "recipe.yaml"), "--output", str(interrupted), "--arms", "joint"]
    assert cli.run([*command, "--pretrain.skip-steps", "9", "9"]) == 2
    assert "has reached step 9, and step 9 lies behind it" in capsys.readouterr().err
    assert cli.run([*command, "--pretrain.skip-steps", "11", "11"]) == 0
    assert "resuming at step 9" in capsys.readouterr().err
    losses = []
    for run in (interrupted, finished_run[0]):
        rows, _ = read_rows(run / "pretrain" / "joint" / "metrics.jsonl")
        losses.append({row["step"]: row["loss"]["lm"] for row in rows if row["kind"] == "train"})
    changed = {step for step in losses[0] if losses[0][step] != losses[1][step]}
    assert changed == {12}  # rows are written every second step: the one of steps 11 and 12
    manifest = files.read_json(interrupted / "pretrain" / "joint" / "manifest.json")
    assert manifest["options"]["pretrain.skip_steps"] == [[11, 11]]


@pytest.mark.slow
def test_another_store_under_a_training_is_refused(interrupted, capsys):
    place = interrupted / "store" / "store.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"fingerprint": "another"}))
    command = ["pretrain", str(interrupted / "recipe.yaml"), "--output", str(interrupted), "--arms", "joint"]
    assert cli.run(command) == 2
    told = capsys.readouterr().err
    assert "store: " in told
    assert "in the checkpoint, another now" in told

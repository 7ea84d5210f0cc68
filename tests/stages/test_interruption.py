"""Killed or stopped in the middle of pretraining, the same command ends with the same rows and weights."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow


def rows(stage: Path) -> list[dict]:
    """metrics.jsonl without what depends on the clock."""
    found = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "timing"} for row in found]


def assert_same(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    ours, theirs = (load_file(stage / "model" / "model.safetensors") for stage in (one, other))
    assert set(ours) == set(theirs)
    assert all((ours[name] == theirs[name]).all() for name in ours)


def wait_for(path: Path, process) -> None:
    """Until a file is there; the process must not have ended before."""
    deadline = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_cut_off_in_pretraining_goes_on_to_the_same_end(finished_run, toy, command, start, tmp_path, kind):
    whole, _ = finished_run
    folder = tmp_path / "cut"
    recipe = str(toy(folder))
    # Many saves, so that the signal surely falls between the first checkpoint and the end.
    process = start("run", recipe, "--arms", "joint", "prealign", "--engine.save-steps", "1")
    wait_for(folder / "pretrain" / "joint.partial" / "checkpoints" / "step-00000002" / "COMPLETE", process)
    process.send_signal(kind)
    _, told = process.communicate(timeout=60)
    assert not (folder / "pretrain" / "joint").exists(), "it ended before the signal came"
    if kind == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 0, told
        assert f"To go on: prealign run {recipe}" in told
        assert "Traceback" not in told
    done = command("run", recipe, "--arms", "joint", "prealign", "--engine.save-steps", "1")
    assert done.returncode == 0, done.stderr
    assert "resuming at step" in done.stderr
    for arm in ("joint", "prealign"):
        assert_same(folder / "pretrain" / arm, whole / "pretrain" / arm)

"""The real command under torchrun: two ranks read the same data and end where one process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from prealign.train.metrics import read_rows

pytestmark = pytest.mark.slow


def torchrun(command: str, recipe: str, *settings: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*program, "-m", "prealign", command, recipe, "--arms", "prealign", *settings],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_init_and_pretrain_on_two_ranks_follow_the_curve_of_one(finished_run, toy, command, tmp_path):
    whole, _ = finished_run
    folder = tmp_path / "ranks"
    recipe = str(toy(folder))
    for stage in ("build-dict", "tokenizer", "prepare"):
        done = command(stage, recipe, "--arms", "prealign")
        assert done.returncode == 0, done.stderr
    sharded = ("--engine.parallel", "fsdp", "--engine.async-save")
    for stage, settings in (("init", ()), ("pretrain", sharded)):
        done = torchrun(stage, recipe, "--seeds", "1", *settings)
        assert done.returncode == 0, done.stderr
    trained = folder / "seed-1"  # with the draws of the other run, which has no seeds but the seed 1
    for place in ("init/aligned", "pretrain/prealign"):
        work = [json.loads((run / place / "manifest.json").read_text())["summary"]["flops"] for run in (trained, whole)]
        assert work[0] == pytest.approx(work[1], rel=0.05)  # words of two ranks are padded on their own
        ours, theirs = (
            [row for row in read_rows(run / place / "metrics.jsonl")[0] if row["kind"] == "train"]
            for run in (trained, whole)
        )
        assert [row["step"] for row in ours] == [row["step"] for row in theirs]
        for one, other in zip(ours, theirs):
            assert one["lm_tokens"] == other["lm_tokens"]
            assert one.get("n_switched") == other.get("n_switched")
            # Sums over ranks are taken in another order: float32 rounding, grown over a dozen AdamW steps.
            assert one["loss"]["lm"] == pytest.approx(other["loss"]["lm"], rel=1e-4)


def test_stages_that_do_not_train_refuse_a_launcher(toy, tmp_path):
    refused = torchrun("eval", str(toy(tmp_path / "refused")))
    assert refused.returncode != 0
    assert "run under torchrun or srun; start this one plainly" in refused.stderr

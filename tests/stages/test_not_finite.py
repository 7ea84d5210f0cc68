"""A training that goes wrong, through the real command."""

from __future__ import annotations

import re
import shutil

import pytest

pytestmark = pytest.mark.slow


def test_a_loss_that_is_not_finite_names_step_rank_and_rows(finished_run, toy, command, tmp_path):
    whole, _ = finished_run
    folder = tmp_path / "wild"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("pretrain", "eval", "report.*"))
    done = command("pretrain", str(toy(folder)), "--arms", "joint", "--pretrain.optimizer.learning-rate", "1e30")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"loss of step \d+ is not finite. Nothing was updated", done.stderr)
    assert re.search(r"  - rank 0, lm: \S+, examples en(-x-clone)? epoch 0 row \d+, en", done.stderr)

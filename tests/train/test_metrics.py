"""Rows of metrics.jsonl across a kill, and the sums between rows."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from prealign.train.metrics import Journal, Meter, flat


def steps(folder: Path) -> list[tuple[str, int]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["stage"], row["step"]) for row in rows]


def test_rows_after_the_checkpoint_go_and_other_stages_stay(tmp_path: Path) -> None:
    for stage in ("init", "pretrain"):
        journal = Journal(tmp_path, stage, 0)
        for step in (10, 20, 30):
            journal.write("train", step, step * 100, {"loss": {"lm": 1.5}})
        journal.close()
    Journal(tmp_path, "pretrain", 20).close()
    assert steps(tmp_path) == [("init", 10), ("init", 20), ("init", 30), ("pretrain", 10), ("pretrain", 20)]


def test_a_line_cut_off_by_a_kill_is_dropped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"kind": "train", "stage": "t", "step": 5}\n{"kind": "tra', encoding="utf-8"
    )
    with caplog.at_level(logging.WARNING, logger="prealign"):
        journal = Journal(tmp_path, "t", 5)
    journal.write("train", 10, 0, {})
    journal.close()
    assert steps(tmp_path) == [("t", 5), ("t", 10)]
    assert "cut-off" in caplog.text


def test_meter_goes_on_from_its_state_through_json() -> None:
    straight, broken = Meter(), Meter()
    for number in range(4):
        step = ({"lm": 0.1 * number}, {"lm": 3.0}, {"n_cut": 2.0})
        straight.add(*step)
        broken.add(*step)
        broken = Meter(json.loads(json.dumps(broken.state())))
    assert straight.take() == broken.take() == {"loss": {"lm": pytest.approx(0.05)}, "n_cut": 8}
    assert straight.take() == {"loss": {}}


def test_trackers_get_flat_names() -> None:
    assert flat({"loss": {"lm": 2, "alignment": 1.5}, "note": "x", "lr": 0.1}) == {
        "loss/lm": 2.0,
        "loss/alignment": 1.5,
        "lr": 0.1,
    }

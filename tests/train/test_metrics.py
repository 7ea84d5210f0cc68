"""Rows of metrics.jsonl across a kill, and the sums between rows."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from prealign.train.metrics import Clock, Journal, Meter, NormWatch, PartSums, flat


def steps(folder: Path) -> list[tuple[str, int]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()]
    return [(row["stage"], row["step"]) for row in rows]


def test_rows_after_the_checkpoint_go_and_other_stages_stay(tmp_path: Path) -> None:
    for stage in ("init", "pretrain"):
        journal = Journal(tmp_path, stage, 0)
        for step in (10, 20, 30):
            journal.write({"kind": "train", "stage": stage, "step": step, "loss": {"lm": 1.5}})
        journal.close()
    Journal(tmp_path, "pretrain", 20).close()
    assert steps(tmp_path) == [("init", 10), ("init", 20), ("init", 30), ("pretrain", 10), ("pretrain", 20)]


def test_a_line_cut_off_by_a_kill_is_dropped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"kind": "train", "stage": "t", "step": 5}\n{"kind": "tra', encoding="utf-8"
    )
    with caplog.at_level(logging.WARNING, logger="prealign"):
        journal = Journal(tmp_path, "t", 5)
    journal.write({"kind": "train", "stage": "t", "step": 10})
    journal.close()
    assert steps(tmp_path) == [("t", 5), ("t", 10)]
    assert "metrics.jsonl:2 was cut off" in caplog.text
    assert not (tmp_path / "metrics.broken.txt").exists()


def test_a_broken_line_in_the_middle_costs_no_other_row_and_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        b'{"kind": "train", "stage": "t", "step": 5}',
        b'{"kind": "train", "st\xff\x00\x00',
        b'{"kind": "train", "stage": "t", "step": 10, "note": "\xe2\x80\xa8"}',  # a line separator, not a line end
        b'["no row"]',
        b'{"kind": "train", "stage": "t", "step": 15}',
        b"",
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    with caplog.at_level(logging.WARNING, logger="prealign"):
        Journal(tmp_path, "t", 15).close()
    assert steps(tmp_path) == [("t", 5), ("t", 10), ("t", 15)]
    assert (tmp_path / "metrics.broken.txt").read_bytes().splitlines() == [lines[1], lines[3]]
    assert "metrics.jsonl:2 is no row of metrics" in caplog.text
    assert "metrics.jsonl:4 is no row of metrics (it has no kind, stage and step)" in caplog.text
    caplog.clear()
    Journal(tmp_path, "t", 15).close()
    assert not caplog.text


def test_meter_goes_on_from_its_state_through_json() -> None:
    straight, broken = Meter(), Meter()
    for number in range(4):
        step = ({"lm": 0.1 * number}, {"lm": 3.0}, {"n_cut": 2.0})
        straight.add(*step)
        broken.add(*step)
        broken = Meter(json.loads(json.dumps(broken.state())))
    assert straight.take() == broken.take() == {"loss": {"lm": pytest.approx(0.05)}, "n_cut": 8}
    assert straight.take() == {"loss": {}}


def test_means_of_parts_go_on_from_the_state_and_leave_out_what_was_not_there() -> None:
    meter = Meter()
    for sums, counts in (([6.0, 0.0], [2.0, 0.0]), ([1.0, 0.0], [2.0, 0.0])):
        of_text = PartSums("language", ["en", "de"], sums, counts)
        meter.add({}, {}, {}, {"lm": of_text, "alignment": PartSums("layer", [], sums, counts)})
        meter = Meter(json.loads(json.dumps(meter.state())))
    assert meter.take() == {
        "loss": {},
        "loss_by_language": {"lm": {"en": 1.75}},
        "loss_by_layer": {"alignment": [1.75, None]},
    }
    assert meter.take() == {"loss": {}}


def test_trackers_get_flat_names() -> None:
    assert flat({"loss": {"lm": 2, "alignment": 1.5}, "note": "x", "lr": 0.1, "p_at_1": {"en--de": [0.5, 0.7]}}) == {
        "loss/lm": 2.0,
        "loss/alignment": 1.5,
        "lr": 0.1,
        "p_at_1/en--de/0": 0.5,
        "p_at_1/en--de/1": 0.7,
    }


def test_a_gradient_norm_far_above_the_median_stands_out() -> None:
    watch = NormWatch()
    assert [watch.usual_beside(norm) for norm in [100.0] + [1.0, 2.0] * 10] == [None] * 21  # the start is steep
    assert watch.usual_beside(9.9) is None
    assert watch.usual_beside(80.0) == 2.0
    watch = NormWatch(json.loads(json.dumps(list(watch.norms))))
    assert watch.usual_beside(80.0) == 2.0
    for _ in range(100):  # a new level becomes usual
        watch.usual_beside(80.0)
    assert watch.usual_beside(80.0) is None


def test_speeds_are_of_the_row_and_leave_out_measuring_and_saving() -> None:
    clock = Clock(seconds=100.0)
    clock.add(1.5, 0.5, {"lm": 300.0, "alignment": 8.0}, flops=4e9)
    clock.add(1.0, 1.5, {"lm": 300.0}, flops=4e9)
    assert clock.take(peak_flops=10e9) == {
        "seconds": 104.0, "tokens_per_s": 150.0, "alignment_per_s": 2.0, "waiting_share": 0.375, "mfu": 0.2,
    }  # fmt: skip
    clock.add(1.0, 1.5, {"lm": 70.0}, flops=0.0)
    assert clock.take(None) == {"seconds": 105.0, "tokens_per_s": 70.0, "waiting_share": 0.0}
    clock.add(3.0, 1.5, {"lm": 1.0}, flops=1e6)
    assert clock.take(peak_flops=10e9)["mfu"] == 3.333e-05

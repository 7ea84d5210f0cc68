"""DDP, FSDP2 and one process train the same, and go on from each other's checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prealign.files import read_json

Workers = Callable[..., None]
LAST = Path("checkpoints") / "step-00000012"


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "timing"} for line in lines]


def assert_same_rows(one: Path, other: Path, rel: float) -> None:
    mine, theirs = rows(one), rows(other)
    assert [(row["kind"], row["step"]) for row in mine] == [(row["kind"], row["step"]) for row in theirs]
    for left, right in zip(mine, theirs, strict=True):
        for key in {"loss", "logits", "rows"} & left.keys():
            assert left[key] == pytest.approx(right[key], rel=rel), (left["step"], key)


def assert_same_curve(one: Path, other: Path, rel: float) -> None:
    """The rows, and what the objective has learnt."""
    assert_same_rows(one, other, rel)
    first, second = (read_json(folder / "learnt.json") for folder in (one, other))
    assert first["log_weight"] == pytest.approx(second["log_weight"], rel=10 * rel)
    assert abs(first["log_weight"]) > 1e-3
    assert first["seen"] == second["seen"] == 8


def assert_same_bits(one: Path, other: Path) -> None:
    """Rows, weights, moments and what the objective has learnt."""
    assert rows(one) == rows(other)
    names = sorted(path.relative_to(one / LAST).as_posix() for path in (one / LAST).rglob("*.safetensors"))
    assert names == sorted(path.relative_to(other / LAST).as_posix() for path in (other / LAST).rglob("*.safetensors"))
    assert len(names) >= 3
    for name in names:
        mine, theirs = load_file(one / LAST / name), load_file(other / LAST / name)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine), name


@pytest.fixture(scope="module")
def one(workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one process: uninterrupted, and cut off in step 7 after the checkpoint of step 4."""
    folder = tmp_path_factory.mktemp("one")
    workers(1, folder, "straight", "tied", "cut_ddp")
    return folder


@pytest.fixture(scope="module")
def two(workers: Workers, one: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two processes; then those that were cut off go on, the same way, the other way, and from one process."""
    folder = tmp_path_factory.mktemp("two")
    workers(2, folder, "straight", "straight_fsdp", "beside", "recomputed", "half", "cut_ddp", "cut_fsdp",
            "twice", "unequal", "stopped", "tied")  # fmt: skip
    for kind, other in (("ddp", "fsdp"), ("fsdp", "ddp")):
        shutil.copytree(folder / f"cut_{kind}", folder / f"resumed_{kind}")
        shutil.copytree(folder / f"cut_{kind}", folder / f"crossed_to_{other}")
        shutil.copytree(one / "cut_ddp", folder / f"from_one_{kind}")
    cases = [f"{start}_{kind}" for start in ("resumed", "crossed_to", "from_one") for kind in ("ddp", "fsdp")]
    workers(2, folder, *cases, "twice_resumed")
    return folder


@pytest.mark.parametrize("kind", ["straight", "straight_fsdp", "beside", "recomputed"])
def test_two_processes_train_as_one(one: Path, two: Path, kind: str) -> None:
    """Float32 sums in another order, grown over twelve updates; validation sees the model whole under FSDP2 too."""
    assert_same_curve(one / "straight", two / kind, rel=1e-5)


def test_shards_are_written_by_who_holds_them(two: Path) -> None:
    training = two / "straight_fsdp" / LAST / "training"
    assert sorted(path.name for path in training.iterdir()) == [
        "objectives.safetensors", "optimizer.00000.safetensors", "optimizer.00001.safetensors", "state.json",
    ]  # fmt: skip
    first, second = (load_file(training / f"optimizer.0000{rank}.safetensors") for rank in (0, 1))
    whole = load_file(two / "straight" / LAST / "training" / "optimizer.safetensors")
    name = "exp_avg.lm_head.weight"
    assert (len(first[name]), len(second[name]), len(whole[name])) == (31, 30, 61)
    assert "exp_avg.objectives.0.log_weight" in first
    assert "exp_avg.objectives.0.log_weight" not in second
    model = load_file(two / "straight_fsdp" / LAST / "model.safetensors")
    assert model["lm_head.weight"].shape == (61, 16)


def test_writing_beside_the_training_writes_the_same(two: Path) -> None:
    assert_same_bits(two / "beside", two / "straight_fsdp")


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_resumed_on_as_many_processes_it_ends_bit_for_bit_the_same(two: Path, kind: str) -> None:
    assert_same_bits(two / f"resumed_{kind}", two / ("straight" if kind == "ddp" else "straight_fsdp"))


def test_resumed_twice_it_ends_bit_for_bit_the_same(two: Path) -> None:
    assert_same_bits(two / "twice", two / "straight_fsdp")


@pytest.mark.parametrize("start", ["crossed_to", "from_one"])
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_resumed_in_another_way_the_curve_goes_on(one: Path, two: Path, start: str, kind: str) -> None:
    assert_same_curve(one / "straight", two / f"{start}_{kind}", rel=1e-5)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_resumed_on_one_process_the_curve_goes_on(
    workers: Workers, one: Path, two: Path, tmp_path: Path, kind: str
) -> None:
    shutil.copytree(two / f"cut_{kind}", tmp_path / f"resumed_{kind}")
    workers(1, tmp_path, f"resumed_{kind}")
    assert_same_curve(one / "straight", tmp_path / f"resumed_{kind}", rel=1e-5)


def test_bfloat16_travels_and_float32_stays(one: Path, two: Path) -> None:
    full, half = rows(one / "straight")[-2], rows(two / "half")[-2]
    assert half["loss"]["lm"] != full["loss"]["lm"]
    assert half["loss"]["lm"] == pytest.approx(full["loss"]["lm"], rel=2e-2)
    weights = load_file(two / "half" / LAST / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_tied_embeddings_are_sharded_and_saved_once(one: Path, two: Path) -> None:
    assert_same_rows(one / "tied", two / "tied", rel=1e-5)
    mine, theirs = (load_file(folder / "tied" / LAST / "model.safetensors") for folder in (one, two))
    assert mine.keys() == theirs.keys()
    assert "lm_head.weight" not in mine


def test_unequal_micro_batches_are_refused_under_fsdp(two: Path) -> None:
    for rank, number in ((0, 1), (1, 2)):
        message = read_json(two / f"unequal.{rank}.json")["text"]
        assert f"rank {rank} has {number} of the 3 on 2 ranks" in message


def test_all_stop_when_one_is_asked_to(two: Path) -> None:
    for rank in (0, 1):
        assert read_json(two / f"stopped.{rank}.json") == {"finished": False, "whole": True}

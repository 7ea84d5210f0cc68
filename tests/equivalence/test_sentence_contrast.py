"""Sentence contrast: one process as two ranks; with queue and slow copy also sharded, and resumed as uninterrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prealign.files import read_json

END = Path("checkpoints") / "step-00000012"


@pytest.fixture(scope="module")
def folders(workers: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    workers(1, one, "contrast_whole", "contrast_cut", "contrast_resumed", "in_batch")
    workers(2, two, "contrast_whole", "contrast_fsdp", "in_batch")
    return one, two


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["contrast", "contrast_fsdp"])
def test_two_ranks_are_one_process(folders: tuple[Path, Path], name: str) -> None:
    """Tolerances as in test_ranks; the queue is in another order only within a step, so it is compared as it is."""
    one, two = folders[0] / "contrast", folders[1] / name
    mine, theirs = rows(two), rows(one)
    assert len(mine) == len(theirs) == 12
    for row, expected in zip(mine, theirs, strict=True):
        assert row["loss"]["sentence_alignment"] == pytest.approx(expected["loss"]["sentence_alignment"], rel=2e-5)
        assert row["loss"]["lm"] == pytest.approx(expected["loss"]["lm"], rel=2e-5)
        assert row["n_contrast_pairs"] == expected["n_contrast_pairs"] == 8
    held, expected_state = (read_json(folder / "objective.json") for folder in (two, one))
    assert held["queue.names"] == expected_state["queue.names"]
    assert held["queue.added"] == expected_state["queue.added"]
    for key in expected_state:
        if "names" not in key:
            torch.testing.assert_close(torch.tensor(held[key]), torch.tensor(expected_state[key]), rtol=0, atol=1e-4)
    weights, expected_weights = (load_file(folder / END / "model.safetensors") for folder in (two, one))
    for key in expected_weights:
        torch.testing.assert_close(weights[key], expected_weights[key], rtol=0, atol=1e-4)


def test_two_ranks_are_each_others_negatives(folders: tuple[Path, Path]) -> None:
    one, two = (folder / "in_batch" for folder in folders)
    for mine, expected in zip(rows(two), rows(one), strict=True):
        assert mine["loss"]["sentence_alignment"] == pytest.approx(expected["loss"]["sentence_alignment"], rel=2e-5)
    weights, expected_weights = (load_file(folder / END / "model.safetensors") for folder in (two, one))
    for key in expected_weights:
        torch.testing.assert_close(weights[key], expected_weights[key], rtol=0, atol=1e-4)


def test_the_copy_lags_and_the_queue_was_filled_first(folders: tuple[Path, Path]) -> None:
    held = read_json(folders[0] / "contrast" / "objective.json")
    weights = load_file(folders[0] / "contrast" / END / "model.safetensors")
    slow = torch.tensor(held["slow.encoder.embed_tokens.weight"])
    assert not torch.allclose(slow, weights["model.embed_tokens.weight"].flatten(), atol=1e-4)
    assert held["queue.added"] == [24 + 12 * 8]


def test_resumed_is_uninterrupted(folders: tuple[Path, Path]) -> None:
    straight, resumed = folders[0] / "contrast", folders[0] / "contrast_cut"
    assert read_json(straight / "objective.json") == read_json(resumed / "objective.json")
    for name in ("model.safetensors", "training/objectives.safetensors"):
        one, other = (load_file(folder / END / name) for folder in (straight, resumed))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    untimed = [
        [{k: v for k, v in row.items() if k != "timing"} for row in rows(folder)] for folder in (straight, resumed)
    ]
    assert untimed[0] == untimed[1]

"""Words encoded in parts on two ranks, whole or sharded, train as one process that encodes all at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prealign.files import read_json

WEIGHTS = Path("checkpoints") / "step-00000012" / "model.safetensors"


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_two_ranks_in_parts_train_as_one_process(workers: Callable[..., None], tmp_path: Path) -> None:
    """Tolerance as in test_ranks: float32 sums in another order, through twelve updates of AdamW."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    workers(1, one, "words_in_parts")
    workers(2, two, "words_in_parts", "words_in_parts_fsdp")
    expected = rows(one / "words_in_parts_ddp")
    learnt = read_json(one / "words_in_parts_ddp.json")["temperature"]
    assert learnt != pytest.approx(0.3, rel=1e-3)
    for name in ("words_in_parts_ddp", "words_in_parts_fsdp"):
        found = rows(two / name)
        assert len(found) == len(expected) == 12
        for mine, theirs in zip(found, expected, strict=True):
            assert mine["n_words"] == theirs["n_words"]
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=5e-6)
            assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
        assert read_json(two / f"{name}.json")["temperature"] == pytest.approx(learnt, rel=1e-5)
        mine, theirs = (load_file(run / WEIGHTS) for run in (two / name, one / "words_in_parts_ddp"))
        for key in theirs:  # layers 1 and 2 are aligned; what stands after them (the head) stays what it was
            torch.testing.assert_close(mine[key], theirs[key], rtol=0, atol=2e-5, msg=lambda text, key=key: key + text)

"""Checkpoints: whole or invisible, rotated, readable by transformers alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from prealign import files
from prealign.errors import PrealignError
from prealign.train import checkpoint
from prealign.train.loop import Outcome


def test_checkpoints_rotate_and_load_without_us(run: Callable[..., Outcome], tmp_path: Path) -> None:
    def note(folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")

    outcome = run(tmp_path, save_extra=note, engine={"save_total_limit": 2, "save_steps": 3})
    assert checkpoint.steps_on_disk(tmp_path) == [9, 10]
    assert (outcome.checkpoint / "tokenizer.json").is_file()
    assert AutoModelForCausalLM.from_pretrained(outcome.checkpoint).config.vocab_size == 61


def test_a_checkpoint_without_its_mark_is_ignored_and_said(
    run: Callable[..., Outcome], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path)
    (checkpoint.place(tmp_path, 10) / checkpoint.COMPLETE).unlink()
    with caplog.at_level(logging.INFO, logger="prealign"):
        assert run(tmp_path).finished
    assert "step-00000010 is not a whole checkpoint" in caplog.text
    assert "resuming at step 8 of 10" in caplog.text


def test_a_full_disk_leaves_the_last_checkpoint_and_says_where_it_goes_on(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json = files.write_json

    def full(path: Path, value: Any) -> None:
        if value["step"] == 8:
            raise OSError(28, "No space left on device")
        write_json(path, value)

    monkeypatch.setattr(files, "write_json", full)
    with pytest.raises(
        PrealignError, match=r"step 8 could not be written .*No space left.*goes on from .*step-00000004"
    ):
        run(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000004"]


def test_export_writes_a_plain_folder(small_model: Callable[[], PreTrainedModel], tmp_path: Path) -> None:
    model = small_model()
    checkpoint.export(model, tmp_path / "model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not list(tmp_path.glob("*.partial"))

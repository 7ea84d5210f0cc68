"""Checkpoints: whole or invisible, rotated, readable by transformers alone; at once or beside the training."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, PreTrainedModel

from prealign import files, ranks
from prealign.errors import PrealignError
from prealign.train import checkpoint
from prealign.train.loop import Outcome, Task
from prealign.train.saver import Saver, export


def test_checkpoints_rotate_and_load_without_us(run: Callable[..., Outcome], tmp_path: Path) -> None:
    def note(folder: Path, state: Any) -> None:
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")

    outcome = run(tmp_path, save_extra=note, engine={"save_total_limit": 2, "save_steps": 3})
    assert checkpoint.steps_on_disk(tmp_path) == [9, 10]
    assert (outcome.checkpoint / "tokenizer.json").is_file()
    assert AutoModelForCausalLM.from_pretrained(outcome.checkpoint).config.vocab_size == 61


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_put_into_a_checkpoint_knows_its_moment(
    run: Callable[..., Outcome], tasks_of: Any, tmp_path: Path, beside: bool
) -> None:
    """Steps that no row of metrics.jsonl stands for, before and after an interruption; each step counts its number."""
    seen: dict[str, tuple[int, int, float]] = {}

    def note(folder: Path, state: Any) -> None:
        time.sleep(0.1 if beside else 0.0)
        seen[folder.name[-12:]] = state["step"], state["lm_tokens"], state["sums"]["n_switched"]

    def cut(step: int) -> list[Task]:
        if step == 7:
            raise KeyboardInterrupt
        return tasks_of(step)

    engine = {"logging_steps": 100, "save_steps": 3, "async_save": beside, "keep_steps": [2, 3, 8]}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, engine=engine, save_extra=note, micro_batches=cut)
    outcome = run(tmp_path, engine=engine, save_extra=note)
    # Two micro-batches of a step count its number, from 0.
    expected = {step: (step, step * 66, 2 * sum(range(step))) for step in (2, 3, 6, 8, 9, 10)}
    assert sorted(seen.values()) == sorted(expected.values())
    assert outcome.sums["n_switched"] == 2 * sum(range(10))


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


def test_a_full_disk_under_the_tokenizer_is_told_by_checkpoints_and_export(
    run: Callable[..., Outcome], small_model: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    """tokenizers raises a plain Exception, with the system's number in its text."""
    tokenizer = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(PrealignError, match=r"step 4 could not be written .*\(os error 28\)\. Make room and run"):
        run(tmp_path, save_extra=lambda folder, state: tokenizer.save("/dev/full"))
    with pytest.raises(PrealignError, match=r"The model could not be written to .*\(os error 28\)\. Make room and run"):
        export(small_model(), tmp_path / "model", lambda folder: tokenizer.save("/dev/full"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("model")] == []


def test_only_a_full_disk_is_told_to_make_room(run: Callable[..., Outcome], tmp_path: Path) -> None:
    def refuse(folder: Path, state: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    with pytest.raises(PrealignError, match=r"Permission denied: .*\. Once that is mended, run the same command again"):
        run(tmp_path, save_extra=refuse)


def test_lost_moments_are_missed(run: Callable[..., Outcome], tmp_path: Path) -> None:
    run(tmp_path)
    moments = checkpoint.place(tmp_path, 10) / "training" / "optimizer.safetensors"
    kept = load_file(moments)
    save_file({name: tensor for name, tensor in kept.items() if name != "exp_avg.lm_head.weight"}, moments)
    with pytest.raises(PrealignError, match=r"moments of 1 of \d+ parameters \(lm_head.weight, .*step-00000008\."):
        run(tmp_path)
    moments.unlink()
    with pytest.raises(PrealignError, match=r"moments of (\d+) of \1 parameters"):
        run(tmp_path)


def test_a_checkpoint_of_another_version_is_refused(run: Callable[..., Outcome], tmp_path: Path) -> None:
    place = run(tmp_path, max_steps=4).checkpoint / "training" / "state.json"
    files.write_json(place, {key: value for key, value in files.read_json(place).items() if key != "format"})
    with pytest.raises(PrealignError, match=r"another version of prealign .* --fresh"):
        run(tmp_path, max_steps=4)


def test_what_a_kill_left_is_removed_and_said(
    run: Callable[..., Outcome], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path)
    for name in ("step-00000008.older", "step-00000012.partial"):
        (tmp_path / "checkpoints" / name).mkdir()
    with caplog.at_level(logging.WARNING, logger="prealign"):
        run(tmp_path)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.split(",")[0].rpartition("/")[2] for line in told] == [
        "step-00000008.older", "step-00000012.partial",
    ]  # fmt: skip
    assert checkpoint.steps_on_disk(tmp_path) == [8, 10]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_threads_that_write_wait_no_longer_than_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}
    left: list[object] = []
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "new_group", lambda **given: asked.update(given) or "group")
    monkeypatch.setattr(torch.distributed, "destroy_process_group", left.append)
    saver = Saver(tmp_path, None, beside=True, timeout_s=7.0)
    assert asked == {"backend": "gloo", "timeout": timedelta(seconds=7)}
    saver.close()
    saver.close()
    assert left == ["group"]


def test_another_precision_after_a_resume_is_said(
    run: Callable[..., Outcome], tasks_of: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def cut(step: int) -> list[Task]:
        if step == 6:
            raise KeyboardInterrupt
        return tasks_of(step)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, micro_batches=cut, engine={"precision": "fp32"})
    with caplog.at_level(logging.WARNING, logger="prealign"):
        run(tmp_path, engine={"precision": "bf16"})
    assert "the steps so far were computed in fp32, those to come in bf16" in caplog.text


def test_export_writes_a_plain_folder(small_model: Callable[[], PreTrainedModel], tmp_path: Path) -> None:
    model = small_model()
    export(model, tmp_path / "model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not list(tmp_path.glob("*.partial"))


def test_a_real_limit_on_file_sizes_is_told_like_a_full_disk(run: Callable[..., Outcome], tmp_path: Path) -> None:
    """The optimiser's file has twice the size of the weights, so that safetensors' own writer meets the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(PrealignError, match=r"step 4 could not be written(.|\n)*goes on from the start"):
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "checkpoints").iterdir())
    assert run(tmp_path).finished


@pytest.mark.parametrize("name", ["model.safetensors", "training/optimizer.safetensors"])
def test_a_truncated_file_is_named_with_the_checkpoint_before(
    run: Callable[..., Outcome], tmp_path: Path, name: str
) -> None:
    run(tmp_path)
    broken = checkpoint.place(tmp_path, 10)
    os.truncate(broken / name, (broken / name).stat().st_size // 2)
    with pytest.raises(
        PrealignError, match=r"step-00000010 is marked as whole but cannot be read: (.|\n)*step-00000008\."
    ):
        run(tmp_path)
    files.remove(broken)
    assert run(tmp_path).finished


def test_an_error_of_ours_while_saving_is_not_taken_for_a_full_disk(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    def broken(folder: Path, state: Any) -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        run(tmp_path, save_extra=broken)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_beside_the_training_the_same_is_written_from_a_copy(run: Callable[..., Outcome], tmp_path: Path) -> None:
    """Each save takes longer than the steps to the next, which change the weights meanwhile."""
    threads: set[str] = set()

    def slow(folder: Path, state: Any) -> None:
        threads.add(threading.current_thread().name)
        time.sleep(0.2)

    run(tmp_path / "at_once", engine={"save_total_limit": 9})
    run(tmp_path / "beside", engine={"save_total_limit": 9, "async_save": True}, save_extra=slow)
    assert threads == {"checkpoint"}
    assert checkpoint.steps_on_disk(tmp_path / "beside") == [4, 8, 10]
    for step in (4, 8, 10):
        mine, theirs = (checkpoint.place(tmp_path / name, step) for name in ("beside", "at_once"))
        for name in ("model.safetensors", "training/optimizer.safetensors"):
            tensors, others = load_file(mine / name), load_file(theirs / name)
            assert tensors.keys() == others.keys()
            assert all(torch.equal(tensors[key], others[key]) for key in tensors)


def test_what_fails_beside_the_training_stops_it_soon(
    run: Callable[..., Outcome], tasks_of: Any, tmp_path: Path
) -> None:
    def full(folder: Path, state: Any) -> None:
        raise OSError(28, "No space left on device")

    made: list[int] = []

    def make(step: int) -> list[Task]:
        made.append(step)
        time.sleep(0.05)
        return tasks_of(step)

    with pytest.raises(PrealignError, match=r"step 4 could not be written .*No space left"):
        run(tmp_path, engine={"async_save": True}, save_extra=full, micro_batches=make, max_steps=60)
    assert max(made) < 20


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("phase", "stops_after"), [("first batch", 1), ("saving", 5)])
def test_sigterm_in_any_phase_leaves_a_whole_checkpoint(
    run: Callable[..., Outcome], tasks_of: Any, tmp_path: Path, phase: str, stops_after: int, beside: bool
) -> None:
    def make(step: int) -> list[Task]:
        if phase == "first batch" and step == 0:
            _terminate()
        return tasks_of(step)

    def extra(folder: Path, state: Any) -> None:
        if phase == "saving" and "step-00000004" in folder.name:
            _terminate()
        time.sleep(0.1)

    engine = {"async_save": beside}
    stopped = run(tmp_path, micro_batches=make, save_extra=extra, engine=engine)
    assert not stopped.finished
    assert stopped.step == stops_after or beside  # beside the training it goes on for a step or more meanwhile
    assert checkpoint.is_whole(stopped.checkpoint)
    assert run(tmp_path, engine=engine).finished

"""The loop: rows, resume to the bit, stopping on request and before damage."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from prealign import ranks
from prealign.config.engine import OptimizerSettings
from prealign.errors import PrealignError
from prealign.objectives.causal_lm import CausalLM
from prealign.train.loop import Outcome, autocast_dtype
from prealign.train.step import Task

Run = Callable[..., Outcome]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Rows without what depends on the clock."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "timing"} for line in lines]


def assert_same_end(one: Path, other: Path) -> None:
    """Rows, weights and moments are equal to the last bit."""
    assert rows(one) == rows(other)
    for name in ("model.safetensors", "training/optimizer.safetensors"):
        mine, theirs = (load_file(folder / "checkpoints" / "step-00000010" / name) for folder in (one, other))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine), name


def weight_sum(model: PreTrainedModel) -> dict[str, float]:
    assert not model.training
    assert not torch.is_grad_enabled()
    return {"sum": float(model.lm_head.weight.double().sum())}


def test_rows_say_what_happened(run: Run, tmp_path: Path) -> None:
    outcome = run(tmp_path, measure=weight_sum, start_tokens=1000)
    found = rows(tmp_path)
    assert [(row["kind"], row["step"]) for row in found] == [
        ("eval", 0), ("train", 3), ("eval", 5), ("train", 6), ("train", 9), ("train", 10), ("eval", 10),
    ]  # fmt: skip
    assert found.pop(0)["lm_tokens"] == 1000
    assert outcome[:4] == (True, 10, 1000 + 10 * 66, tmp_path / "checkpoints" / "step-00000010")
    assert found[0]["lm_tokens"] == 1000 + 3 * 66  # two micro-batches of 3 rows with 11 labels each
    assert found[0]["n_switched"] == 2 * (0 + 1 + 2)
    assert found[0]["loss"].keys() == {"lm", "alignment"}
    assert found[0]["lr"] > found[-2]["lr"]


def test_training_learns_what_it_sees_again(run: Run, tasks_of: Any, tmp_path: Path) -> None:
    run(tmp_path, micro_batches=lambda step: tasks_of(0))
    first, last = rows(tmp_path)[0]["loss"], rows(tmp_path)[-1]["loss"]
    assert last["lm"] < 0.9 * first["lm"]
    assert last["alignment"] < 0.9 * first["alignment"]


def test_interrupted_at_any_moment_it_ends_as_if_it_had_not_been(run: Run, tasks_of: Any, tmp_path: Path) -> None:
    run(tmp_path / "straight", measure=weight_sum)

    def power_cut_at(step: int) -> Callable[[int], list[Task]]:
        def make(asked: int) -> list[Task]:
            if asked == step:
                raise KeyboardInterrupt
            return tasks_of(asked)

        return make

    for step in (2, 7, 9):  # before the first checkpoint, after it in the middle of a row, at the end
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", measure=weight_sum, micro_batches=power_cut_at(step))
    run(tmp_path / "broken", measure=weight_sum)
    assert_same_end(tmp_path / "straight", tmp_path / "broken")


def test_a_finished_run_is_left_alone(run: Run, tmp_path: Path) -> None:
    first = run(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    assert run(tmp_path, micro_batches=None) == first
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_sigterm_saves_and_the_same_call_goes_on(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path / "straight", measure=weight_sum)

    def ask_to_stop(model: PreTrainedModel) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return weight_sum(model)

    handler = signal.getsignal(signal.SIGTERM)
    with caplog.at_level(logging.INFO, logger="prealign"):
        stopped = run(tmp_path / "stopped", measure=ask_to_stop)
        assert (stopped.finished, stopped.step) == (False, 1)  # asked while the start is measured
        assert run(tmp_path / "stopped", measure=weight_sum).finished
    assert "stopped at step 1 and saved" in caplog.text
    assert "resuming at step 1 of 10" in caplog.text
    assert signal.getsignal(signal.SIGTERM) is handler
    assert_same_end(tmp_path / "straight", tmp_path / "stopped")


def test_a_loss_that_is_not_finite_stops_before_the_update(
    run: Run, small_model: Callable[[], PreTrainedModel], tasks_of: Any, tmp_path: Path
) -> None:
    model = small_model()
    seen: list[dict[str, torch.Tensor]] = []

    class Broken:
        name, trains_everything, parts = "lm", True, None

        def count(self, batch: Any) -> int:
            return 1

        def loss_sum(self, model: PreTrainedModel, batch: Any) -> torch.Tensor:
            seen.append({name: value.clone() for name, value in model.state_dict().items()})
            return model.lm_head.weight.sum() * torch.nan

    def make(step: int) -> list[Task]:
        return [(tasks_of(step)[1][0], Broken(), 1.0)] if step == 6 else tasks_of(step)

    message = r"loss of step 7 is not finite(.|\n)*rank 0, lm: nan, examples en/6/1"
    with pytest.raises(PrealignError, match=message):
        run(tmp_path, model=model, micro_batches=make)
    assert all(torch.equal(value, seen[0][name]) for name, value in model.state_dict().items())
    assert (tmp_path / "checkpoints" / "step-00000004" / "COMPLETE").is_file()


def test_a_gradient_that_is_not_finite_stops_and_names_the_examples(run: Run, tasks_of: Any, tmp_path: Path) -> None:
    class Root(CausalLM):
        def loss_sum(self, model: PreTrainedModel, batch: Any) -> torch.Tensor:
            return (model.lm_head.weight.sum() * 0.0).sqrt()  # 0, whose gradient is infinite

    message = r"step 1 is not finite(.|\n)*gradient is not\n  - rank 0, lm: 0, examples en/0/0\n"
    with pytest.raises(PrealignError, match=message):
        run(tmp_path, micro_batches=lambda step: [(batch, Root(), 1.0) for batch, _, _ in tasks_of(step)[:2]])


def test_a_measurement_that_is_enough_ends_the_training_as_finished(
    run: Run, tasks_of: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[str, int]] = []

    def enough(row: Any) -> bool:
        asked.append((row["kind"], row["step"]))
        return row["step"] >= 4 and row["sum"] != 0

    with caplog.at_level(logging.INFO, logger="prealign"):
        outcome = run(tmp_path, measure=weight_sum, enough=enough, engine={"eval_steps": 2})
    assert (outcome.finished, outcome.step) == (True, 4)
    assert (outcome.checkpoint / "COMPLETE").is_file()
    assert asked == [("eval", 0), ("eval", 2), ("eval", 4)]
    assert [(row["kind"], row["step"]) for row in rows(tmp_path)][-3:] == [("train", 3), ("eval", 4), ("train", 4)]
    assert "ended at step 4, where the measurement was enough" in caplog.text
    # Called again, as after a kill between the last save and what comes after it, it knows.
    assert run(tmp_path, measure=None, enough=None, micro_batches=None) == outcome


def test_a_measurement_that_stops_the_training_stands_in_the_rows(run: Run, tmp_path: Path) -> None:
    def guard(row: Any) -> bool:
        if row["step"] == 4:
            raise PrealignError("worse than is allowed")
        return False

    with pytest.raises(PrealignError, match="worse than is allowed"):
        run(tmp_path, measure=weight_sum, enough=guard, engine={"eval_steps": 2})
    assert [row["step"] for row in rows(tmp_path) if row["kind"] == "eval"] == [0, 2, 4]


def test_what_rank_0_finds_in_a_measurement_counts_on_every_rank(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a rank whose last bits are others: it finds nothing, rank 0 does.
    def gathered(on_rank_0: Any) -> Any:
        return lambda found, group=None: [on_rank_0 if isinstance(found, tuple | PrealignError) else found, found]

    monkeypatch.setattr(ranks, "gather_objects", gathered(PrealignError("said on rank 0")))
    with pytest.raises(PrealignError, match="said on rank 0"):
        run(tmp_path, measure=weight_sum, enough=lambda row: False, engine={"eval_steps": 2})

    def finds(row: Any) -> bool:
        raise PrealignError("said on rank 1")

    monkeypatch.setattr(ranks, "gather_objects", gathered((True, False)))
    assert run(tmp_path / "other", measure=weight_sum, enough=finds).step == 0


def test_a_start_that_is_enough_is_saved_without_an_update(run: Run, tmp_path: Path) -> None:
    outcome = run(tmp_path, measure=weight_sum, enough=lambda row: True, start_tokens=7)
    assert outcome == Outcome(True, 0, 7, tmp_path / "checkpoints" / "step-00000000", {"flops": 0.0})
    assert run(tmp_path, micro_batches=None, start_tokens=7) == outcome
    assert [(row["kind"], row["step"]) for row in rows(tmp_path)] == [("eval", 0)]


def test_a_gradient_that_stands_out_is_told_with_its_examples(
    run: Run, tasks_of: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Steep(CausalLM):
        def loss_sum(self, model: PreTrainedModel, batch: Any) -> torch.Tensor:
            return super().loss_sum(model, batch) * (1000.0 if batch["examples"] == ["en/24/1"] else 1.0)

    def make(step: int) -> list[Task]:
        return [(batch, Steep(), 1.0) for batch, _, _ in tasks_of(step)[:2]]

    def interrupted(step: int) -> list[Task]:
        if step == 23:
            raise KeyboardInterrupt
        return make(step)

    run(tmp_path / "straight", micro_batches=make, max_steps=30, engine={"logging_steps": 10})
    assert re.search(
        r"gradient of step 25 has norm .*, usual are .*\. Examples on rank 0: en/24/0, en/24/1$",
        caplog.text,
        re.MULTILINE,
    )
    assert [row.get("n_grad_spikes") for row in rows(tmp_path / "straight")] == [None, None, 1]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", micro_batches=interrupted, max_steps=30, engine={"logging_steps": 10})
    run(tmp_path / "broken", micro_batches=make, max_steps=30, engine={"logging_steps": 10})
    assert rows(tmp_path / "straight") == rows(tmp_path / "broken")


def test_a_checkpoint_of_other_data_or_settings_is_refused(run: Run, tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(PrealignError, match="store: 7f3a in the checkpoint, 91c2 now"):
        run(tmp_path, facts={"store": "91c2"}, max_steps=10)
    with pytest.raises(PrealignError, match="max_steps: 10 in the checkpoint, 20 now"):
        run(tmp_path, max_steps=20)
    with pytest.raises(PrealignError, match=r"optimizer: \{'learning_rate': 0.01"):
        run(tmp_path, optimizer=OptimizerSettings(learning_rate=2e-2))


def test_a_step_without_rows_is_a_sentence(run: Run, tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match="Step 1 has no rows for rank 0"):
        run(tmp_path, micro_batches=lambda step: [])


def test_gradient_checkpointing_changes_nothing_that_is_learnt(run: Run, tmp_path: Path) -> None:
    for name, on in (("plain", False), ("recomputed", True)):
        run(tmp_path / name, engine={"gradient_checkpointing": on})
    plain, recomputed = rows(tmp_path / "plain"), rows(tmp_path / "recomputed")
    for one, other in zip(plain, recomputed, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-6)


def test_bfloat16_trains(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "fp32", engine={"precision": "fp32"})
    run(tmp_path / "bf16", engine={"precision": "bf16"})
    full, half = rows(tmp_path / "fp32")[-1], rows(tmp_path / "bf16")[-1]
    assert half["loss"] != full["loss"]
    assert half["loss"]["lm"] == pytest.approx(full["loss"]["lm"], rel=0.02)


def test_torchs_generator_is_left_alone(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", None), ("bf16", torch.bfloat16)])
def test_precision_that_is_asked_for_is_taken(precision: str, dtype: torch.dtype | None) -> None:
    assert autocast_dtype(precision, torch.device("cpu")) is dtype


def test_a_torch_that_cannot_tell_of_the_cpu_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert autocast_dtype("auto", torch.device("cpu")) is None

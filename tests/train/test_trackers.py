"""TensorBoard and W&B get the rows' numbers, and go on after a kill."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prealign.errors import PrealignError
from prealign.train.loop import Outcome

Run = Callable[..., Outcome]


@pytest.mark.parametrize(("kind", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_tracker_that_is_not_installed_ends_with_the_line_that_installs_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PrealignError, match=rf"needs {kind}, .* pip install 'prealign\[track\]'"):
        run(tmp_path, engine={"report_to": [kind]})


def interrupted(tasks_of: Any, at: int) -> Callable[[int], Any]:
    def make(step: int) -> Any:
        if step == at:
            raise KeyboardInterrupt
        return tasks_of(step)

    return make


def test_tensorboard_shows_every_row_once_after_a_kill(run: Run, tasks_of: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, engine={"report_to": ["tensorboard"]}, micro_batches=interrupted(tasks_of, 7))
    run(tmp_path, engine={"report_to": ["tensorboard"]})
    seen = EventAccumulator(str(tmp_path / "tensorboard"))
    seen.Reload()
    assert [point.step for point in seen.Scalars("test/train/loss/lm")] == [3, 6, 9, 10]
    assert {"test/train/lr", "test/train/timing/tokens_per_s", "test/train/lm_tokens"} <= set(seen.Tags()["scalars"])


def test_wandb_goes_on_with_its_run_after_a_kill(
    run: Run, tasks_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Any]] = []
    logged: list[dict[str, float]] = []
    axes: list[tuple[str, Any]] = []

    def init(**given: Any) -> Any:
        begun.append(given)
        return SimpleNamespace(
            id=given["id"] or f"run{len(begun)}",
            log=logged.append,
            define_metric=lambda name, **how: axes.append((name, how.get("step_metric"))),
            finish=lambda: begun[-1].update(finished=True),
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    folder = tmp_path / "pretrain" / "joint.partial"
    with pytest.raises(KeyboardInterrupt):
        run(folder, engine={"report_to": ["wandb"]}, micro_batches=interrupted(tasks_of, 7))
    run(folder, engine={"report_to": ["wandb"]})
    assert [given["id"] for given in begun] == [None, "run1"]
    assert all(given["name"] == "pretrain/joint" and given["finished"] for given in begun)
    assert ("test/train/*", "test/train/step") in axes
    assert [row["test/train/step"] for row in logged] == [3, 6, 6, 9, 10]
    assert all("test/train/loss/lm" in row for row in logged)


def test_the_real_wandb_writes_offline(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run(tmp_path, engine={"report_to": ["wandb"]})
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))

"""Which checkpoints are made and which stay."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from transformers import PreTrainedModel

from prealign.config.engine import EngineSettings
from prealign.errors import PrealignError
from prealign.train import checkpoint
from prealign.train.loop import Outcome
from prealign.train.saving import Best, is_due, staying

Run = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"save_steps": 4}, [4, 8, 11]),
        ({"save_steps": 100, "keep_steps": "log"}, [1, 2, 4, 8, 11]),
        ({"save_steps": 5, "keep_steps": [3, 10, 500]}, [3, 5, 10, 11]),
    ],
)
def test_checkpoints_are_made_at_regular_and_at_scheduled_steps(settings: dict[str, Any], steps: list[int]) -> None:
    engine = EngineSettings(**settings)
    assert [step for step in range(1, 12) if is_due(step, 11, engine)] == steps


@pytest.mark.parametrize("wrong", ["every", "log:1,2,4", [0, 5], 3])
def test_other_schedules_are_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="keep_steps"):
        EngineSettings(keep_steps=wrong)


def test_the_newest_the_scheduled_and_the_best_stay() -> None:
    engine = EngineSettings(save_total_limit=2, keep_steps=[3, 10])
    assert staying([3, 4, 6, 8, 10, 12], engine, best=None) == [3, 10, 12]
    assert staying([3, 4, 6, 8, 9, 12], engine, best=6) == [3, 6, 9, 12]
    assert staying([4], engine, best=4) == [4]


def test_best_is_the_first_of_the_lowest_and_goes_on_from_its_state() -> None:
    best = Best("bits.de")
    values = [1.0, 5.0, 3.0, 4.0, 3.0, 2.0]  # the start is not saved, so its value does not count
    found = []
    for step, value in enumerate(values):
        found.append(best.improves(step, {"bits": {"de": value, "en": 0.0}}))
        best = Best("bits.de", json.loads(json.dumps(best.state())))
    assert found == [False, True, True, False, False, True]
    assert best.state() == {"measurement": "bits.de", "step": 5, "value": 2.0}
    assert Best("bits.en", best.state()).state() is None


def test_what_is_not_a_number_is_never_the_best() -> None:
    best = Best("bits")
    values = [math.nan, 5.0, math.nan, 4.0, -math.inf]
    found = [best.improves(step, {"bits": value}) for step, value in enumerate(values, start=1)]
    assert found == [False, True, False, True, False]
    assert best.state() == {"measurement": "bits", "step": 4, "value": 4.0}


def test_a_best_that_nothing_measures_is_a_sentence_before_any_update(run: Run, tmp_path: Path) -> None:
    def measure(model: PreTrainedModel) -> dict[str, Any]:
        return {"bits_per_byte": {"de": 2.0, "en": 1.5}, "note": "x"}

    message = r"keep_best is 'bits_per_byte.fr', .* There are: bits_per_byte.de, bits_per_byte.en\."
    with pytest.raises(PrealignError, match=message):
        run(tmp_path, engine={"keep_best": "bits_per_byte.fr"}, measure=measure)
    with pytest.raises(PrealignError, match=r"keep_best is 'bits_per_byte.de', .*nothing is measured"):
        run(tmp_path, engine={"keep_best": "bits_per_byte.de"})
    assert not (tmp_path / "checkpoints").exists()


def measured(values: dict[int, float]) -> Callable[[PreTrainedModel], dict[str, Any]]:
    """Measurements that give these values one after the other."""
    course = iter(values.values())
    return lambda model: {"bits": {"de": next(course)}}


@pytest.mark.parametrize("beside", [False, True])
def test_the_best_checkpoint_stays_beside_the_newest_and_is_named(run: Run, tmp_path: Path, beside: bool) -> None:
    measure = measured({0: 9.0, 2: 5.0, 4: 3.0, 6: 4.0, 8: 4.5, 10: 5.0})
    engine = {"keep_best": "bits.de", "eval_steps": 2, "save_steps": 3, "save_total_limit": 1, "async_save": beside}
    run(tmp_path, engine=engine, measure=measure)
    assert checkpoint.steps_on_disk(tmp_path) == [4, 10]
    assert json.loads((tmp_path / "best.json").read_text(encoding="utf-8")) == {
        "measurement": "bits.de", "step": 4, "value": 3.0, "checkpoint": "checkpoints/step-00000004",
    }  # fmt: skip


def test_the_best_of_before_a_kill_is_remembered(run: Run, tasks_of: Any, tmp_path: Path) -> None:
    def killed(step: int) -> Any:
        if step == 7:
            raise KeyboardInterrupt
        return tasks_of(step)

    engine = {"keep_best": "bits.de", "eval_steps": 2, "save_steps": 5, "save_total_limit": 1}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, engine=engine, micro_batches=killed, measure=measured({0: 9.0, 2: 3.0, 4: 4.0, 6: 4.0}))
    run(tmp_path, engine=engine, measure=measured({6: 4.0, 8: 3.5, 10: 5.0}))
    assert checkpoint.steps_on_disk(tmp_path) == [2, 10]


def test_scheduled_checkpoints_are_not_removed(run: Run, tmp_path: Path) -> None:
    run(tmp_path, engine={"keep_steps": "log", "save_steps": 3, "save_total_limit": 1})
    assert checkpoint.steps_on_disk(tmp_path) == [1, 2, 4, 8, 10]

"""Learning rates that can be checked by eye, and who decays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prealign.config.engine import OptimizerSettings
from prealign.errors import PrealignError
from prealign.train.optim import build_optimizer, learning_rate, steps_of

COURSES = {
    # warm-up of 2 steps, then 8: rates as shares of the peak
    "constant": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "linear": [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125],
    # 0.1 + 0.9 * (1 + cos) / 2 at eighths of a half turn
    "cosine": [0.5, 1, 1, 0.966, 0.868, 0.722, 0.55, 0.378, 0.232, 0.134],
}


@pytest.mark.parametrize("course", list(COURSES))
def test_course(course: str) -> None:
    settings = OptimizerSettings(learning_rate=2.0, lr_scheduler_type=course, warmup_steps=2)  # type: ignore[arg-type]
    rates = [learning_rate(step, 10, settings) / 2.0 for step in range(10)]
    assert rates == pytest.approx(COURSES[course], abs=5e-4)


@pytest.mark.parametrize(
    ("form", "rates"),
    [
        # warm-up of 2 steps, 4 at the peak, then at 0, 1/4, 2/4 and 3/4 of the fall
        ("1-sqrt", [0.5, 1, 1, 1, 1, 1, 1, 0.5, 0.293, 0.134]),
        ("linear", [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
    ],
)
@pytest.mark.parametrize("decay", [4, 0.4])
def test_warm_up_stable_decay(form: str, rates: list[float], decay: float) -> None:
    settings = OptimizerSettings(
        learning_rate=1.0, lr_scheduler_type="warmup_stable_decay", warmup_steps=2, decay_steps=decay,
        decay_type=form,  # type: ignore[arg-type]
    )  # fmt: skip
    assert [learning_rate(step, 10, settings) for step in range(10)] == pytest.approx(rates, abs=5e-4)


def test_warm_up_and_decay_longer_than_the_training_are_refused() -> None:
    settings = OptimizerSettings(lr_scheduler_type="warmup_stable_decay", warmup_steps=8, decay_steps=0.5)
    with pytest.raises(PrealignError, match=r"warmup_steps \(8\) and optimizer.decay_steps \(5\) .* the 10 steps"):
        learning_rate(0, 10, settings)


@pytest.mark.parametrize(("given", "steps"), [(0, 0), (0.05, 15), (1, 1), (20, 20), (0.001, 1)])
def test_steps_are_a_share_below_one_and_steps_from_one_on(given: float, steps: int) -> None:
    assert steps_of(given, 300) == steps


def test_matrices_decay_and_vectors_do_not() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 3))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, OptimizerSettings(learning_rate=0.5, weight_decay=0.1))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        shrunk = 0.95 if parameter.ndim == 2 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * shrunk)


def test_parameters_of_objectives_are_trained_and_do_not_decay() -> None:
    objective = nn.Bilinear(2, 2, 1, bias=False)
    optimizer = build_optimizer(nn.Linear(3, 3), OptimizerSettings(weight_decay=0.1), [objective])
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay[id(objective.weight)] == 0.0


def test_fused_only_where_every_parameter_allows_it() -> None:
    assert build_optimizer(nn.Linear(3, 3), OptimizerSettings()).defaults["fused"]
    elsewhere = nn.Linear(3, 3, device="meta")
    assert not build_optimizer(elsewhere, OptimizerSettings()).defaults["fused"]

"""The optimiser of both stages: AdamW, decay on matrices only, a learning rate computed from the step number."""

from __future__ import annotations

import math

import torch
from torch import nn

from prealign.config.engine import OptimizerSettings

COSINE_FLOOR = 0.1
"""The cosine ends at this share of the peak; what is left at zero is spent without learning."""


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """AdamW over all parameters that are trained; matrices decay, vectors (norms, biases) do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=1e-8,
        fused=True,
    )


def warmup_steps(settings: OptimizerSettings, max_steps: int) -> int:
    """Steps of warm-up: a setting below 1 is a share of all steps."""
    given = settings.warmup_steps
    return math.ceil(given * max_steps) if given < 1 else round(given)


def learning_rate(step: int, max_steps: int, settings: OptimizerSettings) -> float:
    """The rate of the update at `step`, from 0: a straight rise that reaches the peak, then the chosen course."""
    warm = warmup_steps(settings, max_steps)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, max_steps - warm)  # 0 .. 1
    if settings.lr_scheduler_type == "cosine":
        return settings.learning_rate * (COSINE_FLOOR + (1 - COSINE_FLOOR) * (1 + math.cos(math.pi * done)) / 2)
    if settings.lr_scheduler_type == "linear":
        return settings.learning_rate * (1 - done)
    return settings.learning_rate


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all groups the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate

"""The optimiser of both stages: AdamW, decay on matrices only, a learning rate computed from the step number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from prealign.config.engine import OptimizerSettings
from prealign.errors import PrealignError

COSINE_FLOOR = 0.1
"""The cosine ends at this share of the peak; what is left at zero is spent without learning."""
FUSED = ("cpu", "cuda")
"""Kinds of device on which torch's fused AdamW is known to be right; elsewhere torch chooses."""


def build_optimizer(
    model: nn.Module, settings: OptimizerSettings, stateful: Sequence[nn.Module] = ()
) -> torch.optim.AdamW:
    """AdamW over all parameters that are trained; matrices decay, vectors (norms, biases) do not.

    Embeddings are matrices and decay, as in Hugging Face's Trainer: so losses can be compared with its losses, and
    tied rows, which are the output matrix as well, need no rule of their own. Parameters of objectives (`stateful`:
    a temperature, a projection) never decay: pulled to zero they would mean something else.
    """
    parameters = _trained(model)
    of_objectives = [parameter for objective in stateful for parameter in _trained(objective)]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        # A group of their own: plain tensors under FSDP2, which one fused update cannot mix with shards.
        {"params": of_objectives, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=1e-8,
        fused=all(p.device.type in FUSED and p.is_floating_point() for p in parameters + of_objectives) or None,
    )


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def steps_of(given: float, max_steps: int) -> int:
    """Steps that a setting stands for: below 1 it is a share of all steps, rounded up."""
    return math.ceil(given * max_steps) if given < 1 else round(given)


def learning_rate(step: int, max_steps: int, settings: OptimizerSettings) -> float:
    """The rate of the update at `step`, from 0: a straight rise that reaches the peak, then the chosen course.

    warmup_stable_decay stays at the peak and falls in the last `decay_steps` steps, by default as 1 - sqrt(x) for
    x = 0 .. 1, which ended lower than a straight line in Hägele et al. 2024, "Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations", section 3 (there with a fifth of the steps as well).

    Raises:
        PrealignError: warm-up and decay together are longer than the training.
    """
    peak, warm = settings.learning_rate, steps_of(settings.warmup_steps, max_steps)
    if settings.lr_scheduler_type == "warmup_stable_decay":
        fall = steps_of(settings.decay_steps, max_steps)
        if warm + fall > max_steps:
            raise PrealignError(
                f"optimizer.warmup_steps ({warm:,}) and optimizer.decay_steps ({fall:,}) are more than the "
                f"{max_steps:,} steps of this training. Shorten them, or give shares such as 0.05 and 0.2."
            )
        start = max_steps - fall
    else:
        start, fall = warm, max_steps - warm
    if step < warm:
        return peak * (step + 1) / warm
    done = max(0.0, (step - start) / max(1, fall))  # 0 .. 1
    match settings.lr_scheduler_type:
        case "constant":
            return peak
        case "cosine":
            return peak * (COSINE_FLOOR + (1 - COSINE_FLOOR) * (1 + math.cos(math.pi * done)) / 2)
        case "warmup_stable_decay" if settings.decay_type == "1-sqrt":
            return peak * (1 - math.sqrt(done))
        case _:
            return peak * (1 - done)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all groups the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate

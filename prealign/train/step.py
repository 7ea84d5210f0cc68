"""One update: losses are summed over micro-batches and ranks and divided once, then the optimiser moves.

    loss = sum over objectives of  weight * sum over micro-batches and ranks / count over micro-batches and ranks

So every predicted label weighs the same, whichever rank or micro-batch it sits in: one pass of eight rows, eight
passes of one row and two ranks of four rows take the same step, up to rounding.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prealign import ranks
from prealign.config.engine import OptimizerSettings
from prealign.errors import PrealignError
from prealign.objectives.objective import Objective, Parts
from prealign.train import optim
from prealign.train.metrics import PartSums
from prealign.train.spread import Spread

Batch = Mapping[str, Any]
Task = tuple[Batch, Objective, float]
"""A micro-batch, its objective, the objective's weight.

Tensors of a batch go to the device. Whole numbers under keys that begin with "n_" are summed into the rows of
metrics.jsonl; every rank must bring the same keys. "examples" names the rows, for the message when a loss is not
finite.
"""


class Numbers(NamedTuple):
    """What is known after an update, over all micro-batches and ranks."""

    losses: dict[str, float]
    """Loss sums by objective, in nats."""
    parts: dict[str, PartSums]
    """What they are made of, by objective, where it tells."""
    counts: dict[str, float]
    """What each sum is divided by."""
    extra: dict[str, float]
    """Sums of the batches' numbers under "n_..."."""
    learning_rate: float
    grad_norm: float
    """Norm of all gradients before clipping."""
    asked_to_stop: bool
    """Whether any rank has been asked to stop."""

    def mean_losses(self) -> dict[str, float]:
        """Loss by objective, per thing counted."""
        return {name: total / max(1.0, self.counts[name]) for name, total in self.losses.items()}


class Step:
    """Makes the updates of a model."""

    def __init__(
        self,
        spread: Spread,
        optimizer: torch.optim.Optimizer,
        settings: OptimizerSettings,
        *,
        max_steps: int,
        device: torch.device,
        autocast: torch.dtype | None,
    ) -> None:
        self._spread, self._optimizer, self._settings = spread, optimizer, settings
        self._max_steps, self._device, self._autocast = max_steps, device, autocast
        self._is_first = True

    def __call__(self, step: int, tasks: list[Task], asked_to_stop: bool) -> Numbers:
        """Make the update at `step`, from 0, out of this rank's tasks.

        Raises:
            PrealignError: on every rank, before the update, when a loss or the gradient of any rank is not finite, when
                ranks that hold shards have unequal numbers of tasks, or when the first step's are unlike.
        """
        # Gradients are summed over ranks during the last backward pass; from one that reaches everything more of the
        # sums can begin before its end.
        tasks = sorted(tasks, key=lambda task: task[1].trains_everything)
        if self._is_first:
            _refuse_unlike(tasks)
            self._is_first = False
        counts, extra = _sum_counts(tasks, equal=self._spread.sharded)
        found = [
            self._backward(task, counts[task[1].name], last=place == len(tasks) - 1) for place, task in enumerate(tasks)
        ]
        norm = self._spread.clip(self._settings.max_grad_norm)
        parts = _add_parts([(task[1].name, told) for task, (_, told) in zip(tasks, found, strict=True)])
        of_parts = [tensor.double() for told in parts.values() for tensor in (told.sums, told.counts)]
        # The one place where the host waits for the device: nothing is updated from numbers that nobody has looked at.
        on_host = torch.cat([torch.stack([loss.double() for loss, _ in found] + [norm.double()]), *of_parts]).tolist()
        values, grad_norm = on_host[: len(tasks)], on_host[len(tasks)]
        losses, stops, sums = _sum_losses(tasks, values, asked_to_stop, on_host[len(tasks) + 1 :])
        if not all(map(math.isfinite, [*losses.values(), grad_norm])):
            raise _not_finite(step, tasks, values)
        rate = optim.learning_rate(step, self._max_steps, self._settings)
        optim.set_learning_rate(self._optimizer, rate)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return Numbers(losses, _named(parts, sums), counts, extra, rate, grad_norm, stops)

    def _backward(self, task: Task, count: float, last: bool) -> tuple[Tensor, Parts | None]:
        """Add one micro-batch's share to the gradients; returns its loss sum and what that is made of."""
        batch, objective, weight = task
        on_device = each_tensor(batch, lambda tensor: tensor.to(self._device, non_blocking=True))
        with contextlib.nullcontext() if last else self._spread.without_sum():
            with torch.autocast(self._device.type, dtype=self._autocast, enabled=self._autocast is not None):
                loss = self._spread.loss(objective, on_device)
            # DDP and FSDP2 average gradients over ranks; times their number it is the sum.
            torch.autograd.backward(loss * (weight * ranks.world_size() / max(1.0, count)))
        return loss.detach(), objective.parts


def each_tensor(batch: Batch, change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """A batch with its tensors changed and all else as it was."""
    return {key: change(value) if isinstance(value, Tensor) else value for key, value in batch.items()}


def _refuse_unlike(tasks: list[Task]) -> None:
    """Stop ranks whose sums would not fit together; asked once, since batches of one kind follow each other."""
    names = list(dict.fromkeys(objective.name for _, objective, _ in tasks))
    keys = list(dict.fromkeys(key for batch, _, _ in tasks for key in batch if key.startswith("n_")))
    every = ranks.gather_objects(f"objectives {', '.join(names)}; numbers {', '.join(keys) or 'none'}")
    if len({*every}) > 1:
        raise PrealignError.of_several(
            "Every rank must bring the same objectives and the same numbers to a step, in the same order; a global "
            "batch needs at least a row for each of them. Found:",
            [f"rank {rank}: {found}" for rank, found in enumerate(every)],
        )


def _sum_counts(tasks: list[Task], equal: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Counts by objective and extra numbers by key, over micro-batches and ranks; `equal` wants as many on each."""
    counts: dict[str, float] = {}
    extra: dict[str, float] = {}
    for batch, objective, _ in tasks:
        counts[objective.name] = counts.get(objective.name, 0) + objective.count(batch)
        for key, value in batch.items():
            if key.startswith("n_"):
                extra[key] = extra.get(key, 0) + int(value)
    number, world = len(tasks), ranks.world_size()
    all_tasks, squares, *rest = ranks.sum_over_ranks([number, number * number, *counts.values(), *extra.values()])
    if equal and world * squares != all_tasks**2:  # Cauchy and Schwarz: equal only if all numbers are the same
        raise PrealignError(
            f"Under engine.parallel: fsdp every rank needs as many micro-batches as the others; rank {ranks.rank()} "
            f"has {number} of the {all_tasks:g} on {world} ranks. Take a global batch that is a multiple of the number "
            "of ranks times the rows per device."
        )
    sums = iter(rest)
    return {name: next(sums) for name in counts}, {name: next(sums) for name in extra}


def _add_parts(told: Sequence[tuple[str, Parts | None]]) -> dict[str, Parts]:
    """What the sums of this rank's micro-batches are made of, by objective, still on the device."""
    found: dict[str, Parts] = {}
    for name, parts in told:
        if parts is not None:
            sums, counts = (found[name].sums, found[name].counts) if name in found else (0, 0)
            found[name] = parts._replace(sums=parts.sums + sums, counts=parts.counts + counts)
    return found


def _named(parts: Mapping[str, Parts], values: list[float]) -> dict[str, PartSums]:
    """The same over all ranks: sums and counts of each objective, one behind the other in `values`."""
    numbers = iter(values)
    return {
        name: PartSums(told.by, list(told.names), *(list(itertools.islice(numbers, len(told.sums))) for _ in range(2)))
        for name, told in parts.items()
    }


def _sum_losses(
    tasks: list[Task], values: list[float], asked_to_stop: bool, parts: list[float]
) -> tuple[dict[str, float], bool, list[float]]:
    """Loss sums by objective over micro-batches and ranks, whether any rank was asked to stop, sums of the parts."""
    totals: dict[str, float] = {}
    for (_, objective, _), value in zip(tasks, values, strict=True):
        totals[objective.name] = totals.get(objective.name, 0.0) + value
    stops, *sums = ranks.sum_over_ranks([float(asked_to_stop), *totals.values(), *parts])
    return dict(zip(totals, sums[: len(totals)], strict=True)), stops > 0, sums[len(totals) :]


def _not_finite(step: int, tasks: list[Task], values: list[float]) -> PrealignError:
    """The error for a loss or gradient that is not finite; every rank comes here and says the same."""
    mine: dict[bool, list[str]] = {True: [], False: []}
    for (batch, objective, _), value in zip(tasks, values, strict=True):
        names = ", ".join(map(str, batch.get("examples", ["not named"])))
        mine[math.isfinite(value)].append(f"rank {ranks.rank()}, {objective.name}: {value:.4g}, examples {names}")
    every = ranks.gather_objects(mine)
    finite, wrong = ([line for rank in every for line in rank[kind]] for kind in (True, False))
    return PrealignError.of_several(
        f"The loss of step {step + 1} is not finite. Nothing was updated, and the last whole checkpoint is untouched. "
        "A lower learning rate or a longer warm-up is the usual way out. Found:",
        wrong or ["the losses are finite, their gradient is not", *finite],
    )

"""The other processes of a run: who we are, sums over all of us, and a gather that carries gradients.

Everything works without a process group as well: then there is one rank, number 0. Torch is imported inside the
functions only, so that rooms without torch may ask for their rank. Set-up and tear-down stand in train/parallel.py.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def _group_is_up() -> bool:
    if "torch" not in sys.modules:
        return False
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process among all processes of the run, from 0."""
    if not _group_is_up():
        return 0
    import torch.distributed as dist

    return int(dist.get_rank())


def world_size() -> int:
    """How many processes take part in the run."""
    if not _group_is_up():
        return 1
    import torch.distributed as dist

    return int(dist.get_world_size())


def barrier() -> None:
    """Wait until every rank has come here."""
    if world_size() > 1:
        import torch.distributed as dist

        dist.barrier()


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """Sum each number over all ranks, in float64; every rank gets the sums. Whole numbers stay exact up to 2**53."""
    if world_size() == 1:
        return [float(value) for value in values]
    import torch
    import torch.distributed as dist

    # CPU tensors go through gloo, also where the gradients go through NCCL: no GPU waits for a handful of counts.
    sums = torch.tensor(list(values), dtype=torch.float64)
    dist.all_reduce(sums)
    return [float(value) for value in sums.tolist()]


def gather_objects(value: Any, group: Any = None) -> list[Any]:
    """The small Python value of every rank, in the order of the ranks (for messages, not for data).

    `group` is a process group of all ranks, for threads beside the main one; None is the run's.
    """
    if world_size() == 1:
        return [value]
    import torch.distributed as dist

    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value, group=group)
    return values


def gather(tensor: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """Join the tensors of all ranks along `dim`, in their order; no gradient. Sizes along `dim` may differ."""
    if world_size() == 1:
        return tensor
    import torch
    import torch.distributed as dist

    sizes = [int(size) for size in gather_sizes(tensor, dim)]
    rows = tensor.detach().movedim(dim, 0)
    padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
    padded[: rows.shape[0]] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]).movedim(0, dim)


def gather_sizes(tensor: torch.Tensor, dim: int = 0) -> list[int]:
    """The size along `dim` on every rank."""
    mine = [0.0] * world_size()
    mine[rank()] = float(tensor.shape[dim])
    return [int(size) for size in sum_over_ranks(mine)]


def gather_with_gradient(tensor: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """Join the tensors of all ranks along `dim`; the gradient of every rank's loss flows back to the rank it came
    from.

    With L_r the loss of rank r and x_q the tensor of rank q, rank q receives sum_r dL_r/dx_q: the gradient of the sum
    of all losses. (DDP averages gradients over ranks afterwards; the loop multiplies the loss by the number of ranks.)
    """
    if world_size() == 1:
        return tensor
    gathered: torch.Tensor = _gather_function().apply(tensor, dim)
    return gathered


@functools.cache
def _gather_function() -> Any:
    """The autograd function, made at first use because its class needs torch."""
    import torch
    import torch.distributed as dist

    class Gather(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, tensor: torch.Tensor, dim: int) -> torch.Tensor:
            ctx.dim, ctx.size = dim, tensor.shape[dim]
            ctx.start = sum(gather_sizes(tensor, dim)[: rank()])
            return gather(tensor, dim)

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
            gradient = gradients[0].contiguous().clone()
            dist.all_reduce(gradient)
            return gradient.narrow(ctx.dim, ctx.start, ctx.size), None

    return Gather

"""One model on several processes: each has all of it and gradients are summed (DDP), or each has a shard (FSDP2).

Under FSDP2 every block of the model is sharded by itself and gathered when it runs; what is left (embeddings, head,
last norm) is one more group, there for the whole of a forward pass. Objectives take the model apart (states without
the head, rows of the output embeddings), so the root of both is `Losses`, whose forward pass is a use of the model.

What objectives learn themselves (a temperature, a projection) is small and may be a single number, which cannot be
sharded: every process has all of it, and its gradients are summed with the others.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from prealign import ranks
from prealign.errors import PrealignError
from prealign.objectives.objective import Objective

T = TypeVar("T")
Parallel = Literal["ddp", "fsdp"]
OBJECTIVES = "objectives"
"""Prefix of the names of what objectives learn."""


class Losses(nn.Module):
    """The model and the objectives' own parameters under one root, whose forward pass is any use of the model."""

    def __init__(self, model: nn.Module, stateful: Sequence[nn.Module]) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleList(stateful)

    def forward(self, use: Callable[[Any], T]) -> T:
        """What `use` makes of the model."""
        return use(self.model)


class Spread:
    """A model as the processes of this run hold it.

    Attributes:
        model: the Hugging Face model; under FSDP2 its parameters are shards, except inside `loss` and `look`.
        objectives: the modules that objectives bring along, whole on every process.
        sharded: whether parameters, gradients and moments are shards.
    """

    def __init__(self, model: PreTrainedModel, losses: Losses, sharded: bool) -> None:
        self.model, self.sharded = model, sharded
        self.objectives = losses.objectives
        self._parameters = [parameter for _, parameter in self.named_parameters()]  # naming 111 takes 0.36 ms
        self._losses: Any = losses
        if ranks.world_size() > 1 and not sharded:
            with warnings.catch_warnings():  # torch 2.13 renames broadcast_buffers; 2.8 knows no other name
                warnings.simplefilter("ignore", FutureWarning)
                # What no pass of a step reaches on any process (the head, in a step of words alone) keeps the gradient
                # None, as on one process: with zeros AdamW would decay it. Torch writes a warning past Python's filters
                # where a step reaches everything, so there is one number that none does.
                losses.unreached = nn.Parameter(torch.zeros((), device=model.device))
                self._losses = DistributedDataParallel(
                    losses, broadcast_buffers=False, gradient_as_bucket_view=True, find_unused_parameters=True
                )

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All parameters, each once: the model's by their own names, the objectives' under "objectives."."""
        yield from self.model.named_parameters()
        yield from self.objectives.named_parameters(prefix=OBJECTIVES)

    def loss(self, objective: Objective, batch: Mapping[str, Any]) -> Tensor:
        """The objective's loss sum."""
        loss: Tensor = self._losses(lambda model: objective.loss_sum(model, batch))
        return loss

    @contextlib.contextmanager
    def without_sum(self) -> Iterator[None]:
        """Inside, backward passes keep their gradients to this process; the next one outside sums them all."""
        if isinstance(self._losses, DistributedDataParallel):
            with self._losses.no_sync():
                yield
        elif isinstance(self._losses, FSDPModule):
            self._losses.set_requires_gradient_sync(False)
            try:
                yield
            finally:
                self._losses.set_requires_gradient_sync(True)
        else:
            yield

    def look(self, use: Callable[[PreTrainedModel], T]) -> T:
        """Let a function use the model outside training; under FSDP2 every process must make the same calls of it.

        The root's parameters are whole meanwhile, so that embeddings and head can be read, and blocks are gathered as
        they run. With a bfloat16 policy they are the bfloat16 weights that training computes with.
        """
        if not self.sharded:
            return use(self.model)
        try:
            seen: T = self._losses(use)
            return seen
        finally:
            self._losses.reshard()

    def clip(self, max_norm: float) -> Tensor:
        """Scale all gradients down to a global norm; returns the norm that they had."""
        self._complete_objectives()
        if not self.sharded:
            return nn.utils.clip_grad_norm_(self._parameters, max_norm)
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        shards = [gradient.to_local() for gradient in gradients if isinstance(gradient, DTensor)]
        whole = [gradient for gradient in gradients if not isinstance(gradient, DTensor)]
        square = nn.utils.get_total_norm(shards).square()
        dist.all_reduce(square)
        norm = (square + nn.utils.get_total_norm(whole).square().to(square.device)).sqrt()
        torch._foreach_mul_([*shards, *whole], (max_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def _complete_objectives(self) -> None:
        """Give what objectives learn its gradients: averaged over processes, as FSDP2 and DDP do with the model's.

        Without a batch in this step they are zero and not none, so that every process has one to average.
        """
        for parameter in self.objectives.parameters():
            if not parameter.requires_grad:  # weights that follow others, such as a slow copy of the model
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if self.sharded:
                dist.all_reduce(parameter.grad)
                parameter.grad /= ranks.world_size()


def spread(
    model: PreTrainedModel,
    stateful: Sequence[nn.Module],
    parallel: Parallel,
    *,
    device: torch.device,
    dtype: torch.dtype | None,
    compiled: bool = False,
) -> Spread:
    """Bring a model to this run's devices: whole for one process, else as the setting says.

    Args:
        model: on the CPU or the device, the same on every process.
        stateful: modules of objectives that have parameters or buffers of their own.
        dtype: what the forward and backward passes compute in; None is float32. Under FSDP2 parameters travel in it,
            while shards, gradients and moments stay in float32.
        compiled: compile the model, under FSDP2 block by block.
    """
    losses = Losses(model, stateful)
    sharded = parallel == "fsdp" and ranks.world_size() > 1
    if sharded:
        _shard(losses, device, dtype, compiled)
    elif compiled:
        model.base_model.compile()
    losses.to(device)
    return Spread(model, losses, sharded)


def _shard(losses: Losses, device: torch.device, dtype: torch.dtype | None, compiled: bool) -> None:
    """Shard the blocks one by one, then the root with the rest; a block moves to the device when its turn comes."""
    mesh = init_device_mesh(device.type, (ranks.world_size(),))
    for block in blocks(losses.model):
        fully_shard(block, mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32))
        if compiled:
            # The forward method only, so that FSDP2's hooks around it stay outside of the graph; and after sharding,
            # which gives the block a new class, whose method is the one that recomputes activations.
            block.forward = torch.compile(block.forward)
    losses.objectives.to(device)
    fully_shard(
        losses,
        mesh=mesh,
        # Batches hold weights and the like, which are not to be rounded on the way in.
        mp_policy=MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False),
        ignored_params=set(losses.objectives.parameters()),
    )


def blocks(model: nn.Module) -> list[nn.Module]:
    """The model's blocks: of the outermost lists of modules in it the one with the most parameters.

    Raises:
        PrealignError: the model has no list of blocks.
    """
    lists = _outermost_lists(getattr(model, "base_model", model))
    if not lists:
        raise PrealignError(
            f"engine.parallel: fsdp shards a model block by block, and {type(model).__name__} has no list of blocks. "
            "Use engine.parallel: ddp."
        )
    sizes = [sum(parameter.numel() for parameter in found.parameters()) for found in lists]
    return list(lists[sizes.index(max(sizes))])


def _outermost_lists(module: nn.Module) -> list[nn.ModuleList]:
    if isinstance(module, nn.ModuleList):
        return [module]
    return list(itertools.chain.from_iterable(map(_outermost_lists, module.children())))

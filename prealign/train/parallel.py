"""Several processes, one model each: set-up from torchrun's or Slurm's environment, gradients summed by DDP.

Started plainly there is one process and nothing of this is in the way. Sharded parameters (FSDP2) are not here yet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from prealign import ranks
from prealign.errors import PrealignError
from prealign.objectives.objective import Objective


class Launch(NamedTuple):
    """Who this process is, as the launcher says."""

    rank: int
    world: int
    local_rank: int
    local_world: int


def launch(environment: Mapping[str, str]) -> Launch:
    """Read torchrun's variables, else those of a Slurm step; without either there is one process.

    Slurm's count only inside a step (srun): a batch script that runs Python by itself sees SLURM_NTASKS as well and
    would wait for ranks that nobody starts.
    """
    if "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    elif "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment:
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE")
    else:
        return Launch(0, 1, 0, 1)
    defaults = ("0", "1", "0", "1")
    # Slurm writes "4(x2)" for four tasks on each of two nodes.
    values = [environment.get(name, default).split("(")[0].split(",")[0] for name, default in zip(names, defaults)]
    return Launch(*map(int, values))


@contextlib.contextmanager
def process_group(timeout_s: float = 1800.0) -> Iterator[torch.device]:
    """Join the run's processes for the length of the block; gives this process's device.

    Small numbers go through gloo on the CPU, tensors on GPUs through NCCL. A rank that waits longer than `timeout_s`
    for the others ends with an error. Ranks on one CPU share its cores unless OMP_NUM_THREADS says otherwise.
    """
    here = launch(os.environ)
    device = torch.device("cuda", here.local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif here.local_world > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // here.local_world))
    if here.world == 1:
        yield device
        return
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        init_method=_meeting_point(os.environ),
        rank=here.rank,
        world_size=here.world,
        timeout=timedelta(seconds=timeout_s),
    )
    try:
        yield device
    finally:
        dist.destroy_process_group()


def _meeting_point(environment: Mapping[str, str]) -> str:
    """Address where the ranks find each other."""
    address = environment.get("MASTER_ADDR") or environment.get("SLURM_LAUNCH_NODE_IPADDR")
    if not address:
        raise PrealignError(
            "Several processes were started, but MASTER_ADDR does not say where rank 0 is. Start them with torchrun, "
            "or set MASTER_ADDR (and MASTER_PORT) to the first node before srun."
        )
    return f"tcp://{address}:{environment.get('MASTER_PORT', '29500')}"


class Losses(nn.Module):
    """A model as a function from (objective, batch) to a loss sum, so that DDP sees every use of the model as one
    forward.

    Objectives take the model apart (states without the head, rows of the output embeddings); DDP needs to be told when
    a forward begins, and this is where.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, objective: Objective, batch: Mapping[str, Any], reach_all: bool) -> Tensor:
        """The objective's loss sum; `reach_all` adds zero times every parameter, as DDP waits for all gradients."""
        loss = objective.loss_sum(self.model, batch)
        if reach_all and not objective.trains_everything:
            loss = loss + 0.0 * torch.stack([p.flatten()[0].float() for p in self.model.parameters()]).sum()
        return loss


def spread(model: nn.Module) -> Losses | DistributedDataParallel:
    """Wrap the model for this run's processes: itself for one, DDP for several."""
    losses = Losses(model)
    if ranks.world_size() == 1:
        return losses
    return DistributedDataParallel(losses, broadcast_buffers=False, gradient_as_bucket_view=True)


def without_sum(losses: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Inside, backward passes keep their gradients to this rank; the next one outside sums them all."""
    return losses.no_sync() if isinstance(losses, DistributedDataParallel) else contextlib.nullcontext()

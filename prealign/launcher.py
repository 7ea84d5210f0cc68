"""Who this process is among those of a run, as torchrun or Slurm says in its environment.

Read before torch is imported: by the logging, by commands that refuse to be started several times, and by the group
that joins the processes (train/parallel.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Launch(NamedTuple):
    """Who this process is."""

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

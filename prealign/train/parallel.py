"""The group that joins the processes of a run, and how they end together.

Started plainly there is one process and nothing of this is in the way. How they share a model stands in spread.py.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from prealign.errors import PrealignError
from prealign.launcher import Launch, launch

GRACE_S = 5.0
"""How long ranks that end with an error wait to hear why the others do."""


@contextlib.contextmanager
def process_group(timeout_s: float = 1800.0) -> Iterator[torch.device]:
    """Join the run's processes for the length of the block; gives this process's device.

    Small numbers go through gloo on the CPU, tensors on GPUs through NCCL. Ranks on one CPU share its cores unless
    OMP_NUM_THREADS says otherwise. A rank that leaves the block with an error takes the others with it.

    Args:
        timeout_s: how long a rank waits for the others.
    Raises:
        PrealignError: the ranks did not meet; another rank has ended, with its reason where it left one, or does not
            answer.
    """
    here = launch(os.environ)
    # A launcher may show every process a GPU of its own (srun --gpus-per-task=1), or all of the machine's.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device("cuda", here.local_rank % gpus) if gpus else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif here.local_world > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // here.local_world))
    if here.world == 1:
        yield device
        return
    store = _join(here, device, _meeting_point(os.environ), timedelta(seconds=timeout_s))
    try:
        yield device
    except BaseException as error:
        lost = _is_lost_connection(error)
        said = _last_words(store, here, "" if lost else f"{type(error).__name__}: {error}")
        if lost:
            raise PrealignError(_why_lost(here, said, timeout_s)) from error
        raise
    else:
        dist.destroy_process_group()


def _join(here: Launch, device: torch.device, place: str, timeout: timedelta) -> Store:
    """Meet the other ranks and make the group of all; gives the store that they share."""
    store: Store
    try:
        store, _, _ = next(rendezvous(place, here.rank, here.world, timeout=timeout))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=PrefixStore("run", store),
            rank=here.rank,
            world_size=here.world,
            timeout=timeout,
        )
    except RuntimeError as error:
        raise PrealignError(
            f"Rank {here.rank} of {here.world} did not meet the others at {place} within {timeout.total_seconds():g} s "
            f"(engine.timeout_s): {str(error).splitlines()[0]}. Were all of them started, and is MASTER_ADDR rank 0's "
            "machine, with MASTER_PORT free?"
        ) from error
    return store


def _is_lost_connection(error: BaseException) -> bool:
    """Whether an error comes from waiting for another rank: gloo's are plain RuntimeErrors."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _last_words(store: Store, here: Launch, words: str) -> dict[int, str]:
    """Leave a word for the others, cut the connections that they wait on, and hear what they say.

    Nobody leaves before all have spoken or GRACE_S is over: rank 0 may be the one who keeps the words.

    Args:
        words: why this rank ends; empty when it is because of another one.
    Returns:
        What each rank has said; those that have said nothing are missing.
    """
    said = {here.rank: words}
    until = time.monotonic() + GRACE_S
    with contextlib.suppress(RuntimeError):  # the keeper of the words is gone
        store.set(f"last words/{here.rank}", words)
    with contextlib.suppress(RuntimeError):
        dist.destroy_process_group()
    with contextlib.suppress(RuntimeError):
        while len(said) < here.world and time.monotonic() < until:
            for rank in set(range(here.world)) - set(said):
                if store.check([f"last words/{rank}"]):
                    said[rank] = store.get(f"last words/{rank}").decode()
            time.sleep(0.05)
    return said


def _why_lost(here: Launch, said: Mapping[int, str], timeout_s: float) -> str:
    """The sentence of a rank that ends because of others."""
    reasons = [f"rank {rank} ended with {words}" for rank, words in sorted(said.items()) if words]
    silent = sorted(set(range(here.world)) - set(said))
    if not reasons and silent:
        numbers = ", ".join(map(str, silent))
        reasons = [
            f"rank {numbers} ended without a word (killed, out of memory, a lost machine) or has not answered for "
            f"{timeout_s:g} s (engine.timeout_s)"
        ]
    return (
        f"Rank {here.rank} of {here.world} has to stop: {'; '.join(reasons) or 'the connection to the others broke'}. "
        "The same command goes on from the last whole checkpoint."
    )


def _meeting_point(environment: Mapping[str, str]) -> str:
    """Address where the ranks find each other."""
    address = environment.get("MASTER_ADDR") or environment.get("SLURM_LAUNCH_NODE_IPADDR")
    if not address:
        raise PrealignError(
            "Several processes were started, but MASTER_ADDR does not say where rank 0 is. Start them with torchrun, "
            "or set MASTER_ADDR (and MASTER_PORT) to the first node before srun."
        )
    return f"tcp://{address}:{environment.get('MASTER_PORT', '29500')}"

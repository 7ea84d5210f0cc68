"""Processes that do not meet."""

from __future__ import annotations

import socket

import pytest

from prealign.errors import PrealignError
from prealign.train.parallel import process_group

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}


def test_a_rank_that_meets_nobody_says_where_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {**TORCHRUN, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    message = rf"Rank 5 of 8 did not meet the others at tcp://127.0.0.1:{port} within 1 s"
    with pytest.raises(PrealignError, match=message), process_group(timeout_s=1):
        pass


def test_without_an_address_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "SLURM_LAUNCH_NODE_IPADDR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PrealignError, match="MASTER_ADDR does not say where rank 0 is"), process_group():
        pass

"""What launchers say about the processes of a run."""

from __future__ import annotations

import logging

import pytest

from prealign import log
from prealign.launcher import Launch, launch
from prealign.stages.run import launched_as_group

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SLURM = {"SLURM_NTASKS": "8", "SLURM_PROCID": "6", "SLURM_LOCALID": "2"}
STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Launch(0, 1, 0, 1)),
        (TORCHRUN, Launch(5, 8, 1, 4)),
        ({**SLURM, **STEP}, Launch(6, 8, 2, 4)),
        (SLURM, Launch(0, 1, 0, 1)),  # a batch script without srun: one process, though eight tasks were asked for
        ({**SLURM, **STEP, **TORCHRUN}, Launch(5, 8, 1, 4)),  # torchrun inside srun
    ],
)
def test_launch(environment: dict[str, str], expected: Launch) -> None:
    assert launch(environment) == expected


@pytest.mark.parametrize(("environment", "level"), [(STEP | SLURM, logging.WARNING), (SLURM, logging.INFO)])
def test_the_log_and_the_commands_read_the_same(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], level: int
) -> None:
    for name in (*TORCHRUN, *SLURM, *STEP):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    log.set_up()
    assert logging.getLogger("prealign").level == level
    assert launched_as_group() == (level == logging.WARNING)

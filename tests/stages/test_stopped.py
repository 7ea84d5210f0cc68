"""SIGTERM while a stage loads or exports: a sentence, and what was saved stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from prealign.config.engine import OptimizerSettings
from prealign.stages.stage import Stage
from prealign.stages.training import Stopped, Training, carry_out


def test_sigterm_while_the_model_is_loaded_is_a_sentence(tmp_path: Path) -> None:
    def start() -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("it went on")

    class Nothing:
        recipe = None

    stage = Stage("pretrain", tmp_path / "joint")
    training = Training(
        stage=stage,
        start=start,
        micro_batches=lambda step: [],
        max_steps=4,
        optimizer=OptimizerSettings(),
        start_tokens=0,
        card={},
    )
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match=r"pretrain was asked to stop while no step was at work; .*joint.partial stays"):
        carry_out(training, Nothing(), torch.device("cpu"))  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGTERM) is before
    assert stage.working_folder.is_dir()
    assert not (tmp_path / "joint.lock").exists()

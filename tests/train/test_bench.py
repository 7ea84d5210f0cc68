"""The GPU benchmark runs at toy size on the CPU, so that it is ready when there is a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "gpu.py"


@pytest.mark.slow
def test_every_path_of_the_gpu_benchmark_runs_on_the_cpu() -> None:
    pytest.importorskip("accelerate", reason="transformers.Trainer needs accelerate")
    done = subprocess.run(
        [sys.executable, str(BENCH), "--cpu-smoke", "--presets", "150m", "--profile"],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| 150m")]
    assert [row[2].strip() for row in rows] == ["prealign", "prealign, 5 % switched", "HF Trainer"]
    assert all("%" in row[4] for row in rows)  # MFU
    assert "Self CPU" in done.stdout  # the profile

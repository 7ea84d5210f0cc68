"""One process at a time works on a training stage."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prealign.errors import PrealignError
from prealign.stages.stage import Stage

HOLD = """
import sys, time
from pathlib import Path
from prealign.stages.stage import Stage
with Stage("pretrain", Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_works_there_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    stage = Stage("pretrain", tmp_path / "pretrain" / "joint")
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(stage.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        message = rf"another process is working on .*pretrain/joint \(process {other.pid} on "
        with pytest.raises(PrealignError, match=message), stage.locked():
            pytest.fail("two processes at once")
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    with stage.locked():
        assert f"process {os.getpid()} " in (tmp_path / "pretrain" / "joint.lock").read_text(encoding="utf-8")
    assert list((tmp_path / "pretrain").iterdir()) == []


def test_a_process_that_lets_go_at_that_moment_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes the name between our try and our look at who it is."""

    def refuse(*_: object) -> None:
        (tmp_path / "joint.lock").unlink()
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(PrealignError, match="another process is working on"),
        Stage("init", tmp_path / "joint").locked(),
    ):
        pytest.fail("two processes at once")


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING, logger="prealign"), Stage("pretrain", tmp_path / "joint").locked():
        pass
    assert "cannot be locked" in caplog.text

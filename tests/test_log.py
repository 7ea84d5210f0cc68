"""How far work is: a plain line now and then where there is no terminal."""

from __future__ import annotations

import logging

import pytest

from prealign import log


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a minute later."""
    clock = iter(range(0, 6000, 60))
    monkeypatch.setattr(log.time, "monotonic", lambda: float(next(clock)))


@pytest.mark.usefixtures("minutes")
def test_lines_tell_what_is_done_and_left(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="prealign"):
        display = log.Display("pretrain", 4000, "steps", done=1000)
        display.show(2000, "lm 3.412")
        assert list(log.progress("ab", "reading")) == ["a", "b"]
    assert caplog.messages == [
        "pretrain: 2,000 of 4,000 steps, lm 3.412, 120 s left",
        "reading: 1 it",
        "reading: 2 it",
    ]


def test_quick_work_says_nothing_but_the_end_of_a_training(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="prealign"):
        assert len(list(log.progress(range(9), "reading", total=9))) == 9
        display = log.Display("init", 2, "steps")
        for step in (1, 2):
            display.show(step, "alignment 1.000")
    assert caplog.messages == ["init: 2 of 2 steps, alignment 1.000, 0 s left"]

"""What the other ranks do when one fails: they stop with a sentence that says why, and the run goes on from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prealign.files import read_json

Workers = Callable[..., None]


def test_an_error_on_one_rank_is_told_by_the_others(workers: Workers, tmp_path: Path) -> None:
    workers(2, tmp_path, "rank_raises", expected=2)
    first, second = ((tmp_path / f"error.{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1))
    assert second == "corpora/de.txt: row 41 is gone."
    assert "Rank 0 of 2 has to stop: rank 1 ended with PrealignError: corpora/de.txt: row 41 is gone." in first
    assert (tmp_path / "fault" / "checkpoints" / "step-00000004" / "COMPLETE").is_file()


def test_ranks_that_see_different_checkpoints_are_told(workers: Workers, tmp_path: Path) -> None:
    workers(2, tmp_path, "not_shared", expected=2)
    for rank in (0, 1):
        message = (tmp_path / f"error.{rank}.txt").read_text(encoding="utf-8")
        assert "(steps: rank 0 12, rank 1 4)" in message
        assert "a file system that all nodes share" in message


def test_ranks_with_unlike_tasks_are_told_and_do_not_hang(workers: Workers, tmp_path: Path) -> None:
    workers(2, tmp_path, "unlike", timeout_s=20)
    first, second = (read_json(tmp_path / f"unlike.{rank}.json")["text"] for rank in (0, 1))
    assert first == second
    assert "rank 0: objectives alignment; numbers n_words, " in first
    assert "rank 1: objectives alignment, lm; numbers n_words, " in first


def test_a_rank_that_is_killed_stops_the_others(workers: Workers, tmp_path: Path) -> None:
    workers(2, tmp_path, "rank_dies", expected=[2, -9])
    message = (tmp_path / "error.0.txt").read_text(encoding="utf-8")
    assert "Rank 0 of 2 has to stop: rank 1 ended without a word (killed, out of memory" in message


def test_a_rank_that_is_killed_while_saving_leaves_the_checkpoint_before(workers: Workers, tmp_path: Path) -> None:
    workers(2, tmp_path, "rank_dies_while_saving", expected=[2, -9])
    run = tmp_path / "fault"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000004"]
    assert "rank 1 ended without a word" in (tmp_path / "error.0.txt").read_text(encoding="utf-8")
    workers(2, tmp_path, "finish")
    assert (run / "checkpoints" / "step-00000012" / "COMPLETE").is_file()


def test_a_rank_that_does_not_answer_stops_the_others(workers: Workers, tmp_path: Path) -> None:
    """Five seconds of patience, five to hear a reason; the silent rank then finds itself alone."""
    workers(2, tmp_path, "rank_is_silent", expected=2, timeout_s=5)
    first, second = ((tmp_path / f"error.{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1))
    assert "rank 1 ended without a word" in first
    assert "has not answered for 5 s (engine.timeout_s)" in first
    assert "Rank 1 of 2 has to stop" in second

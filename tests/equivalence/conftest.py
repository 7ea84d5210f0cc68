"""Starts workers.py as one process or as two ranks on this machine."""

from __future__ import annotations

import multiprocessing
import runpy
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

Workers = Callable[..., None]
HEAVY = [
    "transformers.models.llama.modeling_llama",
    "transformers.integrations.finegrained_fp8",
    "prealign.train.loop",
    "prealign.model.build",
    "prealign.objectives.word_alignment",
]


@pytest.fixture(scope="session")
def workers() -> Workers:
    """`workers(world, folder, *cases)` runs cases of workers.py and compares the ranks' exit codes with the expected.

    One server imports torch and transformers (7 s) and forks a clean process for every rank; the test process itself
    may not be forked once it has run a backward pass.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(HEAVY)

    def start(world: int, folder: Path, *cases: str, expected: int | list[int] = 0, timeout_s: float = 60) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            meeting = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        processes = []
        for rank in range(world):
            environment = {**meeting, "RANK": str(rank)} if world > 1 else {}
            given = {
                "init_globals": {"arguments": (str(folder), cases, environment, timeout_s)},
                "run_name": "__main__",
            }
            path = str(Path(__file__).with_name("workers.py"))
            processes.append(server.Process(target=runpy.run_path, args=(path,), kwargs=given))
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=120)
            process.kill()
            process.join()
        codes = [process.exitcode for process in processes]
        assert codes == (expected if isinstance(expected, list) else [expected] * world)

    return start


@pytest.fixture(scope="session")
def one_and_two(workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders with the cases that are compared, from one process and from two."""
    cases = ("both_objectives", "words_only", "in_context", "alignment_loss", "not_finite")
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for world, folder in enumerate(folders, start=1):
        workers(world, folder, *cases)
    return folders

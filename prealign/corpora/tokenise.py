"""Texts to token ids, by several processes, in order.

Used where a store is written (`store_writer`). Processes rather than the tokenizer's own threads, since its ids come
out as Python lists: turning them into arrays is 5 to 7 % of the work, which with threads one core would do for all,
while it reads the text as well.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from array import array
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from prealign.corpora.text_tokenizer import FastTokenizer, text_tokenizer
from prealign.errors import PrealignError


class Encoded(NamedTuple):
    """Token ids of several texts."""

    ids: NDArray[np.uint32]
    """[tokens] of all texts in a row, the end token after each."""
    lengths: NDArray[np.int64]
    """[texts] tokens of each, end token included."""


class HasText(Protocol):
    @property
    def text(self) -> str: ...


Batch = TypeVar("Batch", bound=Sequence[HasText])


def encoded(
    batches: Iterator[Batch], tokenizer: FastTokenizer, scratch: Path, workers: int
) -> Generator[tuple[Batch, Encoded], None, None]:
    """Each batch with its ids, in the order in which they came; no special tokens but the end token.

    Args:
        batches: documents by the million characters; at most two batches per process are held in memory.
        scratch: file that is written to hand the tokenizer to the processes, and removed.
        workers: processes; 0 is one for each core that this process may use. With one, or a single batch, the work is
            done here, by the tokenizer's threads.
    Raises:
        PrealignError: the system ended one of the processes.
    """
    core = text_tokenizer(tokenizer)
    end = tokenizer.eos_token_id
    first, second = next(batches, None), next(batches, None)
    if first is None:
        return
    workers = workers or _cores()
    if workers == 1 or second is None:
        for batch in _put_back(first, second, batches):
            yield batch, _encode(core, [document.text for document in batch], end)
        return
    scratch.write_text(core.to_str(), encoding="utf-8")
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin)
    waiting: deque[tuple[Batch, Future[Encoded]]] = deque()
    try:
        for batch in _put_back(first, second, batches):
            waiting.append(
                (batch, pool.submit(_encode_there, str(scratch), [document.text for document in batch], end))
            )
            if len(waiting) >= 2 * workers:
                yield _finished(waiting)
        while waiting:
            yield _finished(waiting)
    except BrokenProcessPool:
        raise PrealignError(
            "A process that tokenises was ended by the system, most likely for lack of memory. Set store.workers to "
            f"less than {workers} and run the same command again; it goes on where it was."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
        scratch.unlink(missing_ok=True)


def _cores() -> int:
    """Cores that this process may use: on a cluster fewer than the machine has. Not every system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _put_back(first: Batch, second: Batch | None, others: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    if second is not None:
        yield second
        yield from others


def _finished(waiting: deque[tuple[Batch, Future[Encoded]]]) -> tuple[Batch, Encoded]:
    batch, future = waiting.popleft()
    return batch, future.result()


def _encode(tokenizer: Any, texts: list[str], end: int) -> Encoded:
    ids = array("I")
    lengths = np.empty(len(texts), dtype=np.int64)
    for number, encoding in enumerate(tokenizer.encode_batch_fast(texts, add_special_tokens=False)):
        ids.extend(encoding.ids)
        ids.append(end)
        lengths[number] = len(encoding) + 1
    return Encoded(np.frombuffer(ids, dtype=np.uint32), lengths)


def _begin() -> None:
    """What a process does first: leave Ctrl-C to its parent, end with it, and use one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its children, who would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _encode_there(file: str, texts: list[str], end: int) -> Encoded:
    return _encode(_opened(file), texts, end)


@cache
def _opened(file: str) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(file)

"""Which examples a step sees: computed from the step number, not read from a shuffled list.

    step -> sample numbers -> (stream, place in the stream) -> (epoch, row): a keyed permutation per stream and epoch

So there is no state to save, a resumed run asks for its next step and has it in a millisecond, and a global batch is
the same however many ranks and micro-batches share it. `prefetch` makes the batches of the coming steps beside the
computation.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from prealign import draws
from prealign.errors import PrealignError

T = TypeVar("T")
PERIOD = 256
"""Samples after which every stream has had its share, up to one sample."""
PERIODS = 256
"""Periods after which the pattern of counts repeats; shares are exact to 1 in 65,536."""


class Shuffled:
    """Rows 0 .. rows-1 again and again, in a new keyed order each epoch; every row once per epoch."""

    def __init__(self, rows: int, key: int) -> None:
        self.rows = rows
        self._key = key
        self._epochs: dict[int, draws.Permutation] = {}

    def __call__(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Epoch and row at each place, places from 0 without end; [places] each."""
        epochs, rows = np.divmod(places, self.rows)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            rows[here] = self._order(epoch)(rows[here])
        return epochs, rows

    def _order(self, epoch: int) -> draws.Permutation:
        if epoch not in self._epochs:
            # Two epochs meet in a batch; older ones are not asked for again.
            self._epochs = {number: order for number, order in self._epochs.items() if number >= epoch - 1}
            self._epochs[epoch] = draws.Permutation(self.rows, draws.key(self._key, epoch))
        return self._epochs[epoch]


class Sample(NamedTuple):
    """Where a sample of a mixture comes from; (stream, epoch, row) is its key for random draws."""

    stream: str
    epoch: int
    row: int

    def __str__(self) -> str:
        return f"{self.stream} epoch {self.epoch} row {self.row}"


class Mixture:
    """Several streams read in fixed proportions: sample n, for any n, without state.

    Each period of 256 samples holds a fixed number of every stream in a keyed order. The numbers of a period are what
    is due by its end and not yet given, the largest remainders rounded up; so at the end of every period each
    stream's count is within one or two samples of its share of all samples so far.

    Args:
        rows: rows of each stream; a stream is read again in a new order when it ends.
        shares: relative share of each stream, above 0; the same names as `rows`.
        seed: key of the order.

    Raises:
        PrealignError: a stream without rows, or with a share that is not above 0 or too small for one row in 65,536.
    """

    def __init__(self, rows: Mapping[str, int], shares: Mapping[str, float], seed: int) -> None:
        if set(rows) != set(shares) or not rows:
            raise ValueError(f"rows and shares must name the same streams: {sorted(rows)} and {sorted(shares)}")
        for name in rows:
            if rows[name] < 1:
                raise PrealignError(
                    f"{name} has no row to train on: its text is shorter than one block. Add text to it."
                )
            if not shares[name] > 0:
                raise PrealignError(f"The share of {name} is {shares[name]}; a share must be above 0.")
        self.streams = list(rows)
        self.rows = dict(rows)
        self.shares = {name: shares[name] / sum(shares.values()) for name in rows}
        self._seed = seed
        self._orders = [Shuffled(rows[name], draws.key(seed, "rows", name)) for name in self.streams]
        self._given = _counts_by_period(
            np.array([self.shares[name] for name in self.streams])
        )  # [periods + 1, streams]
        for name, count in zip(self.streams, self._given[PERIODS], strict=True):
            if count == 0:
                raise PrealignError(
                    f"The share of {name} is {self.shares[name]:.2g} of all rows, so small that none would ever be "
                    f"read; shares are kept to 1 in {PERIOD * PERIODS:,}. Give it a larger share, or leave it out."
                )

    def __call__(self, samples: Iterable[int]) -> list[Sample]:
        """Stream, epoch and row of samples by their numbers, from 0 without end."""
        numbers = np.fromiter(samples, dtype=np.int64)
        streams, places = np.empty_like(numbers), np.empty_like(numbers)
        for period in np.unique(numbers // PERIOD).tolist():
            here = numbers // PERIOD == period
            streams[here], places[here] = self._period(period, numbers[here] % PERIOD)
        epochs, rows = np.empty_like(numbers), np.empty_like(numbers)
        for stream, order in enumerate(self._orders):
            here = streams == stream
            epochs[here], rows[here] = order(places[here])
        found = zip(streams.tolist(), epochs.tolist(), rows.tolist(), strict=True)
        return [Sample(self.streams[stream], epoch, row) for stream, epoch, row in found]

    def repeats(self, samples: int) -> dict[str, float]:
        """How often each stream is read through in the first n samples (1.0: once)."""
        return {name: samples * self.shares[name] / self.rows[name] for name in self.streams}

    def _given_before(self, period: int) -> NDArray[np.int64]:
        """Samples of each stream before a period, [streams]."""
        rounds, within = divmod(period, PERIODS)
        given: NDArray[np.int64] = rounds * self._given[PERIODS] + self._given[within]
        return given

    def _period(self, period: int, within: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Stream and place in the stream of samples of one period, [samples] each."""
        before = self._given_before(period)
        here = self._given_before(period + 1) - before
        # The period's slots: those of the first stream, then those of the second ...; samples take them in a keyed
        # order.
        slots = draws.Permutation(PERIOD, draws.key(self._seed, "period", period))(within)
        ends = np.cumsum(here)
        streams = np.searchsorted(ends, slots, side="right")
        return streams, before[streams] + slots - (ends - here)[streams]


def _counts_by_period(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Samples of each stream given before each period, [PERIODS + 1, streams]; rows add up to multiples of PERIOD."""
    given = np.zeros((PERIODS + 1, shares.size), dtype=np.int64)
    for period in range(PERIODS):
        due = (period + 1) * PERIOD * shares - given[period]
        here = np.maximum(np.floor(due), 0).astype(np.int64)
        left = PERIOD - int(here.sum())
        here[np.argsort(here - due, kind="stable")[:left]] += 1
        given[period + 1] = given[period] + here
    return given


def shares_by_size(sizes: Mapping[str, int], alpha: float) -> dict[str, float]:
    """Share of each stream by temperature sampling: q_i = p_i^alpha / sum_j p_j^alpha, with p_i its share of the size.

    alpha 1 reads in proportion to size, 0 all alike (Conneau et al. 2020, XLM-R, 3.1: alpha 0.3).
    """
    total = sum(sizes.values())
    powers = {name: (size / total) ** alpha for name, size in sizes.items()}
    return {name: power / sum(powers.values()) for name, power in powers.items()}


def data_step(step: int, skips: Sequence[tuple[int, int]]) -> int:
    """The step whose data an update reads, both from 0, when stretches of steps are passed over.

    Args:
        skips: first and last step of each stretch, from 1, in order, not overlapping. They count updates, as
            metrics do: update `first` and all later ones read the data of so many steps later.
    """
    return step + sum(last - first + 1 for first, last in skips if first <= step + 1)


def rows_of_step(step: int, global_batch: int, rank: int = 0, world: int = 1) -> range:
    """Sample numbers of one rank at a step, both from 0; the ranks' ranges make up the global batch, in order."""
    first = step * global_batch
    return range(first + rank * global_batch // world, first + (rank + 1) * global_batch // world)


def micro_batches_of(rows: range, per_device: int) -> list[range]:
    """Cut a rank's rows into forward passes of at most `per_device` rows."""
    return [rows[start : start + per_device] for start in range(0, len(rows), per_device)]


class Prefetched(Generic[T]):
    """Iterator over what a thread makes ahead; `waited_s` is how long the consumer has waited so far, in seconds."""

    def __init__(self, make: Callable[[], Iterator[T]], depth: int) -> None:
        self.waited_s = 0.0
        self._made: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(make,), name="prefetch", daemon=True)
        self._thread.start()

    def _work(self, make: Callable[[], Iterator[T]]) -> None:
        try:
            for item in make():
                if not self._put((True, item)):
                    return
            self._put((False, None))
        except BaseException as error:  # told to the consumer, who raises it where it is waited for
            self._put((False, error))

    def _put(self, item: tuple[bool, T | BaseException | None]) -> bool:
        while not self._stop.is_set():
            try:
                self._made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        start = time.perf_counter()
        more, item = self._made.get()
        self.waited_s += time.perf_counter() - start
        if more:
            return item  # type: ignore[return-value]
        self._made.put((False, None))  # asked again, it ends again
        if isinstance(item, BaseException):
            raise item
        raise StopIteration

    def close(self) -> None:
        """Stop the thread; what it has made and nobody took is dropped."""
        self._stop.set()
        self._thread.join()


def prefetch(make: Callable[[], Iterator[T]], depth: int = 2) -> Prefetched[T]:
    """Run an iterator in a thread, at most `depth` items ahead; its exceptions are raised at `next`.

    One thread rather than worker processes, which cost about half a millisecond per batch on each side: more than it
    takes to make a batch with compiled code.
    """
    return Prefetched(make, depth)

"""Computed order: every row once per epoch, shares kept over any stretch, the same batch for any number of ranks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.errors import PrealignError
from prealign.train.batches import (
    PERIOD,
    Mixture,
    Shuffled,
    data_step,
    micro_batches_of,
    prefetch,
    rows_of_step,
    shares_by_size,
)


@given(rows=st.integers(1, 40), epochs=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_every_row_once_per_epoch(rows: int, epochs: int) -> None:
    numbers, found = Shuffled(rows, key=5)(np.arange(rows * epochs))
    for epoch in range(epochs):
        assert sorted(found[numbers == epoch]) == list(range(rows))


def test_epochs_differ_and_any_place_can_be_asked_for() -> None:
    order = Shuffled(50, key=5)
    _, first = order(np.arange(50))
    _, second = order(np.arange(50, 100))
    assert first.tolist() != second.tolist()
    fresh = Shuffled(50, key=5)
    assert fresh(np.array([63, 7, 99]))[1].tolist() == [second[13], first[7], second[49]]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 300), st.floats(0.001, 10.0)), min_size=1, max_size=5),
    start=st.integers(0, 100_000),
)
@settings(max_examples=25, deadline=None)
def test_shares_hold_over_any_stretch(sizes: list[tuple[int, float]], start: int) -> None:
    rows = {str(number): size for number, (size, _) in enumerate(sizes)}
    shares = {str(number): share for number, (_, share) in enumerate(sizes)}
    mixture = Mixture(rows, shares, seed=1)
    first = start // PERIOD * PERIOD
    found = Counter(sample.stream for sample in mixture(range(first, first + 3 * PERIOD)))
    for name, share in mixture.shares.items():
        # Both ends of the stretch are off by less than two samples, and a whole round by one in 65,536.
        assert abs(found[name] - 3 * PERIOD * share) < 4


def test_no_sample_comes_twice_in_an_epoch() -> None:
    mixture = Mixture({"en": 700, "de": 30}, {"en": 20.0, "de": 1.0}, seed=3)
    seen = Counter(mixture(range(5000)))
    assert max(seen.values()) == 1
    # Two epochs of a stream overlap at most within the period where one ends: what is read before it is complete.
    whole = {sample.row for sample in seen if sample.stream == "en" and sample.epoch == 2}
    assert whole == set(range(700))


def test_repeats_say_how_often_a_stream_is_read() -> None:
    mixture = Mixture({"en": 1000, "en-x-clone": 10}, {"en": 19.0, "en-x-clone": 1.0}, seed=3)
    assert mixture.repeats(2000) == {"en": pytest.approx(1.9), "en-x-clone": pytest.approx(10.0)}


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_the_ranks_share_the_global_batch_in_order(world: int) -> None:
    together = [row for rank in range(world) for row in rows_of_step(7, 16, rank, world)]
    assert together == list(range(112, 128))


def test_micro_batches_cut_the_rows() -> None:
    assert micro_batches_of(range(8, 18), 4) == [range(8, 12), range(12, 16), range(16, 18)]


@pytest.mark.parametrize(
    ("alpha", "shares"),
    [(1.0, [0.98, 0.02]), (0.5, [0.875, 0.125]), (0.3, [0.7627, 0.2373]), (0.0, [0.5, 0.5])],  # 49 to 1
)
def test_temperature_sampling_raises_the_small_stream(alpha: float, shares: list[float]) -> None:
    assert list(shares_by_size({"en": 4900, "sw": 100}, alpha).values()) == pytest.approx(shares, abs=1e-4)


def test_data_of_some_steps_is_passed_over() -> None:
    def read(*skips: tuple[int, int]) -> list[int]:
        """The data, counted from 1, of updates 1 to 8."""
        return [1 + data_step(step, skips) for step in range(8)]

    assert read() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert read((3, 4)) == [1, 2, 5, 6, 7, 8, 9, 10]
    assert read((1, 1)) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert read((3, 4), (6, 6)) == [1, 2, 5, 6, 7, 9, 10, 11]  # update 6 would have read 8
    assert read((20, 30)) == read()


def test_other_seed_other_order() -> None:
    one, other = (Mixture({"en": 100}, {"en": 1.0}, seed)(range(20)) for seed in (1, 2))
    assert one != other


def test_a_stream_without_rows_or_share_is_a_sentence() -> None:
    with pytest.raises(PrealignError, match="sw has no row"):
        Mixture({"en": 5, "sw": 0}, {"en": 1.0, "sw": 1.0}, seed=1)
    with pytest.raises(PrealignError, match=r"share of sw is 0"):
        Mixture({"en": 5, "sw": 5}, {"en": 1.0, "sw": 0.0}, seed=1)
    with pytest.raises(PrealignError, match=r"share of sw is 1e-06 of all rows.*1 in 65,536"):
        Mixture({"en": 5, "sw": 5}, {"en": 1.0, "sw": 1e-6}, seed=1)


def test_the_smallest_share_that_is_taken_is_read() -> None:
    mixture = Mixture({"en": 5, "sw": 5}, {"en": 1.0, "sw": 1.01 / 65_536}, seed=1)
    assert sum(sample.stream == "sw" for sample in mixture(range(65_536))) == 1


def test_prefetch_keeps_order_and_measures_waiting() -> None:
    def slow() -> Iterator[int]:
        for number in range(5):
            time.sleep(0.02)
            yield number

    items = prefetch(slow)
    assert list(items) == [0, 1, 2, 3, 4]
    assert items.waited_s >= 0.05
    assert list(items) == []
    items.close()


def test_prefetch_hands_on_the_mistake() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise PrealignError("the store is gone")

    items = prefetch(broken)
    assert next(items) == 1
    with pytest.raises(PrealignError, match="the store is gone"):
        next(items)
    items.close()


def test_prefetch_runs_only_so_far_ahead_and_can_be_closed() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    items = prefetch(endless, depth=2)
    next(items)
    time.sleep(0.1)
    assert len(made) <= 4  # one taken, two waiting, one in hand
    items.close()

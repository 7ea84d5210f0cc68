"""Keyed draws: pure, scattered, and a true permutation."""

from __future__ import annotations

import numpy as np
import pytest

from prealign import draws


def test_key_depends_on_every_part_and_their_order():
    keys = {
        draws.key(1, "a", 2),
        draws.key(1, "a", 3),
        draws.key(2, "a", 1),
        draws.key("a", 1, 2),
        draws.key(1, "b", 2),
    }
    assert len(keys) == 5
    assert draws.key(1, "a", 2) == draws.key(1, "a", 2)


def test_splitmix64_reference_values():
    # The first outputs of SplitMix64 seeded with 0, as published with the generator.
    assert [int(x) for x in draws.bits(0, 3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_a_draw_does_not_depend_on_its_neighbours():
    every = draws.uniforms(7, 1000)
    some = draws.uniforms(7, np.array([999, 3, 500], dtype=np.uint64))
    assert some.tolist() == every[[999, 3, 500]].tolist()


def test_uniforms_fill_the_unit_interval_evenly():
    counts, _ = np.histogram(draws.uniforms(draws.key("even"), 100_000), bins=10, range=(0, 1))
    assert abs(counts - 10_000).max() < 5 * np.sqrt(10_000 * 0.9)  # five standard deviations


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 1000])
def test_permutation_visits_everything_once(size):
    order = draws.Permutation(size, draws.key("test", size))
    assert sorted(order(np.arange(size))) == list(range(size))
    assert [int(order(i)) for i in range(size)] == order(np.arange(size)).tolist()


def test_permutation_of_a_billion_costs_no_memory_and_refuses_places_outside():
    order = draws.Permutation(10**9, 5)
    found = order(np.arange(2000))
    assert len(set(found.tolist())) == 2000
    assert found.max() < 10**9
    with pytest.raises(IndexError):
        order(10**9)


def test_permutations_of_different_keys_differ_and_neither_is_the_identity():
    places = np.arange(1000)
    one, other = draws.Permutation(1000, 1)(places), draws.Permutation(1000, 2)(places)
    assert (one == other).mean() < 0.02
    assert (one == places).mean() < 0.02

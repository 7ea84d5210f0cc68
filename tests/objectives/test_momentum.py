"""The slow copy against float64, the queue against a plain list."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from prealign.objectives.momentum import KeyQueue, SlowCopy, momentum_at


def test_the_copy_is_the_moving_average() -> None:
    draw = torch.Generator().manual_seed(1)
    encoder = nn.Linear(3, 2)
    slow = SlowCopy(encoder)
    expected = encoder.weight.detach().double()
    for _ in range(200):
        with torch.no_grad():
            encoder.weight += torch.randn(2, 3, generator=draw)
        slow.follow(encoder, 0.99)
        expected = 0.99 * expected + 0.01 * encoder.weight.detach().double()
    torch.testing.assert_close(slow.encoder.weight.double(), expected, rtol=1e-5, atol=1e-5)


def test_the_copy_is_never_trained_and_shares_nothing() -> None:
    encoder = nn.Linear(3, 2)
    slow = SlowCopy(encoder)
    before = slow.encoder.weight.clone()
    with torch.no_grad():
        encoder.weight.zero_()
    assert torch.equal(slow.encoder.weight, before)
    assert not any(parameter.requires_grad for parameter in slow.parameters())


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        ("constant", {0: 0.9, 50: 0.9, 100: 0.9}),
        ("linear", {0: 0.9, 50: 0.9495, 100: 0.999}),
        ("exponential", {0: 0.9, 50: 0.99, 100: 0.999}),  # 1 - m: a tenth, a hundredth, a thousandth
    ],
)
def test_schedules(schedule: str, at: dict[int, float]) -> None:
    for step, expected in at.items():
        assert momentum_at(step, 101, 0.9, 0.999, schedule) == pytest.approx(expected, abs=1e-12)  # type: ignore[arg-type]


def test_a_schedule_of_one_step() -> None:
    assert momentum_at(0, 1, 0.9, 0.999, "linear") == 0.9


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1, 7), batches=st.lists(st.integers(0, 17), max_size=8))
def test_the_queue_is_the_end_of_a_list(size: int, batches: list[int]) -> None:
    queue, everything, number = KeyQueue(size, 2), [], 0
    for batch in batches:
        numbers = torch.arange(number, number + batch)
        pairs = torch.stack([numbers, -numbers], dim=1)  # [batch, 2]
        queue.add(pairs.float(), pairs)
        everything += numbers.tolist()
        number += batch
        keys, held = queue.content()
        assert sorted(held[:, 0].tolist()) == everything[-size:]
        assert torch.equal(keys, held.float())
        assert len(queue) == min(size, len(everything))
        assert queue.is_full == (len(everything) >= size)


def test_the_queue_comes_back_from_its_state() -> None:
    queue, other = KeyQueue(4, 1), KeyQueue(4, 1)
    queue.add(torch.arange(6.0)[:, None], torch.arange(6)[:, None].expand(-1, 2))
    other.load_state_dict(queue.state_dict())
    for one in (queue, other):
        one.add(torch.tensor([[6.0]]), torch.tensor([[6, 6]]))
    assert sorted(other.content()[1][:, 0].tolist()) == [3, 4, 5, 6]
    assert torch.equal(queue.content()[0], other.content()[0])

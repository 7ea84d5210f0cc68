"""The compiled E-step against enumeration of every alignment of small sentence pairs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from prealign import draws
from prealign.alignment import posteriors
from prealign.alignment.parts import PARTS

NONE = -1
N_JUMPS = 2 * posteriors.MAX_JUMP + 1


def run(
    model: int,
    emission: NDArray[np.float32],
    none: NDArray[np.float64],
    jumps: NDArray[np.float64],
    agree: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Forward posteriors [makers, made], posterior of none [made] and jump counts of one sentence pair.

    emission: [makers, made] t(made | maker); the backward direction is given the same numbers turned.
    """
    n_makers, n_made = emission.shape
    cells = np.stack([emission.ravel(), emission.ravel()]).astype(np.float32)
    target_by_none = np.empty(n_made, dtype=np.float32)
    source_by_none = np.empty(n_makers, dtype=np.float32)
    counts = np.zeros((PARTS, 2, N_JUMPS))
    posteriors.expect(
        PARTS - 1,  # a single sentence pair falls to the last part
        model,
        agree,
        np.array([0, n_makers]),
        np.array([0, n_made]),
        np.array([0, n_makers * n_made]),
        np.arange(n_makers, dtype=np.int32),
        np.arange(n_made, dtype=np.int32),
        none,
        np.full(n_makers, 0.1),
        np.stack([jumps, jumps]),
        cells,
        target_by_none,
        source_by_none,
        counts,
    )
    return cells[0].reshape(n_makers, n_made), target_by_none, counts.sum(axis=0)[0]


def enumerate_alignments(
    model: int, emission: NDArray[np.float32], none: NDArray[np.float64], jumps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The same three, by summing the probability of every way to give each made word a maker or none."""
    n_makers, n_made = emission.shape
    by_maker = np.zeros((n_makers, n_made))
    by_none = np.zeros(n_made)
    jumped = np.zeros(N_JUMPS)
    total = 0.0
    for alignment in product(range(NONE, n_makers), repeat=n_made):
        probability, last, moves = 1.0, NONE, []
        for j, i in enumerate(alignment):
            if i == NONE:
                probability *= posteriors.P_NONE * none[j]
                continue
            if model == posteriors.HMM:
                weights = [jumps[k - last + posteriors.MAX_JUMP] for k in range(n_makers)]
                moves.append(i - last + posteriors.MAX_JUMP)
            else:
                gaps = [abs((k + 1) / n_makers - (j + 1) / n_made) for k in range(n_makers)]
                steps = [int(gap * posteriors.DISTANCES + 1e-9) / posteriors.DISTANCES for gap in gaps]
                tension = posteriors.TENSION if model == posteriors.DIAGONAL else 0.0
                weights = [np.exp(-tension * step) for step in steps]
            probability *= (1 - posteriors.P_NONE) * weights[i] / sum(weights) * emission[i, j]
            last = i
        total += probability
        for j, i in enumerate(alignment):
            if i == NONE:
                by_none[j] += probability
            else:
                by_maker[i, j] += probability
        for move in moves:
            jumped[move] += probability
    return by_maker / total, by_none / total, jumped / total


@pytest.mark.parametrize("model", [posteriors.IBM1, posteriors.DIAGONAL, posteriors.HMM])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 4), (4, 3)])
def test_posteriors_equal_enumeration(model: int, shape: tuple[int, int]) -> None:
    generator = draws.generator("test posteriors", model, *shape)
    emission = generator.random(shape).astype(np.float32)
    none = generator.random(shape[1])
    jumps = generator.random(N_JUMPS) + 0.1
    found = run(model, emission, none, jumps)
    wanted = enumerate_alignments(model, emission, none, jumps)
    # float32 in the compiled code
    assert found[0] == pytest.approx(wanted[0], abs=2e-6)
    assert found[1] == pytest.approx(wanted[1], abs=2e-6)
    if model == posteriors.HMM:
        assert found[2] == pytest.approx(wanted[2], abs=2e-6)


def test_agreement_is_the_product_of_the_directions() -> None:
    generator = draws.generator("test agreement")
    emission = generator.random((3, 4)).astype(np.float32)
    jumps = generator.random(N_JUMPS) + 0.1
    forward = run(posteriors.HMM, emission, np.full(4, 0.1), jumps)[0]
    backward = run(posteriors.HMM, emission.T.copy(), np.full(3, 0.1), jumps)[0].T
    agreed = run(posteriors.HMM, emission, np.full(4, 0.1), jumps, agree=True)[0]
    assert agreed == pytest.approx(forward * backward, abs=1e-6)


def test_long_sentences_and_tiny_probabilities_stay_finite() -> None:
    emission = np.full((200, 150), 1e-9, dtype=np.float32)
    found, by_none, _ = run(posteriors.HMM, emission, np.full(150, 1e-9), np.ones(N_JUMPS))
    assert np.isfinite(found).all()
    assert found.sum(axis=0) + by_none == pytest.approx(1.0, abs=1e-4)

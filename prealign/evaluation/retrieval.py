"""Retrieval: is the right translation the nearest of all candidates? The core of word and sentence retrieval.

Pure functions over state vectors; what the vectors stand for is the callers' business (`word_retrieval`,
`sentence_retrieval`). Ties count against the model: a model that maps everything to one point finds nothing.

Nearness is the cosine, or CSLS (Conneau et al. 2018, arXiv 1710.04087, section 2.3), which takes hubs, the
candidates that lie near to every query, back by how near they are to queries at large:

    CSLS(x, y) = 2 cos(x, y) - r(x) - r(y)        r: mean cosine to the 10 nearest vectors of the other language

The other language is the test's own queries or candidates here, not a whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

QUERIES_AT_ONCE = 512
"""Rows of the similarity matrix that exist at one time."""
NEIGHBOURS = 10
"""Nearest vectors that CSLS looks at: the number of the paper."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One direction of retrieval, one number per layer, each between 0 and 1."""

    p_at_1: list[float]
    """Share of queries whose nearest candidate is a right one."""
    p_at_5: list[float]
    """Share of queries with a right one among the nearest five."""
    mrr: list[float]
    """Mean over queries of 1 / (place of the best right candidate)."""
    n_queries: int
    n_candidates: int
    chance: dict[str, float]
    """What a random order of the candidates gives: p_at_1, p_at_5, mrr."""


@dataclass(frozen=True, slots=True)
class Gold:
    """Right answers as pairs of numbers: candidate `candidate[k]` is right for query `query[k]`."""

    query: NDArray[np.int64]
    candidate: NDArray[np.int64]
    n_queries: int
    n_candidates: int

    def inverted(self) -> Gold:
        """The same pairs asked in the other direction."""
        return Gold(self.candidate, self.query, self.n_candidates, self.n_queries)

    def answers(self) -> list[list[int]]:
        """The right candidates of each query."""
        found: list[list[int]] = [[] for _ in range(self.n_queries)]
        for query, candidate in zip(self.query.tolist(), self.candidate.tolist(), strict=True):
            found[query].append(candidate)
        return found


def diagonal(size: int) -> Gold:
    """Query i has the one right answer i."""
    return Gold(np.arange(size), np.arange(size), size, size)


class Ranking(NamedTuple):
    """What each query of one layer found."""

    place: NDArray[np.int64]
    """[queries] place (1 is nearest) of its nearest right candidate among the wrong ones."""
    nearest: NDArray[np.int64]
    """[queries] its nearest candidate; where several are equally near, one of them."""


def rank(queries: torch.Tensor, candidates: torch.Tensor, gold: Gold, csls: bool = False) -> Ranking:
    """Order the candidates of every query by cosine or CSLS, in one layer.

    A wrong candidate at the same similarity goes first, and so does everything when a similarity is not a number.

    Args:
        queries: [queries, width]; candidates: [candidates, width]; any float type, computed in float32 on their device.
        gold: the right pairs; every query has at least one.
    """
    queries, candidates = (F.normalize(states.float(), dim=-1) for states in (queries, candidates))
    # r(x) is the same for all candidates of a query, so the order is that of cos(x, y) - r(y) / 2.
    hub = _mean_of_nearest(candidates, queries) / 2 if csls else None  # [candidates]
    places, nearest = [], []
    for begin in range(0, gold.n_queries, QUERIES_AT_ONCE):
        similarity = queries[begin : begin + QUERIES_AT_ONCE] @ candidates.T  # [some queries, candidates]
        if hub is not None:
            similarity -= hub
        here = (gold.query >= begin) & (gold.query < begin + QUERIES_AT_ONCE)
        right = torch.zeros_like(similarity, dtype=torch.bool)
        right[torch.from_numpy(gold.query[here] - begin), torch.from_numpy(gold.candidate[here])] = True
        best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        before = ~(similarity < best) & ~right
        places.append(1 + before.sum(dim=1))
        nearest.append(similarity.argmax(dim=1))
    return Ranking(torch.cat(places).cpu().numpy(), torch.cat(nearest).cpu().numpy())


def _mean_of_nearest(vectors: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """r: mean cosine of each vector with its NEIGHBOURS nearest others (all, if there are fewer); both normalised."""
    k = min(NEIGHBOURS, len(others))
    parts = [(some @ others.T).topk(k, dim=1).values.mean(dim=1) for some in torch.split(vectors, QUERIES_AT_ONCE)]
    return torch.cat(parts)


def rank_layers(
    queries: torch.Tensor, candidates: torch.Tensor, gold: Gold, csls: bool = False, device: torch.device | None = None
) -> list[Ranking]:
    """`rank` in every layer; [layers, queries, width] and [layers, candidates, width], one layer on `device` at a
    time."""
    pairs = zip(queries, candidates, strict=True)
    return [rank(q.to(device or q.device), c.to(device or c.device), gold, csls) for q, c in pairs]


def scores_of(rankings: Sequence[Ranking], gold: Gold) -> Scores:
    """Sum the layers' rankings up."""

    def per_layer(value: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> list[float]:
        return [float(value(ranking.place).mean()) for ranking in rankings]

    return Scores(
        p_at_1=per_layer(lambda place: (place <= 1).astype(np.float64)),
        p_at_5=per_layer(lambda place: (place <= 5).astype(np.float64)),
        mrr=per_layer(lambda place: 1.0 / place),
        n_queries=gold.n_queries,
        n_candidates=gold.n_candidates,
        chance=chance(np.bincount(gold.query, minlength=gold.n_queries), gold.n_candidates),
    )


def chance(n_right: NDArray[np.int64], n_candidates: int) -> dict[str, float]:
    """Expected scores when the candidates stand in random order.

    With g right ones among n, the best of them stands behind place r with probability C(n - r, g) / C(n, g), which is
    the product over j < r of (n - g - j) / (n - j).

    Args:
        n_right: right candidates of each query, [queries].
        n_candidates: candidates in all.
    """
    sums = np.zeros(3)  # P@1, P@5, MRR
    for n_gold, n_queries in zip(*np.unique(n_right, return_counts=True), strict=True):
        place = np.arange(n_candidates)
        behind = np.cumprod((n_candidates - n_gold - place).clip(0) / (n_candidates - place))  # place 1, 2, ...
        here = np.concatenate([[1.0], behind[:-1]]) - behind
        sums += n_queries * np.array([here[0], here[:5].sum(), (here / (place + 1)).sum()])
    p_at_1, p_at_5, mrr = (sums / len(n_right)).tolist()
    return {"p_at_1": p_at_1, "p_at_5": p_at_5, "mrr": mrr}

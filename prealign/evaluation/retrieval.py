"""Retrieval by cosine: is the right translation the nearest of all candidates? The core of word and sentence retrieval.

Pure functions over state vectors; what the vectors stand for is the callers' business (`word_retrieval`,
`sentence_retrieval`). Ties count against the model: a model that maps everything to one point finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

QUERIES_AT_ONCE = 512
"""Rows of the similarity matrix that exist at one time."""


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


def diagonal(size: int) -> Gold:
    """Query i has the one right answer i."""
    return Gold(np.arange(size), np.arange(size), size, size)


def score(queries: torch.Tensor, candidates: torch.Tensor, gold: Gold) -> Scores:
    """Rank the candidates of every query in every layer.

    Args:
        queries: [layers, queries, width]; candidates: [layers, candidates, width]; any float type, computed in float32.
        gold: the right pairs; every query has at least one.
    """
    per_layer = [best_ranks(q, c, gold) for q, c in zip(queries, candidates, strict=True)]
    return Scores(
        p_at_1=[float((ranks <= 1).mean()) for ranks in per_layer],
        p_at_5=[float((ranks <= 5).mean()) for ranks in per_layer],
        mrr=[float((1.0 / ranks).mean()) for ranks in per_layer],
        n_queries=gold.n_queries,
        n_candidates=gold.n_candidates,
        chance=chance(np.bincount(gold.query, minlength=gold.n_queries), gold.n_candidates),
    )


def best_ranks(queries: torch.Tensor, candidates: torch.Tensor, gold: Gold) -> NDArray[np.int64]:
    """Place (1 is nearest) of each query's nearest right candidate among the wrong ones, [queries].

    A wrong candidate at the same similarity goes first, and so does everything when a similarity is not a number.
    """
    queries, candidates = (F.normalize(states.float(), dim=-1) for states in (queries, candidates))
    ranks = []
    for begin in range(0, gold.n_queries, QUERIES_AT_ONCE):
        similarity = queries[begin : begin + QUERIES_AT_ONCE] @ candidates.T  # [some queries, candidates]
        here = (gold.query >= begin) & (gold.query < begin + QUERIES_AT_ONCE)
        right = torch.zeros_like(similarity, dtype=torch.bool)
        right[torch.from_numpy(gold.query[here] - begin), torch.from_numpy(gold.candidate[here])] = True
        best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        before = ~(similarity < best) & ~right
        ranks.append(1 + before.sum(dim=1))
    return torch.cat(ranks).cpu().numpy()


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

"""What one test of word retrieval finds out about one model: scores per layer, measures, and an item for each word.

Words alone (`word_retrieval`) and words inside sentences (`words_in_context`) differ in whose states they compare; what
is made of the states is the same, and stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from prealign import __version__
from prealign.config.evaluation import OWN_TESTS
from prealign.evaluation.retrieval import Gold, Ranking, Scores, rank_layers, scores_of
from prealign.evaluation.table import LAYER_RULE, pair_name
from prealign.evaluation.task import Item, Measure
from prealign.objectives.word_alignment import mean_cosine

HELD_OUT, _ = OWN_TESTS


@dataclass(frozen=True, slots=True)
class WordRetrieval:
    """Scores of one test on one model; one number per layer: input embeddings, blocks, output rows."""

    forward: Scores
    """Source words ask for target words."""
    backward: Scores
    """Target words ask for source words."""
    csls: tuple[Scores, Scores] | None
    """Forward and backward once more, by CSLS in place of the cosine."""
    cosine: list[float]
    """Mean cosine between all words of both languages; near 1 they have collapsed into one."""
    rankings: tuple[Sequence[Ranking], Sequence[Ranking]]
    """What each word found in each layer, by cosine; forward and backward."""
    signature: str
    loss: list[float] | None = None
    """The loss of stage 1 at temperature 0.1, per layer, with all words of the test as one batch: where each has more
    negatives than in a step of training, it is higher than the loss there."""

    @classmethod
    def of(
        cls, states: torch.Tensor, gold: Gold, signature: str, *, csls: bool = True, device: torch.device | None = None
    ) -> WordRetrieval:
        """Rank all candidates in every layer; states [layers, queries + candidates, width]."""
        sources, targets = states[:, : gold.n_queries], states[:, gold.n_queries :]
        back = gold.inverted()

        def ranked(csls: bool) -> tuple[list[Ranking], list[Ranking]]:
            return rank_layers(sources, targets, gold, csls, device), rank_layers(targets, sources, back, csls, device)

        def summed(rankings: tuple[list[Ranking], list[Ranking]]) -> tuple[Scores, Scores]:
            return scores_of(rankings[0], gold), scores_of(rankings[1], back)

        rankings = ranked(csls=False)
        return cls(
            *summed(rankings),
            csls=summed(ranked(csls=True)) if csls else None,
            cosine=[float(mean_cosine(F.normalize(layer, dim=-1))) for layer in states],
            rankings=rankings,
            signature=f"{signature}|layers:{len(states)}|v:{__version__}",
        )

    @property
    def p_at_1(self) -> list[float]:
        """P@1 per layer, mean of both directions."""
        return _both(self.forward.p_at_1, self.backward.p_at_1)

    @property
    def summary(self) -> dict[str, float]:
        """The rule of the table: means over layers and both directions."""
        layers = self.p_at_1
        best = int(np.argmax(layers))
        found = {
            "p_at_1": _mean(layers),
            "p_at_5": _mean(_both(self.forward.p_at_5, self.backward.p_at_5)),
            "mrr": _mean(_both(self.forward.mrr, self.backward.mrr)),
            "best_layer": best,
            "best_layer_p_at_1": layers[best],
            "chance": self.chance("p_at_1"),
            "n_source": self.forward.n_queries,
            "n_target": self.backward.n_queries,
        }
        if self.csls is not None:
            found["csls_p_at_1"] = _mean(_both(self.csls[0].p_at_1, self.csls[1].p_at_1))
        return found

    def chance(self, score: str) -> float:
        """What a random order gives, mean of both directions; score: p_at_1, p_at_5 or mrr."""
        return (self.forward.chance[score] + self.backward.chance[score]) / 2

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        told = {
            "summary": self.summary,
            "p_at_1": self.p_at_1,
            "cosine": self.cosine,
            "forward": asdict(self.forward),
            "backward": asdict(self.backward),
            "signature": self.signature,
        }
        if self.csls is not None:
            forward, backward = self.csls
            told["csls"] = {"forward": asdict(forward), "backward": asdict(backward)}
        return told


def _both(forward: Sequence[float], backward: Sequence[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(forward, backward, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def measures_of(task: str, pair: str, kind: str, found: WordRetrieval, what: str) -> Iterator[Measure]:
    """The numbers of one test; P@1 of held-out words is for the comparison of arms, the others for the details.

    Args:
        kind: "held_out", "trained", or the name of a gold dictionary.
        what: what is retrieved, for the notes: "words".
    """
    summary, test = found.summary, f"{pair} {kind}"
    n_words = f"{summary['n_source']:,} source and {summary['n_target']:,} target {what}"

    def measure(name: str, score: str, note: str, items: bool = False) -> Measure:
        return Measure(
            task=task,
            name=name,
            of=f"{pair_name(pair)} {'held out' if kind == HELD_OUT else kind}",
            value=summary[score],
            better="higher",
            form="number" if score == "mrr" else "share",
            test=test if items else None,
            chance=found.chance(score.removeprefix("csls_")),
            headline=items and kind == HELD_OUT,
            note=f"{note}, among {n_words}; {LAYER_RULE}.",
            signature=found.signature,
        )

    yield measure("P@1", "p_at_1", "how often the nearest candidate by cosine is a translation", items=True)
    yield measure("P@5", "p_at_5", "how often a translation is among the five nearest candidates by cosine")
    yield measure("MRR", "mrr", "mean of 1 / place of the nearest translation by cosine")
    yield measure("CSLS P@1", "csls_p_at_1", "how often the nearest candidate by CSLS is a translation")


def items_of(
    pair: str, kind: str, sources: Sequence[str], targets: Sequence[str], gold: Gold, found: WordRetrieval
) -> Iterator[Item]:
    """One item per query of either direction, weighted so that both directions count the same.

    Details: places of the nearest translation in every layer; the nearest candidate in the middle layer; translations.
    """
    codes = pair.split("--")
    n_items = len(sources) + len(targets)
    directions = (sources, targets, gold), (targets, sources, gold.inverted())
    for code, rankings, (asking, answering, right) in zip(codes, found.rankings, directions, strict=True):
        places = np.stack([ranking.place for ranking in rankings])  # [layers, queries]
        layer = len(places) // 2
        weight = n_items / (2 * len(asking))
        for number, answers in enumerate(right.answers()):
            yield Item(
                test=f"{pair} {kind}",
                item=f"{code}: {asking[number]}",
                score=weight * float((places[:, number] == 1).mean()),
                weight=weight,
                detail={
                    "places": places[:, number].tolist(),
                    "layer": layer,
                    "nearest": answering[rankings[layer].nearest[number]],
                    "right": [answering[answer] for answer in answers],
                },
            )

"""Sentence retrieval and MEXA: do translated sentences lie nearest to each other? Per layer.

The state of a sentence is the mean over its tokens. P@1 asks whether the translation is nearest among all sentences of
the other side; MEXA (Kargaran et al., arXiv 2410.05873) asks for both directions at once: the share of pairs i with

    cos(x_i, y_i) > max over j != i of cos(x_i, y_j) and cos(x_j, y_i)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from prealign import __version__
from prealign.corpora.text_tokenizer import text_tokenizer
from prealign.errors import PrealignError
from prealign.evaluation.retrieval import Scores, best_ranks, diagonal, score
from prealign.evaluation.states import mean_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class SentenceRetrieval:
    """Scores of one set of sentences on one model; one number per layer: input embeddings, blocks, output rows."""

    forward: Scores
    backward: Scores
    mexa: list[float]
    signature: str

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        best = max(range(len(self.mexa)), key=self.mexa.__getitem__)
        return {
            "summary": {
                "p_at_1": (sum(self.forward.p_at_1) + sum(self.backward.p_at_1)) / (2 * len(self.mexa)),
                "mexa": sum(self.mexa) / len(self.mexa),
                "best_layer": best,
                "best_layer_mexa": self.mexa[best],
                "chance": self.forward.chance["p_at_1"],
            },
            "mexa": self.mexa,
            "forward": asdict(self.forward),
            "backward": asdict(self.backward),
            "signature": self.signature,
        }


@dataclass(frozen=True, slots=True)
class SentenceTest:
    """Translated sentences as token ids; row i of both sides says the same."""

    name: str
    sources: list[list[int]]
    targets: list[list[int]]
    n_cut: int
    """Sentences cut at `max_tokens`."""

    @classmethod
    def of(
        cls, name: str, pairs: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerFast, max_tokens: int
    ) -> SentenceTest:
        """Encode the pairs; sentences longer than `max_tokens` are cut and counted."""
        if len(pairs) < 2:
            raise PrealignError(f"Sentence retrieval on {name} needs at least two sentence pairs, got {len(pairs)}.")
        core = text_tokenizer(tokenizer)
        encoded = [core.encode_batch(list(side), add_special_tokens=False) for side in zip(*pairs)]
        sides = [[encoding.ids for encoding in side] for side in encoded]
        for number, both in enumerate(zip(*sides), start=1):
            if not all(both):
                raise PrealignError(f"Sentence retrieval on {name}: pair {number} has an empty side.")
        n_cut = sum(len(ids) > max_tokens for side in sides for ids in side)
        sources, targets = ([ids[:max_tokens] for ids in side] for side in sides)
        return cls(name, sources, targets, n_cut)

    def measure(self, model: PreTrainedModel, batch_size: int = 64) -> SentenceRetrieval:
        """Compare all sentences with all in every layer; `batch_size` sentences per forward pass."""
        states = mean_states(model, [*self.sources, *self.targets], batch_size)
        sources, targets = states.chunk(2, dim=1)
        gold = diagonal(len(self.sources))
        return SentenceRetrieval(
            forward=score(sources, targets, gold),
            backward=score(targets, sources, gold),
            mexa=[mexa(x, y) for x, y in zip(sources, targets)],
            signature=f"{self.name}|n:{len(self.sources)}|cut:{self.n_cut}|layers:{len(states)}|pool:mean|v:{__version__}",
        )


def mexa(sources: torch.Tensor, targets: torch.Tensor) -> float:
    """MEXA of one layer; sources and targets [sentences, width], row i of both translations of each other."""
    gold = diagonal(len(sources))
    both = (best_ranks(sources, targets, gold) == 1) & (best_ranks(targets, sources, gold) == 1)
    return float(both.mean())

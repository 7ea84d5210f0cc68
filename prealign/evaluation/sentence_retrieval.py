"""Sentence retrieval and MEXA: do translated sentences lie nearest to each other? Per layer.

A sentence's vector at a layer is pooled from its tokens in three ways (`states.Pooling`). P@1 asks whether the
translation is nearest among all sentences of the other side, in both directions; MEXA (Kargaran et al. 2025, arXiv
2410.05873) asks for both at once: the share of pairs i with

    cos(x_i, y_i) > max over j != i of cos(x_i, y_j) and cos(x_j, y_i)

The authors take the weighted mean of a decoder's tokens as their default and the last token beside it, and sum layers
up by their mean or their largest value. Their layers are embeddings and blocks; so the summary of MEXA leaves out the
output rows, which know nothing of the sentence, while lists per layer show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from prealign import __version__, files
from prealign.corpora.text_tokenizer import text_tokenizer
from prealign.errors import PrealignError
from prealign.evaluation.retrieval import Scores, diagonal, rank_layers, scores_of
from prealign.evaluation.states import Pooling, pooled_states
from prealign.evaluation.table import LAYER_RULE, pair_name
from prealign.evaluation.task import Item, Measure, Outcome

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
POOLING_NAMES = {"mean": "mean of tokens", "last": "last token", "weighted": "tokens weighted by place"}


@dataclass(frozen=True, slots=True)
class SentenceRetrieval:
    """Scores of one set of sentences with one pooling; one number per layer: input embeddings, blocks, output rows."""

    forward: Scores
    backward: Scores
    mexa: list[float]
    places: tuple[NDArray[np.int64], NDArray[np.int64]]
    """[layers, sentences] place of the translation among all candidates, forward and backward."""

    @classmethod
    def of(cls, sources: torch.Tensor, targets: torch.Tensor, device: torch.device | None = None) -> SentenceRetrieval:
        """Compare all with all; [layers, sentences, width] each, row i of both translations of each other."""
        gold = diagonal(sources.shape[1])
        there = rank_layers(sources, targets, gold, device=device)
        back = rank_layers(targets, sources, gold, device=device)
        forward, backward = (np.stack([ranking.place for ranking in rankings]) for rankings in (there, back))
        mutual = (forward == 1) & (backward == 1)  # strict: a tie takes the first place away
        return cls(scores_of(there, gold), scores_of(back, gold), mutual.mean(axis=1).tolist(), (forward, backward))

    @property
    def p_at_1(self) -> float:
        """P@1, mean over layers and both directions."""
        return (sum(self.forward.p_at_1) + sum(self.backward.p_at_1)) / (2 * len(self.mexa))

    @property
    def mean_mexa(self) -> float:
        """MEXA, mean over embeddings and blocks."""
        return sum(self.mexa[:-1]) / len(self.mexa[:-1])

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        best = max(range(len(self.mexa) - 1), key=self.mexa.__getitem__)
        return {
            "summary": {
                "p_at_1": self.p_at_1,
                "mexa": self.mean_mexa,
                "best_layer": best,
                "best_layer_mexa": self.mexa[best],
                "chance": self.forward.chance["p_at_1"],
                "mexa_chance": mexa_chance(self.forward.n_queries),
            },
            "mexa": self.mexa,
            "forward": asdict(self.forward),
            "backward": asdict(self.backward),
        }


def mexa_chance(n_sentences: int) -> float:
    """How often a pair is the largest of the 2n - 1 cells of its row and column when similarities are drawn."""
    return 1 / (2 * n_sentences - 1)


@dataclass(frozen=True, slots=True)
class SentenceTest:
    """Translated sentences as token ids; row i of both sides says the same."""

    name: str
    sources: list[list[int]]
    targets: list[list[int]]
    n_cut: int
    """Sentences cut at `max_tokens`."""
    content: str
    """Fingerprint of the sentences."""

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
        return cls(name, sources, targets, n_cut, files.fingerprint_of([list(pair) for pair in pairs]))

    def __str__(self) -> str:
        return f"{self.name}: {len(self.sources)} sentence pairs; {self.n_cut} sentences cut at the block size"

    def measure(self, model: PreTrainedModel, max_batch_tokens: int = 4096) -> dict[Pooling, SentenceRetrieval]:
        """Compare all sentences with all in every layer; so many tokens per forward pass."""
        states = pooled_states(model, [*self.sources, *self.targets], POOLINGS, max_batch_tokens)
        n = len(self.sources)
        return {p: SentenceRetrieval.of(found[:, :n], found[:, n:], model.device) for p, found in states.items()}

    def signature(self, pooling: Pooling, n_layers: int) -> str:
        """The conditions of a score."""
        return (
            f"{self.name}|data:{self.content}|n:{len(self.sources)}|cut:{self.n_cut}|layers:{n_layers}|pool:{pooling}"
            f"|v:{__version__}"
        )


@dataclass(frozen=True, slots=True)
class SentenceRetrievalTask:
    """Sentence retrieval on every set of translated sentences."""

    tests: dict[str, SentenceTest]
    """By name and language pair ("tatoeba en--de")."""
    max_batch_tokens: int
    name: str = "sentence_retrieval"

    def run(self, model: PreTrainedModel) -> Outcome:
        """Scores: {test: as `SentenceRetrieval.as_dict` with the mean of tokens, and "poolings" with the others}."""
        scores: dict[str, Any] = {}
        measures: list[Measure] = []
        items: list[Item] = []
        for name, test in self.tests.items():
            found = test.measure(model, self.max_batch_tokens)
            n_layers = len(found["mean"].mexa)
            told = {
                pooling: one.as_dict() | {"signature": test.signature(pooling, n_layers)}
                for pooling, one in found.items()
            }
            others = {pooling: one for pooling, one in told.items() if pooling != "mean"}
            scores[name] = told["mean"] | {"poolings": others}
            for pooling, one in found.items():
                measures += _measures(self.name, test, pooling, one)
                items += _items(name, pooling, one)
        return Outcome(scores, measures, items)


def _measures(task: str, test: SentenceTest, pooling: Pooling, found: SentenceRetrieval) -> Iterator[Measure]:
    set_name, _, pair = test.name.rpartition(" ")
    conditions: dict[str, Any] = {
        "task": task,
        "of": f"{pair_name(pair)} {set_name}" + ("" if pooling == "mean" else f", {POOLING_NAMES[pooling]}"),
        "better": "higher",
        "form": "share",
        "signature": test.signature(pooling, len(found.mexa)),
    }
    n = found.forward.n_queries
    yield Measure(
        **conditions,
        name="sentence P@1",
        value=found.p_at_1,
        test=f"{test.name} P@1 {pooling}",
        chance=found.forward.chance["p_at_1"],
        headline=pooling == "mean",
        note=f"how often a sentence's translation is the nearest of {n:,} sentences; {POOLING_NAMES[pooling]}; "
        f"{LAYER_RULE}.",
    )
    yield Measure(
        **conditions,
        name="MEXA",
        value=found.mean_mexa,
        test=f"{test.name} MEXA {pooling}",
        chance=mexa_chance(n),
        headline=False,
        note=f"share of {n:,} sentence pairs that are nearest to each other in both directions at once; "
        f"{POOLING_NAMES[pooling]}; mean over embeddings and blocks.",
    )


def _items(name: str, pooling: Pooling, found: SentenceRetrieval) -> Iterator[Item]:
    """One item for each direction of a pair (P@1) and one for the pair (MEXA), with places per layer."""
    forward, backward = found.places
    for direction, places in (("forward", forward), ("backward", backward)):
        for number, of_sentence in enumerate(places.T, start=1):
            hit = float((of_sentence == 1).mean())
            yield Item(f"{name} P@1 {pooling}", f"{direction} {number}", hit, detail={"places": of_sentence.tolist()})
    for number, mutual in enumerate(((forward == 1) & (backward == 1))[:-1].T, start=1):
        yield Item(f"{name} MEXA {pooling}", str(number), float(mutual.mean()))

"""Word retrieval: is a word's nearest neighbour in the other language its translation? Per layer, both directions.

A test is encoded once (`WordTest.of`) and measured on many models and training steps. Every word is read alone, in the
ids it has in running text; its state at a layer is the mean over its sub-words (docs/method.md). Queries are the source
words of a dictionary, candidates all its target words, and any translation in the dictionary is right; then the other
way round. Words inside sentences are asked in the same way (`words_in_context`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from prealign import __version__, draws, files
from prealign.config.evaluation import OWN_TESTS
from prealign.errors import PrealignError
from prealign.evaluation.retrieval import Gold, Ranking, Scores, chance, rank_layers, scores_of
from prealign.evaluation.states import mean_states
from prealign.evaluation.table import LAYER_RULE, pair_name
from prealign.evaluation.task import Item, Measure, Outcome
from prealign.evaluation.word_forms import encode_words
from prealign.objectives.word_alignment import loss_of_layers, mean_cosine

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.dictionary.dictionary import Dictionary

Ids = tuple[int, ...]
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


@dataclass(frozen=True, slots=True)
class WordTest:
    """The words of a dictionary, encoded and paired; words with the same ids are one word."""

    name: str
    """Pair and test, as "en--de held_out"."""
    sources: list[Ids]
    targets: list[Ids]
    source_words: list[str]
    """The words as they are written; of several with the same ids the first."""
    target_words: list[str]
    gold: Gold
    left_out: dict[str, int]
    """Source words that could not be used, by reason."""

    @classmethod
    def of(cls, name: str, dictionary: Dictionary, tokenizer: PreTrainedTokenizerFast, max_words: int) -> WordTest:
        """Take at most `max_words` source words, chosen by the hash of the word, with all their translations.

        Left out are words with a translation of the same ids ("Hotel"), which any model finds, and words with unknown
        tokens.
        """
        entries = dictionary.by_source()
        words = sorted(entries, key=lambda word: draws.key("word retrieval", word))
        translations = [[entry.target for entry in entries[word]] for word in words]
        source_ids = map(tuple, encode_words(tokenizer, words))
        target_ids = iter(map(tuple, encode_words(tokenizer, [target for group in translations for target in group])))
        sources: dict[Ids, tuple[int, str]] = {}
        targets: dict[Ids, tuple[int, str]] = {}
        pairs: set[tuple[int, int]] = set()
        left_out = {"same form in both languages": 0, "unknown to the tokenizer": 0}
        for word, source, group in zip(words, source_ids, translations, strict=True):
            right = [next(target_ids) for _ in group]
            if not all(ids and tokenizer.unk_token_id not in ids for ids in (source, *right)):
                left_out["unknown to the tokenizer"] += 1
            elif source in right:
                left_out["same form in both languages"] += 1
            elif source in sources or len(sources) < max_words:
                number, _ = sources.setdefault(source, (len(sources), word))
                for target, ids in zip(group, right, strict=True):
                    pairs.add((number, targets.setdefault(ids, (len(targets), target))[0]))
        if not pairs:
            reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
            raise PrealignError(
                f"Word retrieval on {name}: none of the {len(words)} source words can be used ({reasons}). "
                "Give more entries or set eval.word_retrieval to false."
            )
        query, candidate = np.array(sorted(pairs), dtype=np.int64).T
        source_words, target_words = ([word for _, word in side.values()] for side in (sources, targets))
        gold = Gold(query, candidate, len(sources), len(targets))
        return cls(name, list(sources), list(targets), source_words, target_words, gold, left_out)

    def __str__(self) -> str:
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count)
        size = f"{len(self.sources)} source and {len(self.targets)} target words"
        return f"{self.name}: {size}; left out: {left_out or 'none'}"

    @property
    def chance(self) -> float:
        """P@1 of a random order, mean of both directions."""
        both = (self.gold, self.gold.inverted())
        found = [chance(np.bincount(gold.query, minlength=gold.n_queries), gold.n_candidates) for gold in both]
        return sum(one["p_at_1"] for one in found) / 2

    @property
    def signature(self) -> str:
        """The words and right answers, by their fingerprint: the same words cut by another tokenizer compare."""
        pairs = [
            [self.source_words[query], self.target_words[candidate]]
            for query, candidate in zip(self.gold.query, self.gold.candidate)
        ]
        n = f"{len(self.sources)}x{len(self.targets)}"
        return f"{self.name}|data:{files.fingerprint_of(sorted(pairs))}|n:{n}|pool:mean"

    def measure(
        self, model: PreTrainedModel, batch_size: int = 64, csls: bool = False, loss: bool = False
    ) -> WordRetrieval:
        """Rank all candidates in every layer, by cosine and if asked by CSLS as well.

        Args:
            batch_size: rows of about twenty words per forward pass (`states.mean_states`).
            loss: compute that of stage 1 too.
        """
        states = mean_states(model, [*self.sources, *self.targets], batch_size)  # [layers, sources + targets, width]
        found = WordRetrieval.of(states, self.gold, self.signature, csls=csls, device=model.device)
        return replace(found, loss=self._loss(states)) if loss else found

    def _loss(self, states: torch.Tensor) -> list[float]:
        """The alignment loss of the whole test at each layer; states [layers, sources + targets, width]."""
        words: list[int] = []  # a source word, its translations, the next source word, ...
        groups: list[int] = []
        for group, targets in enumerate(self.gold.answers()):
            words += [group, *(len(self.sources) + target for target in targets)]
            groups += [group] * (1 + len(targets))
        ids = [*self.sources, *self.targets]
        number = {written: place for place, written in enumerate(ids)}
        forms = torch.tensor([number[ids[word]] for word in words])
        return loss_of_layers(states[:, words], torch.tensor(groups), forms)


@dataclass(frozen=True, slots=True)
class WordRetrievalTask:
    """Word retrieval on every dictionary: words alone."""

    tests: dict[str, dict[str, WordTest]]
    """Language pair ("en--de") -> test ("held_out", "trained", or the name of a gold dictionary)."""
    batch_size: int
    name: str = "word_retrieval"

    def run(self, model: PreTrainedModel) -> Outcome:
        """Scores: {pair: {test: as `WordRetrieval.as_dict`}}; one item for each word of either language."""
        scores: dict[str, Any] = {}
        measures: list[Measure] = []
        items: list[Item] = []
        for pair, tests in self.tests.items():
            for kind, test in tests.items():
                found = test.measure(model, self.batch_size, csls=True)
                scores.setdefault(pair, {})[kind] = found.as_dict()
                measures += measures_of(self.name, pair, kind, found, "words")
                items += items_of(pair, kind, test.source_words, test.target_words, test.gold, found)
        return Outcome(scores, measures, items)


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

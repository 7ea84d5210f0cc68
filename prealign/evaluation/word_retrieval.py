"""Word retrieval: is a word's nearest neighbour in the other language its translation? Per layer, both directions.

A test is encoded once (`WordTest.of`) and measured on many models and training steps. Every word is read alone, in the
ids it has in running text; its state at a layer is the mean over its sub-words (docs/method.md). Queries are the source
words of a dictionary, candidates all its target words, and any translation in the dictionary is right; then the other
way round. Words inside sentences are asked in the same way (`words_in_context`); what is counted stands in
`word_scores`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from prealign import draws, files
from prealign.errors import PrealignError
from prealign.evaluation.retrieval import Gold, chance
from prealign.evaluation.states import mean_states
from prealign.evaluation.task import Item, Measure, Outcome
from prealign.evaluation.word_forms import encode_words
from prealign.evaluation.word_scores import WordRetrieval, items_of, measures_of
from prealign.objectives.word_alignment import loss_of_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.dictionary.dictionary import Dictionary

Ids = tuple[int, ...]


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
                "Give it more entries, or leave this test out (eval.word_retrieval: false for the run's own words)."
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

"""Words in context: is the translation of a word nearest when both stand in sentences?

Retrieval of `word_retrieval` with other states: a word is read as a part of its sentence, behind an end of document, as
stage 1 reads it (`stages.context_words`). The sentences are parallel text whose words the aligner linked; the words are
both ends of links that are dictionary entries, held out or trained. Queries are the occurrences in one language,
candidates those in the other, taken from all sentences of the test; every occurrence of a right translation is right,
in whatever sentence it stands.

The aligner chose the words, and it may have read these sentences: so the test is on words in contexts where they are
translated as the dictionary says. A word occurs up to OCCURRENCES times, or "the" would be half of the test.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws, files
from prealign.corpora.pair_store import PairStream, words_key
from prealign.corpora.words import fold
from prealign.dictionary.dictionary import Dictionary
from prealign.evaluation.retrieval import Gold
from prealign.evaluation.states import Span, states_in_context
from prealign.evaluation.task import Item, Measure, Outcome
from prealign.evaluation.word_scores import WordRetrieval, items_of, measures_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OCCURRENCES = 3
"""Most occurrences of a word of either language."""


class Occurrence(NamedTuple):
    """A word in a sentence."""

    sentence: int
    """Number of the sentence on its side."""
    span: Span
    """Its tokens, the end of document before the sentence counted."""
    word: str
    """As the dictionary writes it."""


@dataclass(frozen=True, slots=True)
class Side:
    """The sentences of one language and the words in them, from left to right and sentence by sentence."""

    rows: list[list[int]]
    occurrences: list[Occurrence]

    @classmethod
    def of(cls, rows: list[list[int]], occurrences: Sequence[Occurrence]) -> Side:
        """Put the words in order."""
        return cls(rows, sorted(occurrences))

    def states(self, model: PreTrainedModel, max_batch_tokens: int) -> torch.Tensor:
        """[layers, occurrences, width]"""
        spans: list[list[Span]] = [[] for _ in self.rows]
        for occurrence in self.occurrences:
            spans[occurrence.sentence].append(occurrence.span)
        return states_in_context(model, self.rows, spans, max_batch_tokens)

    def names(self) -> list[str]:
        """The words as items name them: "Haus (2)" is the second occurrence."""
        seen: Counter[str] = Counter()
        found = []
        for occurrence in self.occurrences:
            seen[occurrence.word] += 1
            found.append(f"{occurrence.word} ({seen[occurrence.word]})")
        return found


@dataclass(frozen=True, slots=True)
class ContextTest:
    """Linked words of a sample of sentence pairs."""

    name: str
    """Pair and test, as "en--de held_out"."""
    source: Side
    target: Side
    gold: Gold

    @classmethod
    def of(
        cls,
        name: str,
        stream: PairStream,
        asked: Dictionary,
        right: Sequence[Dictionary],
        *,
        n_sentences: int,
        eos_id: int,
        max_tokens: int,
    ) -> ContextTest | None:
        """Take linked words from at most `n_sentences` sentence pairs, which come in a keyed order.

        Args:
            asked: the links of these entries are taken, in any spelling.
            right: translations in any of these dictionaries are right answers; `asked` among them.
            eos_id: stands before each sentence.
            max_tokens: pairs with a longer sentence, this token counted, are left out.
        Returns:
            The test; None where no sentence pair has a link that is asked for.
        """
        languages = asked.source_language, asked.target_language
        entry_of_link = _entries_of_links(stream, asked)
        pairs = stream.pairs_with(entry_of_link >= 0, longest=max_tokens - 1)
        order = np.argsort(draws.bits(draws.key("words in context", name), len(pairs)), kind="stable")
        rows: tuple[list[list[int]], list[list[int]]] = ([], [])
        found: tuple[list[Occurrence], list[Occurrence]] = ([], [])
        used: Counter[tuple[int, str]] = Counter()
        for pair in pairs[order].tolist():
            taken: tuple[list[Occurrence], list[Occurrence]] = ([], [])
            for link in range(stream.link_starts[pair], stream.link_starts[pair + 1]):
                if entry_of_link[link] < 0:
                    continue
                entry = asked.entries[entry_of_link[link]]
                a, b, c, d = stream.links[link].tolist()
                ends = [(0, (a + 1, b + 1), entry.source), (1, (c + 1, d + 1), entry.target)]
                keys = [(side, fold(word, languages[side])) for side, _, word in ends]
                free = all(span[0] >= o.span[1] or span[1] <= o.span[0] for side, span, _ in ends for o in taken[side])
                if free and max(used[key] for key in keys) < OCCURRENCES:
                    used.update(keys)
                    for side, span, word in ends:
                        taken[side].append(Occurrence(len(rows[side]), span, word))
            if taken[0]:
                for side, ids in enumerate(stream.sentences(pair)):
                    rows[side].append([eos_id, *ids.tolist()])
                    found[side].extend(taken[side])
            if len(rows[0]) == n_sentences:
                break
        if not rows[0]:
            return None
        source, target = (Side.of(*side) for side in zip(rows, found, strict=True))
        return cls(name, source, target, _gold(source, target, right))

    def __str__(self) -> str:
        n_source, n_target = (len(side.occurrences) for side in self.sides)
        return f"{n_source} source and {n_target} target words in {len(self.source.rows)} sentence pairs"

    @property
    def signature(self) -> str:
        """The sentences and words, by their fingerprint."""
        content = [[side.rows, [list(occurrence) for occurrence in side.occurrences]] for side in self.sides]
        n = "x".join(str(len(side.occurrences)) for side in self.sides)
        sentences = len(self.source.rows)
        return f"{self.name} in context|data:{files.fingerprint_of(content)}|sentences:{sentences}|n:{n}|pool:mean"

    @property
    def sides(self) -> tuple[Side, Side]:
        """Source and target."""
        return self.source, self.target

    def measure(self, model: PreTrainedModel, max_batch_tokens: int = 4096) -> WordRetrieval:
        """Rank the occurrences of one language for each of the other, in every layer."""
        states = torch.cat([side.states(model, max_batch_tokens) for side in self.sides], dim=1)
        return WordRetrieval.of(states, self.gold, self.signature, device=model.device)


@dataclass(frozen=True, slots=True)
class WordsInContextTask:
    """Word retrieval inside sentences."""

    tests: dict[str, dict[str, ContextTest]]
    """Language pair ("en--de") -> "held_out" and "trained"."""
    max_batch_tokens: int
    name: str = "words_in_context"

    def run(self, model: PreTrainedModel) -> Outcome:
        """Scores: {pair: {test: as `WordRetrieval.as_dict`}}; one item for each occurrence of either language."""
        scores: dict[str, Any] = {}
        measures: list[Measure] = []
        items: list[Item] = []
        for pair, tests in self.tests.items():
            for kind, test in tests.items():
                found = test.measure(model, self.max_batch_tokens)
                scores.setdefault(pair, {})[kind] = found.as_dict() | {"sentences": len(test.source.rows)}
                measures += measures_of(self.name, pair, kind, found, "words in sentences")
                items += items_of(pair, kind, test.source.names(), test.target.names(), test.gold, found)
        return Outcome(scores, measures, items)


def _entries_of_links(stream: PairStream, dictionary: Dictionary) -> NDArray[np.int64]:
    """The number of the entry that each link is in any spelling, -1 for others, [links]."""
    languages = dictionary.source_language, dictionary.target_language
    number_of: dict[int, int] = {}
    for number, entry in enumerate(dictionary.entries):
        number_of.setdefault(words_key(entry.source, entry.target, languages), number)
    return stream.numbers_of_links(number_of)


def _gold(source: Side, target: Side, right: Sequence[Dictionary]) -> Gold:
    """Which occurrences are right for which: those of words that are an entry together."""
    codes = right[0].source_language, right[0].target_language
    translations: defaultdict[str, set[str]] = defaultdict(set)
    for dictionary in right:
        for entry in dictionary.entries:
            translations[fold(entry.source, codes[0])].add(fold(entry.target, codes[1]))
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, occurrence in enumerate(target.occurrences):
        places[fold(occurrence.word, codes[1])].append(place)

    def pairs() -> Iterator[tuple[int, int]]:
        for query, occurrence in enumerate(source.occurrences):
            for word in sorted(translations[fold(occurrence.word, codes[0])] & places.keys()):
                yield from ((query, place) for place in places[word])

    query, candidate = np.array(sorted(pairs()), dtype=np.int64).T
    return Gold(query, candidate, len(source.occurrences), len(target.occurrences))

"""Batches of words as they stand in sentences: batch number in, sentence pairs with marked words out.

The other way to read the words of stage 1, beside words alone (`alignment`). Of a sentence pair, words that the aligner
linked are compared with one another, if the two are an entry that is trained; a word that is held out is read as a part
of its sentence and never aligned. Sentences are packed into rows, each behind the end token, as documents of running
text are read.

Sentence pairs come in a keyed order, each once per epoch. Of all links of a batch, over all ranks, a keyed draw takes
some: at most one of each group of words, or "the" would fill the batch, and at most LINKS_PER_PAIR of a sentence pair.
So a group is on one rank, and words that are common in the text come more often than others, up to once a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws, ranks
from prealign.corpora.pair_store import PairStore, PairStream, words_key
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.objectives.word_pairs import Counts
from prealign.objectives.word_states import pack
from prealign.stages.word_groups import WordGroups
from prealign.train.batches import Shuffled, rows_of_step

if TYPE_CHECKING:
    from prealign.stages.materials import Materials

log = logging.getLogger(__name__)

LINKS_PER_PAIR = 8
"""Words of one sentence are not drawn independently of each other, so more of them tell less; fewer leave more tokens
that are read for their neighbours only."""


class Link(NamedTuple):
    """A linked word pair of a batch."""

    group: int
    """Number of the source word's group."""
    tokens: tuple[tuple[int, int], tuple[int, int]]
    """Tokens (start, end) of the source word in its sentence, and of the target word in its own."""


class ContextWords:
    """Sentence pairs of a batch number, with the words that are compared.

    Args:
        pairs: the sentence pairs of all languages.
        trained: dictionaries without the held-out words.
        groups: made of `trained`; words here and words alone go by the same numbers.
        per_batch: sentence pairs of all ranks together.
        block: longest sequence that the model is given; longer sentences are left out.
    """

    def __init__(
        self,
        pairs: PairStore,
        trained: Sequence[Dictionary],
        groups: WordGroups,
        *,
        per_batch: int,
        block: int,
        eos_id: int,
        pad_id: int,
        seed: int,
    ) -> None:
        if per_batch < ranks.world_size():
            raise PrealignError(
                f"init.context_sentences_per_step is {per_batch} for {ranks.world_size()} ranks; give each rank one."
            )
        self.per_batch, self.block, self.eos_id, self.pad_id, self.seed = per_batch, block, eos_id, pad_id, seed
        self._streams: list[PairStream] = []
        self._groups: list[NDArray[np.int64]] = []
        numbers = {source: number for number, source in enumerate(groups.sources)}
        usable: list[NDArray[np.int64]] = []
        for dictionary in trained:
            stream = pairs.streams.get((dictionary.source_language, dictionary.target_language))
            if stream is None:
                continue
            of_links = groups_of_links(stream, dictionary, numbers)
            chosen = stream.pairs_with(of_links >= 0, longest=block - 1)
            log.info(
                "words in context, %s-%s: %s of %s sentence pairs, %s of %s links are trained entries",
                dictionary.source_language, dictionary.target_language, f"{len(chosen):,}", f"{len(stream):,}",
                f"{(of_links >= 0).sum():,}", f"{len(of_links):,}",
            )  # fmt: skip
            usable.append(np.stack([np.full(len(chosen), len(self._streams)), chosen], axis=1))
            self._streams.append(stream)
            self._groups.append(of_links)
        self._pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *usable])  # [pairs, 2] stream, number in it
        if not len(self._pairs):
            raise PrealignError(
                "init.context_sentences_per_step: no linked sentence pair is within pretrain.block_size and has a link "
                "that is a trained dictionary entry. Raise dictionary.keep_links, or set it to 0."
            )
        self._shuffled = Shuffled(len(self._pairs), draws.key(seed, "context"))

    def __call__(self, number: int) -> dict[str, Any]:
        """This rank's part of a batch: what `word_states` describes, with what rows of metrics.jsonl sum."""
        first = number * self.per_batch
        _, places = self._shuffled(np.arange(first, first + self.per_batch))
        pairs: list[tuple[int, int]] = [(stream, pair) for stream, pair in self._pairs[places].tolist()]
        links = self._drawn(number, pairs)
        mine = rows_of_step(number, self.per_batch, ranks.rank(), ranks.world_size())
        own = slice(mine.start - first, mine.stop - first)
        return self._laid_out(pairs[own], links[own])

    def _drawn(self, number: int, pairs: Sequence[tuple[int, int]]) -> list[list[Link]]:
        """The links of each sentence pair of a batch that are taken."""
        links = [(place, link) for place, pair in enumerate(pairs) for link in self._links(*pair)]
        order = np.argsort(draws.bits(draws.key(self.seed, "context links", number), len(links)), kind="stable")
        taken: list[list[Link]] = [[] for _ in pairs]
        used: set[tuple[int, ...]] = set()
        for i in order.tolist():
            place, link = links[i]
            # A token belongs to one word: of two links to it one is taken.
            marks = {(link.group,), *((place, side, start) for side, (start, _) in enumerate(link.tokens))}
            if len(taken[place]) < LINKS_PER_PAIR and used.isdisjoint(marks):
                used |= marks
                taken[place].append(link)
        return taken

    def _links(self, stream: int, pair: int) -> Iterator[Link]:
        """The links of a sentence pair that are trained entries."""
        starts = self._streams[stream].link_starts
        for i in range(starts[pair], starts[pair + 1]):
            group = int(self._groups[stream][i])
            if group >= 0:
                a, b, c, d = map(int, self._streams[stream].links[i])
                yield Link(group, ((a, b), (c, d)))

    def _laid_out(self, pairs: Sequence[tuple[int, int]], links: Sequence[Sequence[Link]]) -> dict[str, Any]:
        """Pack the sentences and mark their words."""
        sequences: list[list[int]] = []
        marks: list[NDArray[np.int64]] = []  # of each sequence, the word of every token
        groups: list[int] = []
        forms: list[int] = []
        for pair, of_pair in zip(pairs, links, strict=True):
            for side, ids in enumerate(self._streams[pair[0]].sentences(pair[1])):
                sequences.append([self.eos_id, *ids.tolist()])
                marks.append(np.full(len(sequences[-1]), -1))
                here = sorted((link.tokens[side], link.group) for link in of_pair)  # words rise from row to row
                for (start, end), group in here:
                    marks[-1][1 + start : 1 + end] = len(groups)
                    groups.append(group)
                    forms.append(draws.key(*sequences[-1][1 + start : 1 + end]) >> 1)
        packed = pack(sequences, self.pad_id, row_tokens=self.block)
        inside = packed["words"] >= 0  # pack numbers the sequences
        begins = torch.tensor([0, *np.cumsum([len(mark) for mark in marks])])[packed["words"].clamp(min=0)]
        words = torch.from_numpy(np.concatenate(marks))[begins + packed["position_ids"]]
        of_words = torch.tensor(groups, dtype=torch.int64), torch.tensor(forms, dtype=torch.int64)
        counts = Counts.of(*of_words) if groups else Counts(0, 0, 0, 0)
        return {
            **packed,
            "words": torch.where(inside, words, -1),
            "groups": of_words[0],
            "forms": of_words[1],
            "n_words": len(groups),
            "n_pairs": counts.pairs,
            "n_kept_out": counts.kept_out,
            "examples": pairs,
        }


def context_words(materials: Materials) -> ContextWords:
    """The batches of a run."""
    recipe, tokenizer = materials.recipe, materials.tokenizer
    return ContextWords(
        materials.pairs,
        [trained for trained, _ in materials.dictionaries],
        materials.word_groups,
        per_batch=recipe.init.context_sentences_per_step,
        block=recipe.pretrain.block_size,
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id or 0,
        seed=recipe.training_seed,
    )


def groups_of_links(
    stream: PairStream, dictionary: Dictionary, numbers: dict[tuple[str, str], int]
) -> NDArray[np.int64]:
    """The group of each link that is an entry of the dictionary in any spelling, -1 for others, [links].

    Args:
        numbers: (language, source word) -> number of its group.
    """
    languages = dictionary.source_language, dictionary.target_language
    group_of: dict[int, int] = {}
    for entry in dictionary.entries:
        number = numbers.get((languages[0], entry.source))
        if number is not None:  # words that the tokenizer cannot write have no group
            group_of.setdefault(words_key(entry.source, entry.target, languages), number)
    return stream.numbers_of_links(group_of)

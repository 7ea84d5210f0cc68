"""Dictionary entries as what stage 1 trains on: a source word with its translations in all languages, as token ids.

Words of all dictionaries that share a source word form one group, so that en-de and en-fr bring German and French
together by way of English. Before anything is trained, the tokenizer is looked at: words that it cannot write would
be aligned as nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prealign import files
from prealign.corpora.drops import Drops
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.word_forms import encode_words
from prealign.tokenizer.clone import BYTE_PIECE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)

MOSTLY = 0.5
"""A language with more than this share of unwritable words stops the stage; one in bytes beyond it is warned of."""


@dataclass(frozen=True)
class WordGroups:
    """The groups of a run, in the order of the dictionaries."""

    ids: list[list[list[int]]]
    """Per group its words, the source word first, each as the token ids it has in running text."""
    counts: NDArray[np.int64]
    """[groups], the sum of the counts of the source word's entries, over all dictionaries: how often it was linked with
    these translations; 0 where nobody counted."""
    sources: list[tuple[str, str]] = field(default_factory=list)
    """Language and spelling of each group's source word."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, dictionaries: Sequence[Dictionary], tokenizer: PreTrainedTokenizerFast) -> WordGroups:
        """The groups of some dictionaries. Words that the tokenizer cannot write are left out and counted, and so are
        groups whose words it all writes the same (*Berlin*, *Berlin*), which have nothing to learn.

        Raises:
            PrealignError: no entries at all, or a language of which most words cannot be written.
        """
        targets: dict[tuple[str, str], list[tuple[str, str]]] = {}  # (language, word) -> its translations, likewise
        counts: Counter[tuple[str, str]] = Counter()
        for dictionary in dictionaries:
            counted = any(entry.count > 1 for entry in dictionary.entries)
            for text, entries in dictionary.by_source().items():
                word = (dictionary.source_language, text)
                targets.setdefault(word, []).extend((dictionary.target_language, entry.target) for entry in entries)
                counts[word] += sum(entry.count for entry in entries) if counted else 0
        words = list({word for source, found in targets.items() for word in (source, *found)})
        ids = dict(zip(words, encode_words(tokenizer, [text for _, text in words]), strict=True))
        refuse_unwritable(ids, tokenizer)
        unknown = tokenizer.unk_token_id
        groups, kept, sources, drops = [], [], [], Drops()
        for source, found in targets.items():
            written = [word for word in (source, *found) if ids[word] and unknown not in ids[word]]
            if source not in written:
                drops.add("source words that the tokenizer cannot write", ": ".join(source))
                continue
            for word in found:
                if word not in written:
                    drops.add("translations that the tokenizer cannot write", ": ".join(word))
            group = [ids[word] for word in written]
            if len(group) == 1:
                drops.add("source words without a translation that the tokenizer can write", ": ".join(source))
            elif all(word == group[0] for word in group):
                drops.add("source words whose translations are all written like them", ": ".join(source))
            else:
                groups.append(group)
                kept.append(counts[source])
                sources.append(source)
        for reason, item in drops.as_dict().items():
            log.warning(
                "words to align, left out: %s %s, such as %s",
                f"{item['count']:,}", reason, ", ".join(item["samples"]),
            )  # fmt: skip
        if not groups:
            raise PrealignError(
                "init: no dictionary entries to align. Name dictionary pairs, or set init.alignment_weight to 0."
            )
        return cls(groups, np.array(kept, dtype=np.int64), sources)


def refuse_unwritable(ids: dict[tuple[str, str], list[int]], tokenizer: PreTrainedTokenizerFast) -> None:
    """Say how the tokenizer cuts each language's words, and stop where it cannot write most of them.

    Args:
        ids: (language, word) -> token ids.
    """
    by_language: dict[str, list[list[int]]] = defaultdict(list)
    for (language, _), pieces in sorted(ids.items()):
        by_language[language].append(pieces)
    byte_ids = {number for piece, number in tokenizer.get_vocab().items() if BYTE_PIECE.fullmatch(piece)}
    unknown_id, problems = tokenizer.unk_token_id, []
    for language, words in by_language.items():
        unknown = sum(not pieces or unknown_id in pieces for pieces in words) / len(words)
        n_pieces = sum(map(len, words))
        in_bytes = sum(piece in byte_ids for pieces in words for piece in pieces) / max(1, n_pieces)
        log.info(
            "%s: %s dictionary words, %.1f pieces a word, %.1f %% of the words with unknown tokens",
            language, f"{len(words):,}", n_pieces / len(words), 100 * unknown,
        )  # fmt: skip
        if unknown > MOSTLY:
            problems.append(f"{language}: {unknown:.0%} of {len(words):,} dictionary words have unknown tokens")
        elif in_bytes > MOSTLY:
            log.warning(
                "%s: %.0f %% of the pieces of its dictionary words are single bytes; the tokenizer was not made for "
                "this language, and its words will be slow to learn",
                language, 100 * in_bytes,
            )  # fmt: skip
    if problems:
        raise PrealignError.of_several(
            "The tokenizer cannot write most words of a language, so there would be nothing to align. Train a "
            "tokenizer on text of all languages (leave tokenizer.path out), or extend this one. Found:",
            problems,
        )


def write_split(folder: Path, dictionaries: Sequence[tuple[Dictionary, Dictionary]]) -> None:
    """Write which entries were trained and which held out: `<pair>/trained.tsv` and `held_out.tsv` under a folder."""
    for trained, held_out in dictionaries:
        place = folder / f"{trained.source_language}--{trained.target_language}"
        place.mkdir(parents=True, exist_ok=True)
        files.write_text(place / "trained.tsv", trained.table())
        files.write_text(place / "held_out.tsv", held_out.table())

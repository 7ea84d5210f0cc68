"""From sentence pairs to a dictionary: segment, align, count the links, keep what passes the thresholds.

The middle of `build-dict`. A corpus that fits in memory is linked as a whole (`induce`). A larger one is counted a
chunk at a time with an aligner trained on a sample of it (`count_in_chunks`), on one machine or a shard on each of
many, and the dictionary is made from what all have counted (`from_counts`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from prealign import draws
from prealign.alignment.aligners import Aligner, Learner, open_aligner
from prealign.config.dictionary import THRESHOLDS, DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.linked_pairs import LinkedPairs
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter
from prealign.dictionary.counted import Counted, read_all
from prealign.dictionary.counts import CountFolder, forms_in, linked_in, spellings
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.linked_text import Extent, count_text, folded_text
from prealign.dictionary.selection import entries_of
from prealign.errors import PrealignError

PAIRS_PER_CHUNK = 100_000


def induce(
    pairs: Iterable[SentencePair],
    source_language: str,
    target_language: str,
    settings: DictionarySettings,
    seed: int,
    drops: Drops,
    segmenters: tuple[Segmenter, Segmenter] | None = None,
    aligner: Aligner | None = None,
    links_folder: Path | None = None,
    kept: LinkedPairs | None = None,
) -> Dictionary:
    """Extract a dictionary from sentence pairs, in memory; `selection` tells which words become entries.

    Sums of weighted links are rounded where a whole number is wanted (`Entry.count`, `min_count`).

    Args:
        pairs: sentences with their translations.
        seed: chooses the sentence pairs when `max_sentence_pairs` leaves some out.
        drops: receives the links and word pairs left out, by reason.
        segmenters: how words are found, source and target; none: as suits the languages.
        aligner: what links the words; none: the one that the settings name.
        links_folder: where the links and the words they count are kept; none: nowhere.
        kept: receives the sentence pairs with their links, and keeps some.
    Returns:
        The dictionary; its card tells aligner, options, segmenters, counts and drops.
    """
    aligner = aligner or open_aligner(settings)
    segmenters = segmenters or (Segmenter(source_language), Segmenter(target_language))
    pairs = chosen(pairs, settings, seed)
    counts, extent = count_text(pairs, segmenters, aligner, settings, drops, links_folder, kept, whole=True)
    _refuse_wordless(extent, source_language, target_language)
    spelt = spellings(counts.source_forms, source_language), spellings(counts.target_forms, target_language)
    entries = entries_of(counts.linked(), *spelt, settings, drops)
    card = _made_by(aligner, segmenters, settings) | asdict(extent) | _thresholds(settings)
    return Dictionary(source_language, target_language, entries, card | {"dropped": drops.as_dict()})


def train_aligner(
    pairs: Iterable[SentencePair],
    segmenters: tuple[Segmenter, Segmenter],
    settings: DictionarySettings,
    seed: int,
    model: Path,
) -> None:
    """Train an aligner on a sample of `train_sentence_pairs` pairs, and write what it learnt to the folder `model`."""
    assert settings.train_sentence_pairs is not None
    aligner = open_aligner(settings, save=model)
    assert isinstance(aligner, Learner)  # the settings see to it
    aligner.train(folded_text(sample(pairs, settings.train_sentence_pairs, seed), segmenters))


def count_in_chunks(
    pairs: Iterable[SentencePair],
    segmenters: tuple[Segmenter, Segmenter],
    settings: DictionarySettings,
    aligner: Aligner,
    folder: Path,
    drops: Drops,
    corpora: Mapping[str, str],
    knowledge: str = "",
    shard: tuple[int, int] | None = None,
    kept: LinkedPairs | None = None,
) -> Extent:
    """Link a corpus and leave the counts in `folder`; memory does not grow with the corpus.

    Args:
        aligner: one that is trained already (`train_aligner`, `save_model`) or that learns nothing.
        folder: exists and is empty; DuckDB's Parquet files and `counted.json` are written to it.
        drops: receives links that are not counted; written to `counted.json` with what it held before.
        corpora: name -> fingerprint of the files that the pairs come from; empty where the counts are used at once.
        knowledge: what stands for the aligner's model or encoder; empty where it has none, or the counts are used at
            once.
        shard: (i, n) when the pairs are the i-th of n parts of these files.
        kept: receives the pairs with their links, and keeps some.
    """
    stream = iter(pairs)
    counts, extent = CountFolder(folder), Extent()
    while True:
        part, of_part = count_text(islice(stream, PAIRS_PER_CHUNK), segmenters, aligner, settings, drops, kept=kept)
        counts.add(part)
        extent += of_part
        if of_part.sentence_pairs < PAIRS_PER_CHUNK:
            break
    Counted(
        languages=[segmenter.language for segmenter in segmenters],
        corpora=dict(corpora),
        shard=None if shard is None else list(shard),
        knowledge=knowledge,
        made_by=_made_by(aligner, segmenters, settings),
        extent=asdict(extent),
        dropped=drops.as_dict(),
    ).write(folder)
    return extent


def from_counts(
    folders: Sequence[Path],
    source_language: str,
    target_language: str,
    settings: DictionarySettings,
    drops: Drops,
    spill: Path | None = None,
) -> Dictionary:
    """The dictionary of what was counted in one or several folders.

    Args:
        spill: folder for what does not fit in memory while the counts are added up; none: the system's.
    Raises:
        PrealignError: a folder holds no counts, or they do not add up to one corpus of these languages.
    """
    counted = read_all(folders, source_language, target_language)
    extent = sum((Extent(**one.extent) for one in counted), Extent())
    _refuse_wordless(extent, source_language, target_language)
    for one in counted:
        drops.extend(one.dropped)
    source_spellings = spellings(forms_in(folders, "source", spill), source_language)
    target_spellings = spellings(forms_in(folders, "target", spill), target_language)
    entries = entries_of(linked_in(folders, spill), source_spellings, target_spellings, settings, drops)
    card = counted[0].made_by | asdict(extent) | _thresholds(settings) | {"dropped": drops.as_dict()}
    if counted[0].corpora:
        card["corpora"] = counted[0].corpora
    if counted[0].knowledge:
        card["knowledge"] = counted[0].knowledge
    return Dictionary(source_language, target_language, entries, card)


def chosen(pairs: Iterable[SentencePair], settings: DictionarySettings, seed: int) -> Iterable[SentencePair]:
    """The pairs that are linked: all, or a sample of `max_sentence_pairs`."""
    return pairs if settings.max_sentence_pairs is None else sample(pairs, settings.max_sentence_pairs, seed)


def sample(pairs: Iterable[SentencePair], size: int, seed: int) -> Iterator[SentencePair]:
    """The `size` pairs with the smallest keyed hashes, in their order in the corpus."""
    keyed = ((draws.key(seed, "sentence pairs", place), place, pair) for place, pair in enumerate(pairs))
    return (pair for _, _, pair in sorted(heapq.nsmallest(size, keyed), key=lambda item: item[1]))


def _made_by(aligner: Aligner, segmenters: tuple[Segmenter, Segmenter], settings: DictionarySettings) -> dict[str, Any]:
    """How the links came about; the samples that were trained on or linked are told where there were any."""
    samples = {name: getattr(settings, name) for name in ("train_sentence_pairs", "max_sentence_pairs")}
    return {
        "aligner": aligner.signature(),
        "symmetrisation": None if settings.links_come_joined else settings.symmetrisation,
        "multi_word": settings.multi_word,
        "source_segmenter": segmenters[0].signature,
        "target_segmenter": segmenters[1].signature,
        **{name: size for name, size in samples.items() if size is not None},
    }


def _thresholds(settings: DictionarySettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in THRESHOLDS}


def _refuse_wordless(extent: Extent, source_language: str, target_language: str) -> None:
    if not extent.source_running_words or not extent.target_running_words:
        raise PrealignError(
            f"the parallel text {source_language}-{target_language} holds no sentence pair with words on both sides, "
            "so there is nothing to align. Check its columns and its languages."
        )

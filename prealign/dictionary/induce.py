"""From sentence pairs to a dictionary: segment, align, count the links, keep what passes the thresholds.

The middle of `build-dict`. A corpus that fits in memory is linked as a whole (`induce`). A larger one is counted a
chunk at a time with an aligner trained on a sample of it (`count_in_chunks`), on one machine or a shard on each of
many, and the dictionary is made from what all have counted (`from_counts`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from prealign import draws, files
from prealign.alignment.aligners import Aligner, open_aligner
from prealign.config.settings import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import SentencePair
from prealign.corpora.words import Segmenter
from prealign.dictionary.counts import CountFolder, forms_in, linked_in, spellings
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.linked_text import Extent, count_text
from prealign.dictionary.selection import entries_of
from prealign.errors import PrealignError

PAIRS_PER_CHUNK = 100_000
COUNTED = "counted.json"
"""File of a folder of counts that says what was counted, and how."""


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
) -> Dictionary:
    """Extract a dictionary from sentence pairs, in memory; `selection` tells which words become entries.

    Sums of weighted links are rounded where a whole number is wanted (`Entry.count`, `min_count`).

    Args:
        pairs: sentences with their translations.
        seed: chooses the sentence pairs when `max_sentence_pairs` leaves some out.
        drops: receives the word pairs left out, by reason.
        segmenters: how words are found, source and target; none: as suits the languages.
        aligner: what links the words; none: the one that the settings name.
        links_folder: where the links and the words they count are kept; none: nowhere.
    Returns:
        The dictionary; its card tells aligner, options, segmenters, counts and drops.
    """
    aligner = aligner or open_aligner(settings)
    segmenters = segmenters or (Segmenter(source_language), Segmenter(target_language))
    if settings.max_sentence_pairs is not None:
        pairs = sample(pairs, settings.max_sentence_pairs, seed)
    counts, extent = count_text(pairs, segmenters, aligner, settings, drops, links_folder)
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
    chosen = sample(pairs, settings.train_sentence_pairs, seed)
    count_text(chosen, segmenters, open_aligner(settings, save=model), settings, Drops())


def count_in_chunks(
    pairs: Iterable[SentencePair],
    segmenters: tuple[Segmenter, Segmenter],
    settings: DictionarySettings,
    model: Path,
    folder: Path,
    drops: Drops,
) -> Extent:
    """Link a corpus with a trained aligner and leave the counts in `folder`; memory does not grow with the corpus.

    Args:
        model: folder of a trained model, from `train_aligner` or `save_model`.
        folder: exists and is empty; DuckDB's Parquet files and `counted.json` are written to it.
        drops: receives sentence pairs that the aligner cannot take; written to `counted.json` with what it held before.
    """
    stream = iter(pairs)
    counts, extent = CountFolder(folder), Extent()
    while True:
        aligner = open_aligner(settings, model)
        part, of_part = count_text(islice(stream, PAIRS_PER_CHUNK), segmenters, aligner, settings, drops)
        counts.add(part)
        extent += of_part
        if of_part.sentence_pairs < PAIRS_PER_CHUNK:
            break
    made_by = _made_by(aligner, segmenters, settings)
    files.write_json(folder / COUNTED, made_by | {"extent": asdict(extent), "dropped": drops.as_dict()})
    return extent


def from_counts(
    folders: Sequence[Path], source_language: str, target_language: str, settings: DictionarySettings, drops: Drops
) -> Dictionary:
    """The dictionary of what was counted in one or several folders.

    Raises:
        PrealignError: a folder holds no counts, or they were made in different ways.
    """
    counted = [_counted(folder) for folder in folders]
    made_by = [{key: value for key, value in one.items() if key not in ("extent", "dropped")} for one in counted]
    for folder, other in zip(folders, made_by):
        if differing := [key for key in made_by[0] if other.get(key) != made_by[0][key]]:
            raise PrealignError(
                f"{folder} was counted with another {' and '.join(differing)} than {folders[0]}; counts add up only "
                "when they were made in the same way. Count one of them again."
            )
    extent = sum((Extent(**one["extent"]) for one in counted), Extent())
    _refuse_wordless(extent, source_language, target_language)
    for one in counted:
        drops.extend(one["dropped"])
    source_spellings = spellings(forms_in(folders, "source"), source_language)
    target_spellings = spellings(forms_in(folders, "target"), target_language)
    entries = entries_of(linked_in(folders), source_spellings, target_spellings, settings, drops)
    card = made_by[0] | asdict(extent) | _thresholds(settings) | {"dropped": drops.as_dict()}
    return Dictionary(source_language, target_language, entries, card)


def sample(pairs: Iterable[SentencePair], size: int, seed: int) -> Iterator[SentencePair]:
    """The `size` pairs with the smallest keyed hashes, in their order in the corpus."""
    keyed = ((draws.key(seed, "sentence pairs", place), place, pair) for place, pair in enumerate(pairs))
    return (pair for _, _, pair in sorted(heapq.nsmallest(size, keyed), key=lambda item: item[1]))


def _counted(folder: Path) -> dict[str, Any]:
    if not (folder / COUNTED).is_file():
        raise PrealignError(f"{folder} holds no counts: it has no {COUNTED}. Name folders written with --shard.")
    found: dict[str, Any] = files.read_json(folder / COUNTED)
    return found


def _made_by(aligner: Aligner, segmenters: tuple[Segmenter, Segmenter], settings: DictionarySettings) -> dict[str, Any]:
    return {
        "aligner": aligner.signature(),
        "symmetrisation": None if settings.links_come_joined else settings.symmetrisation,
        "source_segmenter": segmenters[0].signature,
        "target_segmenter": segmenters[1].signature,
    }


def _thresholds(settings: DictionarySettings) -> dict[str, Any]:
    names = ("min_count", "min_probability", "min_share_of_best", "top_k")
    return {name: getattr(settings, name) for name in names}


def _refuse_wordless(extent: Extent, source_language: str, target_language: str) -> None:
    if not extent.source_running_words or not extent.target_running_words:
        raise PrealignError(
            f"the parallel text {source_language}-{target_language} holds no sentence pair with words on both sides, "
            "so there is nothing to align. Check its columns and its languages."
        )

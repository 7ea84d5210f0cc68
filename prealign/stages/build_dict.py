"""`prealign build-dict`: parallel text in, dictionary folder out."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from prealign.config.settings import DictionaryPair, DictionarySettings, Recipe
from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.estimate import extent
from prealign.corpora.language_text import language_documents
from prealign.corpora.rejects import PER_REASON, rejects_beside
from prealign.corpora.sentence_pairs import Corpus, clone_pairs, read_pairs
from prealign.corpora.words import Segmenter
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.induce import induce
from prealign.dictionary.quality import against_mapping
from prealign.stages.layout import Layout

log = logging.getLogger(__name__)


def build_dictionaries(recipe: Recipe) -> None:
    """Make the dictionary of every pair of the recipe."""
    layout = Layout(recipe)
    for pair in recipe.dictionary.pairs:
        stage = layout.dictionary(pair)
        stage.build(partial(_build, recipe, pair, layout.corpora(pair), rejects_beside(stage.folder)))


def from_parallel_text(
    corpora: list[Corpus], pair: DictionaryPair, settings: DictionarySettings, seed: int, drops: Drops, rejects: Path
) -> Dictionary:
    """Read the corpora, and make the dictionary of their pairs."""
    log.info("%s-%s: reading %s", pair.source, pair.target, extent(corpora))
    pairs = read_pairs(corpora, pair.source, pair.target, drops, rejects, settings.strict)
    dictionary = induce(pairs, pair.source, pair.target, settings, seed, drops, _segmenters(pair))
    log.info("sentence pairs left out are shown in %s, up to %s per reason", rejects, f"{PER_REASON:,}")
    return dictionary


def _build(recipe: Recipe, pair: DictionaryPair, corpora: list[Corpus], rejects: Path, folder: Path) -> dict[str, Any]:
    drops = Drops()
    if pair.path is not None:
        dictionary = Dictionary.read(recipe.input(pair.path), pair.source, pair.target)
    elif pair.parallel:
        dictionary = from_parallel_text(corpora, pair, recipe.dictionary, recipe.seed, drops, rejects)
    else:
        dictionary = _from_clone(recipe, pair, drops)
    dictionary.write(folder)
    log.info("dictionary %s-%s: %s entries; left out: %s", pair.source, pair.target, f"{len(dictionary):,}", drops)
    return {
        "entries": len(dictionary),
        "sources": len(dictionary.by_source()),
        **{k: dictionary.card.get(k) for k in ("quality",)},
    }


def _segmenters(pair: DictionaryPair) -> tuple[Segmenter, Segmenter]:
    return Segmenter(pair.source, pair.source_segmenter), Segmenter(pair.target, pair.target_segmenter)


def _from_clone(recipe: Recipe, pair: DictionaryPair, drops: Drops) -> Dictionary:
    """Sentence pairs of English and its clone, aligned like any other pair; the known mapping is used to judge only."""
    documents = list(language_documents(recipe, pair.source, Drops()))
    pairs = list(clone_pairs(documents, recipe.dictionary.clone_sentence_pairs))
    segmenters = _segmenters(pair)
    dictionary = induce(pairs, pair.source, pair.target, recipe.dictionary, recipe.seed, drops, segmenters)
    counts = Counter(word.casefold() for sentence in pairs for word in segmenters[0].words(sentence.source))
    frequent = {word: n for word, n in counts.items() if n >= recipe.dictionary.min_count and word.isalpha()}
    quality = against_mapping(dictionary, clone, frequent)
    dictionary.card["quality"] = quality
    log.info("against the known mapping: precision %.3f, recall %.3f", quality["precision"], quality["recall"])
    return dictionary

"""`prealign build-dict`: parallel text in, dictionary folder out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prealign import __version__, files
from prealign.alignment.aligners import Aligner, open_aligner
from prealign.config.dictionary import LEARNS_NOTHING, THRESHOLDS, DictionaryPair, DictionarySettings
from prealign.config.settings import Recipe
from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.estimate import extent
from prealign.corpora.language_text import language_documents
from prealign.corpora.linked_pairs import LINKED_PAIRS_FILE, LinkedPairs
from prealign.corpora.rejects import PER_REASON, rejects_beside
from prealign.corpora.sentence_pairs import Corpus, SentencePair, clone_pairs, read_pairs
from prealign.corpora.words import Segmenter
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.induce import chosen, count_in_chunks, from_counts, induce, train_aligner
from prealign.dictionary.quality import against_mapping
from prealign.errors import PrealignError
from prealign.stages.layout import Layout

log = logging.getLogger(__name__)

LINKS = "links"
MODEL = "aligner"
"""Folders beside the entries, for what `save_links` and `save_model` keep."""


def build_dictionaries(recipe: Recipe) -> None:
    """Make the dictionary of every pair of the recipe."""
    layout = Layout(recipe)
    for pair in recipe.dictionary.pairs:
        stage = layout.dictionary(pair)
        stage.build(partial(_build, recipe, pair, layout.corpora(pair), rejects_beside(stage.folder), stage.inputs))


def from_parallel_text(
    corpora: list[Corpus],
    pair: DictionaryPair,
    settings: DictionarySettings,
    seed: int,
    drops: Drops,
    rejects: Path,
    beside: Path,
) -> Dictionary:
    """Read the corpora, and make the dictionary of their pairs; links and model are kept in `beside` if asked for."""

    def read(left_out: Drops) -> Iterator[SentencePair]:
        return read_pairs(corpora, pair.source, pair.target, left_out, rejects, settings.strict)

    aligner = _aligner(pair, settings, beside)
    log.info("%s-%s: reading %s; aligner: %s", pair.source, pair.target, extent(corpora), aligner.name)
    dictionary = _extracted(read, aligner, pair, settings, seed, drops, beside)
    log.info("sentence pairs left out are shown in %s, up to %s per reason", rejects, f"{PER_REASON:,}")
    return dictionary


def _extracted(
    read: Callable[[Drops], Iterable[SentencePair]],
    aligner: Aligner,
    pair: DictionaryPair,
    settings: DictionarySettings,
    seed: int,
    drops: Drops,
    beside: Path,
) -> Dictionary:
    """Train the aligner if need be, link the pairs as a whole or a chunk at a time, and choose the entries.

    Args:
        read: gives the sentence pairs from the beginning, and tells what it leaves out.
        aligner: from `_aligner`.
    """
    both = segmenters(pair)
    kept = LinkedPairs(settings.keep_links, seed, both) if settings.keep_links else None
    on_a_sample = settings.train_sentence_pairs is not None
    with TemporaryDirectory(dir=beside.parent) as name:
        scratch = Path(name)
        if on_a_sample:
            log.info("training the aligner on up to %s sentence pairs", f"{settings.train_sentence_pairs:,}")
            model = (beside if settings.save_model else scratch) / MODEL
            train_aligner(read(Drops()), both, settings, seed, model)
            aligner = open_aligner(settings, model)
        is_ready = on_a_sample or pair.model is not None or settings.aligner in LEARNS_NOTHING
        if settings.save_links or not is_ready:
            links = beside / LINKS if settings.save_links else None
            dictionary = induce(
                read(drops), pair.source, pair.target, settings, seed, drops, both, aligner, links, kept
            )
        else:
            of_chunks = Drops()
            counts = scratch / "counts"
            counts.mkdir()
            pairs = chosen(read(of_chunks), settings, seed)
            count_in_chunks(pairs, both, settings, aligner, counts, of_chunks, {}, kept=kept)
            dictionary = from_counts([counts], pair.source, pair.target, settings, drops, spill=scratch)
    if kept is not None:
        kept.write(beside / LINKED_PAIRS_FILE)
    if known := knowledge(pair.model, settings.encoder):
        dictionary.card["knowledge"] = known
    return dictionary


def knowledge(model: str | Path | None, encoder: str | None) -> str:
    """What stands for an aligner's trained model or encoder: a fingerprint, or its name on the hub; "" for none."""
    known = model or encoder
    return "" if known is None else files.fingerprint(Path(known)) if Path(known).exists() else str(known)


@contextmanager
def kept_beside(folder: Path) -> Iterator[Path]:
    """A folder for what stands beside the entries. It moves in at the end: writing a dictionary replaces its folder."""
    with TemporaryDirectory(dir=folder.parent) as name:
        yield Path(name)
        for made in Path(name).iterdir():
            made.rename(folder / made.name)


def _build(
    recipe: Recipe,
    pair: DictionaryPair,
    corpora: list[Corpus],
    rejects: Path,
    inputs: Mapping[str, str],
    folder: Path,
) -> dict[str, Any]:
    drops = Drops()
    settings = recipe.dictionary
    if settings.encoder is not None:
        settings = settings.model_copy(update={"encoder": str(recipe.input(settings.encoder))})
    if pair.model is not None:
        pair = pair.model_copy(update={"model": str(recipe.input(pair.model))})
    with kept_beside(folder) as beside:
        if pair.path is not None:
            dictionary = Dictionary.read(recipe.input(pair.path), pair.source, pair.target)
        elif pair.parallel:
            dictionary = from_parallel_text(corpora, pair, settings, recipe.seed, drops, rejects, beside)
            dictionary.card |= _origin(pair, inputs)
        else:
            dictionary = _from_clone(recipe, pair, settings, drops, beside)
        refuse_empty(dictionary)
        dictionary.write(folder)
    log.info("dictionary %s-%s: %s entries; left out: %s", pair.source, pair.target, f"{len(dictionary):,}", drops)
    return {
        "entries": len(dictionary),
        "sources": len(dictionary.by_source()),
        **{k: dictionary.card.get(k) for k in ("quality",)},
    }


def refuse_empty(dictionary: Dictionary) -> None:
    """A dictionary without entries is of no use to any later stage; the sentence tells what left them out."""
    if dictionary.entries:
        return
    card, languages = dictionary.card, f"{dictionary.source_language}-{dictionary.target_language}"
    if not card.keys() >= {"sentence_pairs", "links", "dropped", *THRESHOLDS}:  # not extracted from text here
        raise PrealignError(f"The dictionary {languages} has no entries.")
    limits = ", ".join(f"{name} {card[name]}" for name in THRESHOLDS)
    left_out = ", ".join(f"{found['count']:,} {reason}" for reason, found in card["dropped"].items()) or "nothing"
    raise PrealignError(
        f"No entry {languages} is left of {card['sentence_pairs']:,} sentence pairs and {card['links']:,} links with "
        f"{limits}. Left out: {left_out}. Lower the thresholds, or give more text."
    )


def _origin(pair: DictionaryPair, inputs: Mapping[str, str]) -> dict[str, Any]:
    """What a card says of the parallel text: files with fingerprints, licences, whom to name."""
    licences = [text.licence for text in pair.parallel]
    told = {
        "corpora": dict(inputs),
        "attribution": list(dict.fromkeys(text.attribution for text in pair.parallel if text.attribution)),
    }
    return told | made_now() | ({"licence": "; ".join(dict.fromkeys(licences))} if all(licences) else {})


def made_now() -> dict[str, str]:
    """When and with which version a dictionary was made, for its card."""
    return {"date": date.today().isoformat(), "prealign": __version__}


def _aligner(pair: DictionaryPair, settings: DictionarySettings, beside: Path) -> Aligner:
    """The aligner, before any long work: with the model given, or to be trained on the whole or on a sample."""
    model = None if pair.model is None else Path(pair.model)
    saves = settings.save_model and settings.train_sentence_pairs is None  # what a sample teaches is saved after it
    return open_aligner(settings, model, beside / MODEL if saves else None)


def segmenters(pair: DictionaryPair) -> tuple[Segmenter, Segmenter]:
    return Segmenter(pair.source, pair.source_segmenter), Segmenter(pair.target, pair.target_segmenter)


def _from_clone(
    recipe: Recipe, pair: DictionaryPair, settings: DictionarySettings, drops: Drops, beside: Path
) -> Dictionary:
    """Sentence pairs of English and its clone, aligned like any other pair; the known mapping is used to judge only."""
    aligner = _aligner(pair, settings, beside)
    documents = list(language_documents(recipe, pair.source, Drops()))
    pairs = list(clone_pairs(documents, settings.clone_sentence_pairs))
    dictionary = _extracted(lambda _: pairs, aligner, pair, settings, recipe.seed, drops, beside)
    segmenter, _ = segmenters(pair)
    counts = Counter(word.casefold() for sentence in pairs for word in segmenter.words(sentence.source))
    frequent = {word: n for word, n in counts.items() if n >= settings.min_count and word.isalpha()}
    quality = against_mapping(dictionary, clone, frequent)
    dictionary.card["quality"] = quality
    log.info("against the known mapping: precision %.3f, recall %.3f", quality["precision"], quality["recall"])
    return dictionary

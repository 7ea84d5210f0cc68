"""Sentence pairs to train on: parallel text or cloned sentences in, a pair store without links out. CPU only.

Sentences that models are tested on must not be among them. A pair goes if one of its sides is, letter for letter, a
sentence of that language in any set of `eval.sentences`; of cloned languages, sentences come from the documents that
are not held out for validation.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign.config.settings import Recipe
from prealign.config.translations import TranslationPair
from prealign.corpora.drops import Drops
from prealign.corpora.encoded_pairs import encode_pairs
from prealign.corpora.language_text import language_documents
from prealign.corpora.linked_pairs import LinkedPair
from prealign.corpora.pair_store import write_pairs
from prealign.corpora.sentence_pairs import SentencePair, clone_pairs, read_pairs
from prealign.corpora.store import TokenStore
from prealign.corpora.store_writer import is_validation
from prealign.dictionary.induce import sample
from prealign.errors import PrealignError
from prealign.log import progress
from prealign.stages.layout import Layout
from prealign.stages.sentence_sets import sentences_of
from prealign.tokenizer.load import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)


def make_translations(recipe: Recipe) -> None:
    """Tokenise the sentence pairs that arms are trained on, if there are such arms."""
    layout = Layout(recipe)
    if recipe.reads_translations:
        layout.translations.build(lambda folder: _make(recipe, layout, folder))


def _make(recipe: Recipe, layout: Layout, folder: Path) -> dict[str, Any]:
    layout.tokenizer.require("prealign tokenizer RECIPE")
    tokenizer = load_tokenizer(layout.tokenizer.folder)
    tested = sentences_under_test(recipe, layout, tokenizer)
    drops = {f"{pair.source}--{pair.target}": Drops() for pair in recipe.translations.pairs}
    found = {
        (pair.source, pair.target): encode_pairs(
            map(_without_links, _chosen(recipe, layout, pair, tested, drops[f"{pair.source}--{pair.target}"])),
            tokenizer,
            (pair.source, pair.target),
            Drops(),
            tokenizer.unk_token_id,
        )
        for pair in recipe.translations.pairs
    }
    summary = write_pairs(folder, found, tokenizer)
    for name, counts in summary["languages"].items():
        log.info("translations %s: %s sentence pairs; left out: %s", name, f"{counts['pairs']:,}", drops[name])
        if not counts["pairs"]:
            raise PrealignError(f"translations.pairs, {name}: no sentence pair is left. Left out: {drops[name]}.")
    return {"languages": summary["languages"], "left_out": {name: left.as_dict() for name, left in drops.items()}}


def _chosen(
    recipe: Recipe, layout: Layout, pair: TranslationPair, tested: dict[str, set[str]], drops: Drops
) -> Iterator[SentencePair]:
    """The sentence pairs of two languages that are trained on."""
    if pair.parallel:
        read: Iterable[SentencePair] = read_pairs(layout.corpora(pair), pair.source, pair.target, drops)
    else:
        share, seed = recipe.store.validation_share, recipe.seed
        documents = language_documents(recipe, pair.source, Drops())
        read = clone_pairs((text for text in documents if not is_validation(text, share, seed)), sys.maxsize)
    usable = without_tested(progress(read, f"reading {pair.source}-{pair.target}", unit="pairs"), pair, tested, drops)
    most = recipe.translations.max_sentence_pairs
    return iter(usable) if most is None else sample(usable, most, recipe.seed)


def sentences_under_test(recipe: Recipe, layout: Layout, tokenizer: PreTrainedTokenizerFast) -> dict[str, set[str]]:
    """The sentences of all sets of `eval.sentences`, by language."""

    def store() -> TokenStore:
        layout.store.require("prealign prepare RECIPE")
        return TokenStore(layout.store.folder)

    found: dict[str, set[str]] = {}
    for item in recipe.eval.sentences:
        for source, target in sentences_of(item, recipe, store, tokenizer):
            found.setdefault(item.source, set()).add(source.strip())
            found.setdefault(item.target, set()).add(target.strip())
    return found


def without_tested(
    pairs: Iterable[SentencePair], languages: TranslationPair, tested: dict[str, set[str]], drops: Drops
) -> Iterator[SentencePair]:
    """The pairs that share no sentence with a test."""
    sources, targets = (tested.get(code, set()) for code in (languages.source, languages.target))
    for pair in pairs:
        if pair.source in sources or pair.target in targets:
            drops.add("pairs with a sentence of a test", f"{pair.source} | {pair.target}")
        else:
            yield pair


def _without_links(pair: SentencePair) -> LinkedPair:
    return LinkedPair(pair.source, pair.target, [], [], [])

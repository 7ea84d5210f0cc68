"""`prealign tokenizer` and `prealign prepare`: corpora in, a tokenizer and a store of token ids out. CPU only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.settings import Recipe
from prealign.corpora.drops import Drops
from prealign.corpora.encoded_pairs import encode_pairs
from prealign.corpora.knowledge import statements
from prealign.corpora.language_text import language_documents, n_bytes
from prealign.corpora.linked_pairs import LINKED_PAIRS_FILE, read_linked_pairs
from prealign.corpora.pair_store import write_pairs
from prealign.corpora.store_writer import has_progress, write_store
from prealign.log import progress
from prealign.stages.layout import Layout
from prealign.tokenizer.clone import double_tokenizer
from prealign.tokenizer.coverage import coverage
from prealign.tokenizer.extend import extend_tokenizer
from prealign.tokenizer.load import load_tokenizer
from prealign.tokenizer.train import MASK, sample_documents, train_tokenizer

log = logging.getLogger(__name__)

COVERAGE_SAMPLE = 2_000
EXTENSION_SAMPLE = 20_000
"""Documents of each language that an extension is learned on: some hundred megabytes in memory, minutes of work."""


def make_tokenizer(recipe: Recipe) -> None:
    """Train the shared tokenizer, or take an existing one, and give cloned languages their twins."""
    Layout(recipe).tokenizer.build(lambda folder: _make_tokenizer(recipe, folder))


def _make_tokenizer(recipe: Recipe, folder: Path) -> dict[str, Any]:
    cloned = [code for code, language in recipe.languages.items() if language.clone_of is not None]
    plain = files.partial_of(folder / "plain") if cloned else folder
    if recipe.tokenizer.path is not None:
        load_tokenizer(recipe.model_place(recipe.tokenizer.path)).save_pretrained(plain)
        if recipe.tokenizer.extend_to is not None:
            _give_mask(recipe, plain)  # first, so that ids behind the old ones are new pieces and nothing else
            _extend(recipe, plain, recipe.tokenizer.extend_to)
    else:
        natural = [code for code in recipe.languages if code not in cloned]
        documents = {code: language_documents(recipe, code, Drops()) for code in natural}
        train_tokenizer(sample_documents(documents, recipe.tokenizer.max_sentences), recipe.tokenizer, plain)
    if cloned:
        double_tokenizer(plain, folder)
        files.remove(plain)
    _give_mask(recipe, folder)
    tokenizer = load_tokenizer(folder)
    found = {}
    for code in recipe.languages:
        sample = islice(language_documents(recipe, code, Drops()), COVERAGE_SAMPLE)
        found[code] = coverage(tokenizer, sample, code)
        log.info(
            "tokenizer on %s: %s",
            code,
            ", ".join(f"{k} {v:.3f}" for k, v in found[code].items() if isinstance(v, float)),
        )
    return {"vocabulary": len(tokenizer), "coverage": found}


def _give_mask(recipe: Recipe, folder: Path) -> None:
    """Add a mask token to the tokenizer in `folder`, if the recipe's model needs one that is not there."""
    tokenizer = load_tokenizer(folder)
    if recipe.model.kind == "masked_lm" and tokenizer.mask_token is None:
        tokenizer.add_special_tokens({"mask_token": MASK})
        tokenizer.save_pretrained(folder)


def _extend(recipe: Recipe, folder: Path, vocab_size: int) -> None:
    """Give the tokenizer in `folder` pieces for new languages, in place."""
    texts = {
        code: list(sample_documents({code: language_documents(recipe, code, Drops())}, EXTENSION_SAMPLE))
        for code in recipe.languages
    }
    new = {code: documents for code, documents in texts.items() if code in recipe.tokenizer.extend_for}
    kept = {code: documents for code, documents in texts.items() if code not in new}
    told = extend_tokenizer(folder, folder, new, kept, vocab_size)
    log.info("tokenizer: %s characters and %s longer pieces are new", f"{told['characters']:,}", f"{told['pieces']:,}")
    for code, found in told["languages"].items():
        log.info(
            "tokenizer on %s: %.3f tokens per word, %.3f before; %.2f%% of the words hold a new piece",
            code, found["tokens_per_word"], found["tokens_per_word_before"], 100 * found["new_pieces_per_word"],
        )  # fmt: skip


def make_pairs(recipe: Recipe) -> None:
    """Tokenise the linked sentence pairs that the dictionaries keep, if words are to be read in context."""
    layout = Layout(recipe)
    if recipe.reads_sentences:
        for pair in recipe.dictionary.pairs:
            layout.dictionary(pair).require("prealign build-dict RECIPE")
        layout.pairs.build(lambda folder: _make_pairs(recipe, layout, folder))


def _make_pairs(recipe: Recipe, layout: Layout, folder: Path) -> dict[str, Any]:
    tokenizer = load_tokenizer(layout.tokenizer.folder)
    drops = Drops()
    found = {}
    for pair in recipe.dictionary.pairs:
        file = layout.dictionary(pair).folder / LINKED_PAIRS_FILE
        if file.is_file():  # an imported dictionary has no sentences
            languages, linked = (pair.source, pair.target), read_linked_pairs(file)
            found[languages] = encode_pairs(linked, tokenizer, languages, drops, tokenizer.unk_token_id)
    summary = write_pairs(folder, found, tokenizer)
    for name, counts in summary["languages"].items():
        log.info("pairs %s: %s sentence pairs, %s links", name, f"{counts['pairs']:,}", f"{counts['links']:,}")
    log.info("pairs: left out: %s", drops)
    return {"languages": summary["languages"], "left_out": drops.as_dict()}


def make_store(recipe: Recipe) -> None:
    """Tokenise the running text of every language into a memory-mapped store; an interrupted one is gone on with."""
    layout = Layout(recipe)
    layout.tokenizer.require("prealign tokenizer RECIPE")
    if not layout.store.is_reused():
        with layout.store.locked():
            layout.store.build(lambda folder: _make_store(recipe, layout, folder), worth_keeping=has_progress)


def _make_store(recipe: Recipe, layout: Layout, folder: Path) -> dict[str, Any]:
    if has_progress(folder):
        log.info("store: going on with %s; its text is read again, but not tokenised again", folder)

    def documents(code: str, drops: Drops) -> Iterator[tuple[str, int]]:
        for text in progress(language_documents(recipe, code, drops), f"tokenising {code}", unit="documents"):
            yield text, n_bytes(recipe, code, text)

    summary = write_store(
        folder,
        {code: partial(documents, code) for code in recipe.languages},
        load_tokenizer(layout.tokenizer.folder),
        validation_share=recipe.store.validation_share,
        seed=recipe.seed,
        workers=recipe.store.workers,
        training_only=_invented(recipe),
    )
    for code, reasons in summary["left_out"].items():
        counter = Drops()
        counter.extend(reasons)
        log.info("store %s: left out: %s", code, counter)
    _tell_of_facts(recipe, summary)
    return summary


def _invented(recipe: Recipe) -> dict[str, Callable[[], Iterator[str]]]:
    """The sentences that state invented facts, under their language; empty where the recipe has none."""
    code = recipe.knowledge.language
    return {} if code is None else {code: partial(statements, recipe)}


def _tell_of_facts(recipe: Recipe, summary: dict[str, Any]) -> None:
    code = recipe.knowledge.language
    if code is not None:
        sizes = [len(text.encode()) for text in statements(recipe)]
        share = sum(sizes) / summary["languages"][code]["train"]["bytes"]
        told = "store %s: %s sentences of invented facts, %.1f%% of its training text"
        log.info(told, code, f"{len(sizes):,}", 100 * share)

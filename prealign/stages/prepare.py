"""`prealign tokenizer` and `prealign prepare`: corpora in, a tokenizer and a store of token ids out. CPU only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.settings import Recipe
from prealign.corpora.drops import Drops
from prealign.corpora.language_text import language_documents, n_bytes
from prealign.corpora.store import write_store
from prealign.log import progress
from prealign.stages.layout import Layout
from prealign.tokenizer.clone import double_tokenizer
from prealign.tokenizer.coverage import coverage
from prealign.tokenizer.load import load_tokenizer
from prealign.tokenizer.train import sample_documents, train_tokenizer

log = logging.getLogger(__name__)

COVERAGE_SAMPLE = 2_000


def make_tokenizer(recipe: Recipe) -> None:
    """Train the shared tokenizer, or take an existing one, and give cloned languages their twins."""
    Layout(recipe).tokenizer.build(lambda folder: _make_tokenizer(recipe, folder))


def _make_tokenizer(recipe: Recipe, folder: Path) -> dict[str, Any]:
    cloned = [code for code, language in recipe.languages.items() if language.clone_of is not None]
    plain = files.partial_of(folder / "plain") if cloned else folder
    if recipe.tokenizer.path is not None:
        load_tokenizer(recipe.input(recipe.tokenizer.path)).save_pretrained(plain)
    else:
        natural = [code for code in recipe.languages if code not in cloned]
        documents = {code: language_documents(recipe, code, Drops()) for code in natural}
        train_tokenizer(sample_documents(documents, recipe.tokenizer.max_sentences), recipe.tokenizer, plain)
    if cloned:
        double_tokenizer(plain, folder)
        files.remove(plain)
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


def make_store(recipe: Recipe) -> None:
    """Tokenise the running text of every language into memory-mapped shards."""
    layout = Layout(recipe)
    layout.tokenizer.require("prealign tokenizer RECIPE")
    layout.store.build(lambda folder: _make_store(recipe, layout, folder))


def _make_store(recipe: Recipe, layout: Layout, folder: Path) -> dict[str, Any]:
    drops = {code: Drops() for code in recipe.languages}

    def documents(code: str) -> Iterator[tuple[str, int]]:
        for text in progress(language_documents(recipe, code, drops[code]), f"tokenising {code}", unit="documents"):
            yield text, n_bytes(recipe, code, text)

    summary = write_store(
        folder,
        {code: documents(code) for code in recipe.languages},
        load_tokenizer(layout.tokenizer.folder),
        validation_share=recipe.store.validation_share,
        seed=recipe.seed,
    )
    for code, counter in drops.items():
        log.info("store %s: left out: %s", code, counter)
    return {**summary, "left_out": {code: counter.as_dict() for code, counter in drops.items()}}

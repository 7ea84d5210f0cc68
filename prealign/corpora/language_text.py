"""The running text of one language of a recipe, as a stream of documents.

Sources in the recipe's order, then: exact duplicates dropped, documents for a cloned language taken out (their clone
is that language's text), and the rest limited to `max_bytes`. Which documents are taken is decided by keyed hashes of
their text, so it depends on no order and no machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from prealign import draws
from prealign.config.fields import PYTHON_DOCS
from prealign.config.settings import Recipe
from prealign.corpora.clone import clone, has_clone_characters
from prealign.corpora.document_formats import read_documents
from prealign.corpora.drops import Drops
from prealign.corpora.fingerprints import Fingerprints
from prealign.corpora.python_docs import python_documents
from prealign.errors import PrealignError

BINS = 1 << 16
"""Resolution of the cut by size: what is kept falls short of `max_bytes` by 1/65,536 of the corpus or a document."""


def language_documents(recipe: Recipe, code: str, drops: Drops) -> Iterator[str]:
    """Yield the documents of language `code`; what is left out is counted in `drops`.

    Streams; the memory that grows is 12 to 24 bytes per distinct document, for finding duplicates. With `max_bytes` the
    sources are read twice.

    Raises:
        PrealignError: a source is missing, damaged or not text; `max_bytes` is smaller than any document.
    """
    limit = recipe.languages[code].max_bytes
    threshold = 1.0 if limit is None else _threshold(recipe, code, limit)
    for text in _before_limit(recipe, code, drops):
        if threshold < 1.0 and _limit_draw(recipe, code, text) >= threshold:
            drops.add("documents beyond max_bytes", text)
        else:
            yield text


def n_bytes(recipe: Recipe, code: str, text: str) -> int:
    """UTF-8 bytes of a document; of its original for a cloned language, so that bits per byte compare."""
    return len((text if recipe.languages[code].clone_of is None else clone(text)).encode())


def _before_limit(recipe: Recipe, code: str, drops: Drops) -> Iterator[str]:
    """Documents of a language without regard to `max_bytes`."""
    origin = recipe.languages[code].clone_of
    if origin is not None:
        for text, owner in _with_owner(recipe, origin, drops):
            if owner == code:
                yield clone(text)
        return
    for text, owner in _with_owner(recipe, code, drops):
        if owner == code:
            yield text
        else:
            drops.add(f"documents given to {owner}", text)


def _with_owner(recipe: Recipe, code: str, drops: Drops) -> Iterator[tuple[str, str]]:
    """Documents of a natural language, each with the language that gets it: itself or one of its clones."""
    clones = [other for other, language in recipe.languages.items() if language.clone_of == code]
    for text in _distinct(recipe, code, drops):
        if clones and has_clone_characters(text):
            drops.add("documents with characters of the clone's alphabet", text)
            continue
        owner = code
        for other in clones:
            if draws.uniform(recipe.seed, "clone", other, text) < recipe.languages[other].clone_document_share:
                owner = other
                break
        yield text, owner


def _distinct(recipe: Recipe, code: str, drops: Drops) -> Iterator[str]:
    """All documents of the sources, exact duplicates (white space folded) dropped if the recipe says so."""
    seen = Fingerprints()
    for text in _sources(recipe, code, drops):
        if recipe.store.deduplicate and not seen.add(" ".join(text.split()).encode()):
            drops.add("duplicate documents", text)
        else:
            yield text


def _sources(recipe: Recipe, code: str, drops: Drops) -> Iterator[str]:
    language = recipe.languages[code]
    for source in language.text:
        if source == PYTHON_DOCS:
            yield from python_documents()
        else:
            place = recipe.input(source)
            yield from read_documents(place, drops, separator=language.documents, text_field=language.text_field)


def _threshold(recipe: Recipe, code: str, limit: int) -> float:
    """The largest bin border so that documents whose draw lies below it have at most `limit` bytes together."""
    sizes = np.zeros(BINS, dtype=np.int64)  # bytes per bin of draws
    for text in _before_limit(recipe, code, Drops()):
        sizes[int(_limit_draw(recipe, code, text) * BINS)] += n_bytes(recipe, code, text)
    total = np.cumsum(sizes)
    if total[-1] <= limit:
        return 1.0
    kept = int(np.searchsorted(total, limit, side="right"))  # bins that fit
    if kept == 0 or total[kept - 1] == 0:
        raise PrealignError(
            f"languages.{code}.max_bytes is {limit:,}, and no document fits into it (its documents have "
            f"{int(total[-1]):,} bytes together). Raise max_bytes."
        )
    return kept / BINS


def _limit_draw(recipe: Recipe, code: str, text: str) -> float:
    return draws.uniform(recipe.seed, "max_bytes", code, text)

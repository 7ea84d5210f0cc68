"""The sentence pairs of a test set: those of a file, or validation sentences of a language and the same cloned.

Read where models are measured, and where sentence pairs for training are chosen, which must not hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prealign.config.evaluation import SentenceSet
from prealign.config.settings import Recipe
from prealign.corpora.documents import read_lines
from prealign.corpora.store import TokenStore
from prealign.errors import PrealignError
from prealign.stages.cloned_sentences import cloned_sentences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def sentences_of(
    item: SentenceSet, recipe: Recipe, store: Callable[[], TokenStore], tokenizer: PreTrainedTokenizerFast
) -> list[tuple[str, str]]:
    """All sentence pairs of a set.

    Args:
        store: opens the store of running text; asked for a set without a file.
    """
    if item.path is not None:
        return sentence_pairs(recipe.input(item.path), item.source, item.target)
    validation = store().stream(item.source, "validation")
    return cloned_sentences(validation, tokenizer, item.source, recipe.eval.max_sentences)


def sentence_pairs(path: Path, source: str, target: str) -> list[tuple[str, str]]:
    """The sentence pairs of a test set; every line counts, so a line without two columns is refused."""
    pairs = []
    for number, line in read_lines(path):
        columns = line.split("\t")
        if len(columns) < 2 or not columns[0].strip() or not columns[1].strip():
            raise PrealignError(f"{path}:{number}: a sentence test needs two columns, {source} and {target}.")
        pairs.append((columns[0], columns[1]))
    return pairs

"""Settings of the evaluation: test sets and sizes."""

from __future__ import annotations

from prealign.config.fields import Count, InputPath, Settings


class RetrievalSet(Settings):
    """A file of pairs for an outside test of retrieval."""

    name: str
    """Short name for tables."""
    source: str
    """BCP 47 code of the first column."""
    target: str
    """BCP 47 code of the second column."""
    path: InputPath
    """TSV: source, target; several lines per source allowed for words."""


class EvalSettings(Settings):
    """What the trained models are measured on."""

    word_retrieval: bool = True
    """Retrieval of translations among held-out and trained dictionary words, per layer."""
    max_words: Count = 1000
    """At most this many source words per retrieval test."""
    gold_dictionaries: list[RetrievalSet] = []
    """Outside dictionaries for word retrieval and for the quality of the extracted entries."""
    sentences: list[RetrievalSet] = []
    """Translated sentence pairs for sentence retrieval, per layer."""
    batch_size: Count = 16
    """Rows per forward pass; larger ones were slower on two CPU cores, a GPU likes 64 and more."""

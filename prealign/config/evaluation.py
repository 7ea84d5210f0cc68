"""Settings of the evaluation: test sets and sizes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import field_validator

from prealign.config.fields import Count, InputPath, Settings

OWN_TESTS = ("held_out", "trained")


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

    @field_validator("gold_dictionaries", "sentences")
    @classmethod
    def _named_apart(cls, sets: Sequence[RetrievalSet]) -> Sequence[RetrievalSet]:
        """Results are kept by language pair and name; the run's own tests have names as well."""
        seen = set()
        for item in sets:
            if item.name in OWN_TESTS:
                raise ValueError(
                    f"{item.name} is the name of a test on the run's own dictionary; give the file at {item.path} "
                    "another name"
                )
            if (item.name, item.source, item.target) in seen:
                raise ValueError(
                    f"two test sets from {item.source} to {item.target} are named {item.name}; name them apart"
                )
            seen.add((item.name, item.source, item.target))
        return sets

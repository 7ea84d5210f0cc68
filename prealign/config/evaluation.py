"""Settings of the evaluation: test sets and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from prealign.config.fields import Count, InputPath, Settings
from prealign.config.lm_eval import LmEvalSettings
from prealign.config.transfer import TransferSet

OWN_TESTS = ("held_out", "trained")


class NamedPair(Settings):
    """A test of retrieval between two languages."""

    name: str
    """Short name for tables."""
    source: str
    """BCP 47 code of the first column."""
    target: str
    """BCP 47 code of the second column."""


class RetrievalSet(NamedPair):
    """An outside dictionary."""

    path: InputPath
    """TSV: source, target; several lines per source allowed."""


class SentenceSet(NamedPair):
    """Translated sentences."""

    path: InputPath | None = None
    """TSV: source, target. None, for a language and its clone: validation sentences and the same cloned."""


class EvalSettings(Settings):
    """What the trained models are measured on."""

    word_retrieval: bool = True
    """Retrieval of translations among held-out and trained dictionary words, per layer."""
    max_words: Count = 1000
    """At most this many source words per retrieval test."""
    gold_dictionaries: list[RetrievalSet] = []
    """Outside dictionaries for word retrieval and for the quality of the extracted entries."""
    sentences: list[SentenceSet] = []
    """Translated sentence pairs for sentence retrieval, per layer."""
    max_sentences: Count = 1000
    """At most this many pairs per set of sentences, chosen by hash; scores fall as more are compared."""
    context_sentences: Annotated[int, Field(ge=0)] = 0
    """Linked sentence pairs per language pair in which words are retrieved in context, held-out and trained ones in as
    many each; needs `dictionary.keep_links`. 0: words alone only."""
    transfer: list[TransferSet] = []
    """Zero-shot transfer: classifiers fine-tuned in one language and tested in the others."""
    lm_eval: LmEvalSettings = LmEvalSettings()
    batch_size: Count = 16
    """Rows of `pretrain.block_size` tokens per forward pass: documents, sentences and questions go together until they
    fill them. Words alone are read in so many rows of 64 tokens; lm-evaluation-harness takes so many of its requests.
    Larger ones were slower on two CPU cores, a GPU likes 64 and more."""

    @field_validator("gold_dictionaries", "sentences")
    @classmethod
    def _named_apart(cls, sets: Sequence[NamedPair]) -> Sequence[NamedPair]:
        """Results are kept by language pair and name; the run's own tests have names as well."""
        seen = set()
        for item in sets:
            if item.name in OWN_TESTS:
                raise ValueError(
                    f"{item.name} is the name of a test on the run's own dictionary; give the set from {item.source} "
                    f"to {item.target} another name"
                )
            if (item.name, item.source, item.target) in seen:
                raise ValueError(
                    f"two test sets from {item.source} to {item.target} are named {item.name}; name them apart"
                )
            seen.add((item.name, item.source, item.target))
        return sets

    @field_validator("transfer")
    @classmethod
    def _transfer_named_apart(cls, sets: list[TransferSet]) -> list[TransferSet]:
        names = [item.name.replace(" ", "-") for item in sets]  # as the files of their results are named
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two transfer sets are named {repeated[0]}, blanks written as dashes; name them apart")
        return sets

"""The flags of `prealign dictionary`: one class per sub-command.

`--help` is made from them, so this module loads little more than the command-line parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import Field
from tyro.conf import Positional, subcommand

from prealign.config.dictionary import AlignerName
from prealign.config.fields import Count, Share


@dataclass(frozen=True, kw_only=True)
class _Languages:
    source: str = ""
    """BCP 47 code of the source language, where neither card nor file name ("muse.en-de.txt") tells it."""
    target: str = ""
    """BCP 47 code of the target language."""


@dataclass(frozen=True, kw_only=True)
class _OneDictionary(_Languages):
    dictionary: Positional[Path]
    """Folder, or a file in any format that can be read."""


@dataclass(frozen=True, kw_only=True)
class Show(_OneDictionary):
    """What a dictionary is: its card, its sizes, its most frequent entries, or the entries of given words."""

    words: Positional[tuple[str, ...]] = ()
    """Source words to look up, without regard to case; put several-word entries in quotes."""
    top: Count = 10
    """Entries to show when no words are given."""


@dataclass(frozen=True, kw_only=True)
class Coverage(_OneDictionary):
    """How much of a text a dictionary covers: share of running words, by frequency, and the top missing words."""

    text: Path
    """Running text: .txt (a document per line) or .jsonl (a "text" field), compressed or not."""
    language: str = ""
    """Language of the text, one of the dictionary's two; none: its source language."""


@dataclass(frozen=True, kw_only=True)
class Merge(_Languages):
    """The union of dictionaries of the same two languages; the first have the say in spelling."""

    dictionaries: Positional[tuple[Path, ...]]
    """Two or more folders or files."""
    output: Path
    """Folder to write."""


@dataclass(frozen=True, kw_only=True)
class Invert(_OneDictionary):
    """Turn a dictionary around: en-de gives de-en."""

    output: Path
    """Folder to write."""


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """A dictionary by way of a third language: en-de and en-fr give de-fr."""

    first: Positional[Path]
    """Dictionary from or to the language passed by; its other language is the new source."""
    second: Positional[Path]
    """Dictionary from or to the language passed by; its other language is the new target."""
    output: Path
    """Folder to write."""
    min_probability: Share = 0.05
    """An entry is kept when p(target | source) and p(source | target) both reach this."""
    top_k: Count = 4
    """At most this many translations of a word are kept."""


@dataclass(frozen=True, kw_only=True)
class Import(_Languages):
    """Turn a file of another tool into a dictionary folder."""

    file: Positional[Path]
    """.tsv, .txt (MUSE), .csv, .jsonl, .parquet or Moses's .f2e or .e2f; compressed or not."""
    output: Path
    """Folder to write."""
    licence: str = ""
    """Licence and attribution of the file, for the card."""
    min_probability: Share = 0.0
    """An entry is kept when p(target | source) and p(source | target) both reach this."""
    top_k: Count | None = None
    """At most this many translations of a word are kept; none: all."""


@dataclass(frozen=True, kw_only=True)
class Export(_OneDictionary):
    """Write a dictionary to a file for other tools."""

    file: Positional[Path]
    """File to write; of Moses's two tables name one, both are written."""
    format: Literal["tsv", "muse", "csv", "jsonl", "words", "moses-lex", "parquet"] | None = None
    """None: as the suffix tells, .txt being MUSE's; words is JSONL with {"words": "bank $ Bank $ Ufer"}."""


@dataclass(frozen=True, kw_only=True)
class Check(_OneDictionary):
    """Everything that looks wrong with a dictionary; exit code 1 if there are errors, 0 if only remarks."""


@dataclass(frozen=True, kw_only=True)
class Quality(_OneDictionary):
    """P@1 and coverage of a dictionary against dictionaries made by people."""

    gold: tuple[Path, ...]
    """Gold dictionaries of the same direction, in any format that can be read."""
    json: bool = False
    """Print the numbers as JSON."""


@dataclass(frozen=True, kw_only=True)
class Links:
    """Precision, recall, F1 and alignment error rate of word links against gold links."""

    gold: Path
    """Gold links: lines of source words, target words, sure links and, if the set has them, possible links, with tabs
    between (XL-WA); or lines of links alone, 1-2 sure, 1?2 or 1p2 possible (Pharaoh)."""
    gold_counts_from: Literal[0, 1] = 0
    """Number of a sentence's first word in the gold file."""
    links: tuple[Path, ...] = ()
    """Files of links to judge, 0-0 1-2, line i for gold sentence pair i."""
    links_count_from: Literal[0, 1] = 0
    """Number of a sentence's first word in these files."""
    aligner: AlignerName | None = None
    """Instead of --links: let this aligner of build-dict link the gold sentences."""
    parallel: tuple[Path, ...] = ()
    """Parallel text for the aligner to learn from, beside the gold sentences; in any format that build-dict reads."""
    source: str = ""
    """BCP 47 code of the source language, for --aligner."""
    target: str = ""
    """BCP 47 code of the target language, for --aligner."""
    symmetrisation: Literal["intersect", "union", "grow-diag", "grow-diag-final-and"] = "intersect"
    """How the links of the two directions are joined."""
    model: Path | None = None
    """A trained aligner to apply instead of training one: the folder `aligner` that build-dict --save-model wrote."""
    encoder: Path | None = None
    """Folder of a multilingual encoder, for the aligners neural and simalign."""
    encoder_layer: Annotated[int, Field(ge=0)] = 8
    """Layer of the encoder whose states are compared."""
    encoder_method: Literal["argmax", "itermax", "softmax"] = "argmax"
    """Which states are linked."""
    json: bool = False
    """Print the numbers as JSON."""


COMMANDS: dict[str, type] = {
    "show": Show,
    "coverage": Coverage,
    "merge": Merge,
    "invert": Invert,
    "pivot": Pivot,
    "import": Import,
    "export": Export,
    "check": Check,
    "quality": Quality,
    "links": Links,
}
ANY: Any = Union[tuple(Annotated[kind, subcommand(name)] for name, kind in COMMANDS.items())]  # noqa: UP007
"""Any of them, for the help that lists them."""

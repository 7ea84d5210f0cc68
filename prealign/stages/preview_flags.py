"""`prealign preview` without a recipe: dictionaries, a tokenizer and a text."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from prealign.config.fields import Share
from prealign.config.flags import parse
from prealign.corpora.document_formats import read_documents
from prealign.corpora.drops import Drops
from prealign.corpora.text_tokenizer import text_tokenizer
from prealign.errors import PrealignError
from prealign.stages.preview import STATISTICS_ROWS, View, keys, show

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flags:
    """Show how a text would be switched: samples, and statistics over its beginning.

    With a recipe instead: `prealign preview RECIPE`.
    """

    dictionary: list[Path]
    """Dictionaries from the language of the text: folders, TSV, CSV, JSONL or MUSE files ("name.en-de.txt")."""
    tokenizer: Path
    """Hugging Face tokenizer folder."""
    text: Path
    """Running text: .txt (a document per line) or .jsonl (a "text" field), compressed or not."""
    view: View = field(default_factory=View)
    ratio: Share = 0.05
    """Share of eligible words replaced by a translation, 0 to 1."""
    labels: Literal["input_only", "both", "none", "inputs_before_masking"] = "input_only"
    """What the model is asked to predict where a word was switched."""
    candidates: Literal["probability", "uniform", "best"] = "probability"
    """How one of several translations is chosen."""
    block_size: Annotated[int, Field(ge=8)] = 512
    """Tokens per row; documents follow one another, as in training."""
    seed: int = 1
    """Key of every random draw."""


def preview_from_flags(arguments: list[str]) -> int:
    """Carry out the command; the exit code."""
    flags = parse(Flags, arguments, "prealign preview")
    flags.view.check()
    missing = [str(path) for path in [*flags.dictionary, flags.tokenizer, flags.text] if not path.exists()]
    if missing:
        raise PrealignError.of_several("These files do not exist:", missing)
    if not (flags.tokenizer / "tokenizer.json").is_file():
        raise PrealignError(
            f"{flags.tokenizer} has no tokenizer.json. Name the folder that a fast Hugging Face tokenizer was saved to "
            "with save_pretrained."
        )
    _preview(flags)
    return 0


def _preview(flags: Flags) -> None:
    from prealign.codeswitch.preview import preview
    from prealign.codeswitch.table import CodeSwitchTable
    from prealign.dictionary.dictionary import Dictionary
    from prealign.stages.running_text import window_tokens
    from prealign.tokenizer.load import load_tokenizer

    dictionaries = [Dictionary.read(path) for path in flags.dictionary]
    tokenizer = load_tokenizer(flags.tokenizer)
    table = CodeSwitchTable.compile(dictionaries, tokenizer)
    documents, tokens = _read(flags, tokenizer)
    longer = window_tokens(flags.block_size, flags.ratio)
    starts = range(0, min(len(tokens), STATISTICS_ROWS * flags.block_size), flags.block_size)
    found = preview(
        table,
        tokenizer,
        [tokens[start : start + longer] for start in starts],
        texts=documents,
        keys=keys(flags.seed, table.source_language, range(len(starts))),
        ratio=flags.ratio,
        labels=flags.labels,
        candidates=flags.candidates,
        length=flags.block_size,
        samples=flags.view.samples,
    )
    show(
        found,
        f"ratio {flags.ratio:.1%}, labels {flags.labels}, candidates by {flags.candidates}, seed {flags.seed}, rows of "
        f"{flags.block_size} tokens; text: the first {len(documents):,} documents of {flags.text}",
        flags.view,
    )


def _read(flags: Flags, tokenizer: PreTrainedTokenizerFast) -> tuple[list[str], NDArray[np.int32]]:
    """Documents from the beginning of the text, enough for the statistics, and their tokens with an end token after
    each."""
    encoder = text_tokenizer(tokenizer)
    drops = Drops()
    documents: list[str] = []
    tokens: list[int] = []
    for text in read_documents(flags.text, drops):
        documents.append(text)
        tokens += [*encoder.encode(text, add_special_tokens=False).ids, tokenizer.eos_token_id]
        if len(tokens) >= STATISTICS_ROWS * flags.block_size:
            break
    if not documents:
        raise PrealignError(f"{flags.text} holds no text ({drops}).")
    if drops.counts:
        log.info("left out: %s", drops)
    return documents, np.array(tokens, dtype=np.int32)

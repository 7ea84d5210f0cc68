"""`prealign preview`: look at switched text before training on it. Samples and statistics go to stdout, or also to a
page."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prealign import draws
from prealign.config.fields import Count
from prealign.config.settings import Recipe
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from prealign.codeswitch.preview import Preview

log = logging.getLogger(__name__)

STATISTICS_ROWS = 512
"""Rows that are switched for the statistics."""
COLOURS = ("\033[32m", "\033[36m", "\033[35m", "\033[33m", "\033[34m", "\033[31m")
DIM, RESET = "\033[2m", "\033[0m"


@dataclass(frozen=True)
class View:
    """What to show, and where."""

    samples: Count = 8
    """Rows of text to show."""
    tokens: bool = False
    """Also show the tokens, ids and labels around every switched word."""
    html: Path | None = None
    """Also write everything as one self-contained page."""

    def check(self) -> None:
        """Refuse what could not be shown before any work is done."""
        if self.samples < 1:
            raise PrealignError(f"--samples must be at least 1, got {self.samples}.")
        if self.html is not None and self.html.is_dir():
            raise PrealignError(
                f"--html {self.html} is a folder; name the page, for example {self.html / 'page.html'}."
            )


def preview_recipe(recipe: Recipe, view: View) -> int:
    """Show training rows of a recipe's source language as the first epoch switches them; the exit code.

    Dictionaries, tokenizer and store are made if they are not there yet.
    """
    view.check()
    if not recipe.dictionary.pairs:
        raise PrealignError("The recipe names no dictionary pairs, so there is nothing to switch.")
    from prealign.codeswitch.preview import preview
    from prealign.codeswitch.token_text import TokenText
    from prealign.stages.build_dict import build_dictionaries
    from prealign.stages.materials import Materials
    from prealign.stages.prepare import make_store, make_tokenizer
    from prealign.stages.run import refuse_group
    from prealign.stages.running_text import window_tokens

    refuse_group()
    build_dictionaries(recipe)
    make_tokenizer(recipe)
    make_store(recipe)
    materials = Materials(recipe)
    table = materials.table
    assert table is not None  # there are pairs
    stream = materials.store.stream(table.source_language, "train")
    block, settings = recipe.pretrain.block_size, recipe.pretrain.switching
    order = draws.Permutation(max(1, len(stream) // block), draws.key(recipe.seed, "preview"))
    chosen = order(np.arange(min(STATISTICS_ROWS, order.size))).tolist()
    reader = TokenText(materials.tokenizer)
    found = preview(
        table,
        materials.tokenizer,
        [stream.window(row * block, window_tokens(block, settings.total_ratio)) for row in chosen],
        texts=(text for row in chosen for text in reader.documents(stream.window(row * block, block).tolist())),
        keys=keys(recipe.seed, table.source_language, chosen),
        ratio=settings.language_ratios or settings.ratio,
        labels=settings.labels,
        candidates=settings.candidates,
        document_share=settings.document_share,
        run=settings.run,
        length=block,
        samples=view.samples,
    )
    asked = ", ".join(f"{code} {ratio:.1%}" for code, ratio in settings.language_ratios.items())
    asked = f"ratio {asked or format(settings.ratio, '.1%')}"
    if settings.schedule != "constant":
        asked += f" at the start (schedule {settings.schedule})"
    if settings.run > 1:
        asked += f" in runs of {settings.run}"
    if settings.document_share < 1.0:
        asked += f" in {settings.document_share:.0%} of the rows"
    show(
        found,
        f"{asked}, labels {settings.labels}, candidates by {settings.candidates}, seed {recipe.seed}, "
        f"rows of {block} tokens; text: training rows of {recipe.output}",
        view,
    )
    return 0


def keys(seed: int, source_language: str, rows: Iterable[int]) -> NDArray[np.uint64]:
    """The keys that rows of the source language have in the first epoch of training, [rows] (see running_text.py)."""
    return np.array([draws.key(seed, "switch", source_language, 0, row) for row in rows], dtype=np.uint64)


def show(found: Preview, settings: str, view: View) -> None:
    """Print a preview, and write the page if one is wanted."""
    from prealign.evaluation.table import wants_colour
    from prealign.report.preview import as_text, write_page

    languages = list(found.by_language)
    colour = wants_colour(sys.stdout)

    def paint(text: str, language: str | None) -> str:
        if not colour:
            return text
        return f"{DIM if language is None else COLOURS[languages.index(language) % len(COLOURS)]}{text}{RESET}"

    columns = shutil.get_terminal_size((100, 24)).columns
    print(as_text(found, settings, columns=columns, paint=paint, with_tokens=view.tokens), end="")
    if not found.samples:
        log.warning(
            "Of %s eligible words none was switched; a larger ratio or more text shows some.", f"{found.n_eligible:,}"
        )
    if view.html is not None:
        write_page(found, settings, view.html, with_tokens=view.tokens)
        log.info("page: %s", view.html)

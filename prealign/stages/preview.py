"""`prealign preview`: look at switched text before training on it. Samples go to stdout, statistics under them."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from prealign import draws
from prealign.codeswitch.preview import Segment, preview
from prealign.errors import PrealignError
from prealign.evaluation.table import wants_colour

if TYPE_CHECKING:
    from prealign.stages.training import Materials

SAMPLES = 8
STATISTICS_ROWS = 512
TOP = 10
GREEN, DIM, RESET = "\033[32m", "\033[2m", "\033[0m"


def run_preview(materials: Materials) -> None:
    """Print training rows of the source language with their switched words marked, and what happens on many rows."""
    recipe, table = materials.recipe, materials.table
    if table is None:
        raise PrealignError("The recipe names no dictionary pairs, so there is nothing to switch.")
    stream = materials.store.stream(table.source_language, "train")
    block, settings = recipe.pretrain.block_size, recipe.pretrain.switching
    order = draws.Permutation(max(1, len(stream) // block), draws.key(recipe.seed, "preview"))
    chosen = order(np.arange(min(STATISTICS_ROWS, order.size))).tolist()
    keys = [draws.key(recipe.seed, "switch", table.source_language, 0, row) for row in chosen]
    found = preview(
        table,
        materials.tokenizer,
        [stream.window(row * block, block) for row in chosen],
        keys=np.array(keys, dtype=np.uint64),
        ratio=settings.ratio,
        labels=settings.labels,
        candidates=settings.candidates,
        top=TOP,
    )
    colour = wants_colour(sys.stdout)
    rows = (row for row in found.rows if any(segment.language for segment in row))
    for row in islice(rows, SAMPLES):
        print("".join(_mark(segment, colour) for segment in row) + "\n")
    print(f"{len(chosen):,} rows of {found.n_tokens:,} tokens: {found.n_eligible:,} eligible words")
    print(f"switched {found.n_switched:,}: asked {found.ratio:.1%}, got {found.achieved:.1%} {found.by_language}")
    print(f"length {found.length_change:.3f} of the original")
    print("most often: " + ", ".join(f"{one} > {other} ({count})" for one, other, count in found.top_switched))


def _mark(segment: Segment, colour: bool) -> str:
    """A switched word as original and translation side by side."""
    if segment.language is None:
        return segment.original
    space = " " if segment.original.startswith(" ") else ""
    original, switched = segment.original.strip(), segment.switched.strip()
    return f"{space}{DIM}{original}{RESET} {GREEN}{switched}{RESET}" if colour else f"{space}[{original} > {switched}]"

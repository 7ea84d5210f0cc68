"""`prealign preview`: look at switched text before training on it. Samples go to stdout, statistics under them."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from prealign import draws
from prealign.codeswitch.switch import switch_rows
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from prealign.stages.training import Materials

SAMPLES = 8
STATISTICS_ROWS = 512
GREEN, RESET = "\033[32m", "\033[0m"


def run_preview(materials: Materials) -> None:
    """Print a few training rows of the source language with their switched words marked, and what happens on many
    rows."""
    recipe, table = materials.recipe, materials.table
    if table is None:
        raise PrealignError("The recipe names no dictionary pairs, so there is nothing to switch.")
    stream = materials.store.stream(table.source_language, "train")
    block, settings = recipe.pretrain.block_size, recipe.pretrain.switching
    order = draws.Permutation(max(1, len(stream) // block), draws.key(recipe.seed, "preview"))
    chosen = order(np.arange(min(STATISTICS_ROWS, order.size)))
    rows = [stream.window(int(row) * block, block) for row in chosen]
    keys = np.array(
        [draws.key(recipe.seed, "switch", table.source_language, 0, int(row)) for row in chosen], dtype=np.uint64
    )
    switched = switch_rows(
        table, rows, keys=keys, ratio=settings.ratio, labels=settings.labels, candidates=settings.candidates,
        document_share=settings.document_share, with_events=True,
    )  # fmt: skip
    assert switched.events is not None
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    before, after = (GREEN, RESET) if colour else ("[", "]")
    tokenizer = materials.tokenizer
    shown = [row for row in range(len(rows)) if any(event.row == row for event in switched.events)]
    for row in islice(shown, SAMPLES):
        place, text = 0, ""
        for event in (event for event in switched.events if event.row == row):
            ids = switched.input_ids[row]
            text += tokenizer.decode(ids[place : event.out_start])
            text += f"{before}{tokenizer.decode(ids[event.out_start : event.out_stop])}{after}"
            place = event.out_stop
        print(text + tokenizer.decode(switched.input_ids[row][place : switched.lengths[row]]) + "\n")
    got = switched.n_switched / max(1, switched.n_eligible)
    length = int(switched.lengths.sum()) / max(1, switched.n_tokens)
    print(f"{len(rows):,} rows of {switched.n_tokens:,} tokens: {switched.n_eligible:,} eligible words")
    print(
        f"switched {switched.n_switched:,}: asked {settings.ratio:.1%}, got {got:.1%}; by language {switched.by_language}"
    )
    print(f"length {length:.3f} of the original")

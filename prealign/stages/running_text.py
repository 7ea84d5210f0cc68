"""Running text for the training loop: step number in, micro-batches of (switched) token rows out.

The order is computed (train/batches.py), the rows come from the memory-mapped store, the switching is keyed by row
and epoch: nothing here has state, so a resumed run and a run on other ranks read the same rows with the same words
switched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws, ranks
from prealign.codeswitch.schedule import scheduled_ratio
from prealign.codeswitch.switch import Switched, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.config.settings import Recipe
from prealign.corpora.store import TokenStore
from prealign.errors import PrealignError
from prealign.train.batches import Mixture, Sample, data_step, micro_batches_of, rows_of_step, shares_by_size

SLACK_TOKENS = 16
"""Tokens beyond the block that every window brings along, so that rows shortened by switching are still full."""


def window_tokens(block: int, ratio: float) -> int:
    """Tokens of a window that still fills `block` positions after `ratio` of its words were switched."""
    return block + SLACK_TOKENS + int(block * ratio)


def document_positions(ids: NDArray[np.int64], document_end: int) -> NDArray[np.int64]:
    """Positions that begin anew with every document, [rows, block]: 0 at an end token, for the document after it.

    So a document is read after the end token of the one before it and nothing else, which is how bits per byte reads
    it. Its own end is still predicted: from its last token.
    """
    places = np.arange(ids.shape[1])
    begins = np.where(ids == document_end, places, 0)  # [rows, block]; a row begins a document, or goes on with one
    return places - np.maximum.accumulate(begins, axis=1)


class RunningText:
    """Rows of the store in computed order.

    Args:
        first_sample: number of the first sample of step 0: a second stage goes on where the first one stopped.
        rows_per_step: rows of all ranks together.
        table: dictionaries compiled for the tokenizer; None switches nothing.
        skip_steps: stretches of steps whose data is passed over (`batches.data_step`).
    """

    def __init__(
        self,
        store: TokenStore,
        recipe: Recipe,
        *,
        rows_per_step: int,
        first_sample: int = 0,
        table: CodeSwitchTable | None = None,
        skip_steps: Sequence[tuple[int, int]] = (),
    ) -> None:
        if rows_per_step < ranks.world_size():
            raise PrealignError(
                f"A step of {rows_per_step:,} rows has none for some of the {ranks.world_size():,} processes. Take at "
                "least a row for each (pretrain.global_batch_rows, init.lm_rows_per_step), or fewer processes."
            )
        self.block = recipe.pretrain.block_size
        self.streams = {code: store.stream(code, "train") for code in recipe.languages}
        sizes = {code: len(stream) for code, stream in self.streams.items()}
        alpha = recipe.pretrain.sampling_alpha
        self.mixture = Mixture(
            {code: size // self.block for code, size in sizes.items()},
            {code: recipe.languages[code].share for code in sizes} if alpha is None else shares_by_size(sizes, alpha),
            recipe.training_seed,
        )
        self.first_sample = first_sample
        self.rows_per_step = rows_per_step
        self.per_device = recipe.pretrain.per_device_train_batch_size
        self.switching = recipe.pretrain.switching
        self.max_steps = recipe.pretrain.max_steps
        self.seed = recipe.training_seed
        self.table = table
        self.skip_steps = skip_steps
        self.document_end = store.document_end if recipe.pretrain.document_masking else None

    def repeats(self, steps: int) -> dict[str, float]:
        """How often each language's text is read through in that many steps."""
        return self.mixture.repeats(steps * self.rows_per_step)

    def micro_batches(self, step: int) -> list[dict[str, Any]]:
        """This rank's micro-batches of a step (0-based): input_ids, labels [rows, block] and what to log about them."""
        at = data_step(step, self.skip_steps)
        rows = rows_of_step(at, self.rows_per_step, ranks.rank(), ranks.world_size())
        return [self._batch(part, step) for part in micro_batches_of(rows, self.per_device)]

    def _batch(self, rows: range, step: int) -> dict[str, Any]:
        samples = self.mixture(self.first_sample + row for row in rows)
        ids = np.stack([self._window(sample, self.block) for sample in samples]).astype(np.int64)  # [rows, block]
        if self.table is None:
            return self._tensors(ids, ids, samples)
        labels = ids.copy()
        # Rows of other languages stay: a German "in" or "war" is no English word to translate.
        of_source = [place for place, sample in enumerate(samples) if sample.stream == self.table.source_language]
        switched = self._switch(self.table, [samples[place] for place in of_source], step)
        ids[of_source], labels[of_source] = switched.input_ids, switched.labels
        return self._tensors(ids, labels, samples) | {
            "n_eligible": switched.n_eligible,
            "n_switched": switched.n_switched,
            "n_cut": int(np.maximum(self.block - switched.used, 0).sum()),  # of the block; the slack may be left over
        }

    def _tensors(self, ids: NDArray[np.int64], labels: NDArray[np.int64], samples: list[Sample]) -> dict[str, Any]:
        batch = {
            "input_ids": torch.from_numpy(ids),
            "labels": torch.from_numpy(labels),
            "languages": torch.tensor([self.mixture.streams.index(sample.stream) for sample in samples]),
            "examples": samples,
        }
        if self.document_end is not None:
            batch["position_ids"] = torch.from_numpy(document_positions(ids, self.document_end))
        return batch

    def _switch(self, table: CodeSwitchTable, samples: list[Sample], step: int) -> Switched:
        """Rows of the source language, switched and cut to the block."""
        settings = self.switching
        course = scheduled_ratio(settings.schedule, 1.0, step / self.max_steps)
        longer = window_tokens(self.block, settings.total_ratio * course)
        return switch_rows(
            table,
            [self._window(sample, longer) for sample in samples],
            keys=np.array([draws.key(self.seed, "switch", *sample) for sample in samples], dtype=np.uint64),
            ratio={code: ratio * course for code, ratio in settings.language_ratios.items()} or settings.ratio * course,
            labels=settings.labels,
            candidates=settings.candidates,
            document_share=settings.document_share,
            run=settings.run,
            length=self.block,
        )

    def _window(self, sample: Sample, length: int) -> NDArray[Any]:
        return self.streams[sample.stream].window(sample.row * self.block, length)

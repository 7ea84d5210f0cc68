"""The torch face of code-switching: a data collator that switches words of examples with nothing but `input_ids`.

It takes and returns what `transformers.DataCollatorForLanguageModeling(mlm=False)` does and works wherever a collate
function does: HF Trainer, TRL, Accelerate, Lightning, a plain DataLoader.

    table = CodeSwitchTable.compile([Dictionary.read("en-de")], tokenizer)
    collate = CodeSwitchCollator(tokenizer, table, ratio=0.05, seed=1)
    trainer = Trainer(model, args, train_dataset=dataset, data_collator=collate)

Two optional columns make switching repeatable: `example` (the number of the example) and `epoch`. HF Trainer passes
them on with `remove_unused_columns=False`. Without `epoch`, call `set_epoch`; it reaches workers that start afterwards
(not persistent ones).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws
from prealign.codeswitch.switch import Candidates, Labels, Switched, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)


class CodeSwitchCollator:
    """Switch words of a batch of examples and pad it.

    Args:
        tokenizer: the tokenizer of the examples; gives the padding token and side.
        table: compiled for this tokenizer.
        ratio: share of eligible words switched; may be set anew at any time (a schedule, see
            `schedule.scheduled_ratio`).
        labels, candidates, document_share: as in `switch.switch_rows`.
        seed: key of all draws.
        max_length: cut rows to this many tokens, never inside a translation.
        pad_to_multiple_of: widen batches to a multiple of this.
        return_switch_mask: also return `switch_mask`, True on the tokens of translations.
    Raises:
        PrealignError: the table was compiled for another tokenizer, or the tokenizer has no padding token.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        table: CodeSwitchTable,
        ratio: float = 0.05,
        *,
        labels: Labels = "input_only",
        candidates: Candidates = "probability",
        document_share: float = 1.0,
        seed: int = 0,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_switch_mask: bool = False,
    ) -> None:
        table.check_tokenizer(tokenizer)
        if tokenizer.pad_token_id is None:
            raise PrealignError(
                "The tokenizer has no padding token, and switched rows differ in length. Set one before making the "
                "collator, for example: tokenizer.pad_token = tokenizer.eos_token"
            )
        self.table = table
        self.ratio = ratio
        self.labels: Labels = labels
        self.candidates: Candidates = candidates
        self.document_share = document_share
        self.seed = seed
        self.max_length = max_length
        self.pad_to_multiple_of = pad_to_multiple_of
        self.return_switch_mask = return_switch_mask
        self.epoch = 0
        self._pad = int(tokenizer.pad_token_id)
        self._pad_left = tokenizer.padding_side == "left"
        self._calls = 0

    def set_epoch(self, epoch: int) -> None:
        """Switch other words from now on; examples with an `epoch` column follow that instead."""
        self.epoch = epoch

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collate examples.

        Args:
            examples: each with `input_ids` (list, array or tensor), and perhaps `labels` (ignored positions stay
                ignored), `attention_mask` (zeros at either end are padding and removed), `position_ids` (packed rows: a
                document begins at each 0), `example` and `epoch`.
        Returns:
            input_ids, labels, attention_mask (int64, [rows, width]); position_ids where the examples have them;
            switch_mask (bool) on request.
        """
        if not examples or "input_ids" not in examples[0]:
            raise PrealignError(
                "The code-switching collator needs examples with `input_ids`. In HF Trainer a column is removed when "
                "the model's forward does not name it; remove_unused_columns=False keeps all."
            )
        spans = [_span(example) for example in examples]
        rows = [_column(example, "input_ids")[span] for example, span in zip(examples, spans)]
        given = None
        if any("labels" in example for example in examples):
            given = [
                _column(example, "labels")[span] if "labels" in example else row.astype(np.int64)
                for example, span, row in zip(examples, spans, rows)
            ]
        documents = None
        if any("position_ids" in example for example in examples):
            documents = [_documents(example, span, len(row)) for example, span, row in zip(examples, spans, rows)]
        switched = switch_rows(
            self.table,
            rows,
            keys=self.keys(examples, rows),
            ratio=self.ratio,
            labels=self.labels,
            candidates=self.candidates,
            document_share=self.document_share,
            at_most=self.max_length,
            multiple_of=self.pad_to_multiple_of or 1,
            given_labels=given,
            documents=documents,
            pad=self._pad,
            pad_left=self._pad_left,
            with_events=documents is not None,
            with_mask=self.return_switch_mask,
        )
        batch = {
            "input_ids": torch.from_numpy(switched.input_ids),
            "labels": torch.from_numpy(switched.labels),
            "attention_mask": torch.from_numpy(self._attention_mask(switched)),
        }
        if documents is not None:
            batch["position_ids"] = torch.from_numpy(self._position_ids(switched, documents))
        if switched.mask is not None:
            batch["switch_mask"] = torch.from_numpy(switched.mask)
        return batch

    def keys(self, examples: Sequence[Mapping[str, Any]], rows: Sequence[NDArray[np.integer]]) -> NDArray[np.uint64]:
        """One key per row, [rows] uint64: place `example` under `draws.key(seed, "switch", epoch)`."""
        call = self._calls
        self._calls += 1
        has_example = ["example" in example for example in examples]
        if call == 0 and not all(has_example):
            log.warning(
                "The examples have no `example` column, so words are switched by content and number of the call: "
                "repeatable only with the same batches, order and number of workers, and not after a resume. To mend "
                "it, add an integer column `example` (in HF Trainer with remove_unused_columns=False)."
            )
        epochs = np.array([int(example.get("epoch", self.epoch)) for example in examples])
        numbers = [
            int(example["example"]) if has else _content_number(row, call)
            for example, row, has in zip(examples, rows, has_example)
        ]
        places = np.array(numbers, dtype=np.uint64)
        keys = np.empty(len(places), dtype=np.uint64)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            keys[here] = draws.bits(draws.key(self.seed, "switch", epoch), places[here])
        return keys

    def _attention_mask(self, switched: Switched) -> NDArray[np.int64]:
        mask = np.ones(switched.input_ids.shape, dtype=np.int64)
        width = switched.width
        for row, length in enumerate(switched.lengths.tolist()):
            mask[row, slice(0, width - length) if self._pad_left else slice(length, width)] = 0
        return mask

    def _position_ids(self, switched: Switched, documents: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Positions that start anew at each document, counted after switching; 0 in the padding."""
        positions = np.zeros(switched.input_ids.shape, dtype=np.int64)
        width = switched.width
        for row, starts in enumerate(documents):
            shifts = np.zeros(len(starts), dtype=np.int64)
            for event in switched.events or []:
                if event.row == row:
                    shifts[starts >= event.stop] += (event.out_stop - event.out_start) - (event.stop - event.start)
            length = int(switched.lengths[row])
            first = width - length if self._pad_left else 0
            borders = np.append(np.minimum(starts + shifts, length), length)
            for start, stop in pairwise(borders.tolist()):
                positions[row, first + start : first + stop] = np.arange(stop - start)
        return positions


def _column(example: Mapping[str, Any], name: str) -> NDArray[np.integer]:
    """A column of one example as a one-dimensional integer array."""
    value = example[name]
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise PrealignError(
            f"`{name}` of an example must be one row of integers; got {array.dtype} of shape {array.shape}. "
            f"Are the texts tokenised, and one example given for each row?"
        )
    return array


def _span(example: Mapping[str, Any]) -> slice:
    """Where the tokens of an example stand between the padding that its attention mask shows."""
    if "attention_mask" not in example:
        return slice(None)
    kept = np.flatnonzero(_column(example, "attention_mask"))
    return slice(int(kept[0]), int(kept[-1]) + 1) if len(kept) else slice(0, 0)


def _documents(example: Mapping[str, Any], span: slice, length: int) -> NDArray[np.int64]:
    """Where documents begin in a packed row: wherever the position is 0, and at its first token."""
    if "position_ids" not in example:
        return np.zeros(1, dtype=np.int64)
    zeros = np.flatnonzero(_column(example, "position_ids")[span] == 0)
    return np.union1d(zeros[zeros < length], [0]).astype(np.int64)


def _content_number(row: NDArray[np.integer], call: int) -> int:
    """A number for a row that has none: from its tokens and the number of the call."""
    content = hashlib.blake2b(np.ascontiguousarray(row, dtype=np.int64).tobytes(), digest_size=8).digest()
    return draws.key(int.from_bytes(content, "little"), call)

"""The torch face of code-switching: a data collator that switches words of examples with nothing but `input_ids`.

It takes and returns what `transformers.DataCollatorForLanguageModeling(mlm=False)` does and works wherever a collate
function does: HF Trainer, TRL, Accelerate, Lightning, a plain DataLoader (docs/collator.md shows each).

    table = CodeSwitchTable.compile([Dictionary.read("en-de")], tokenizer)
    collate = CodeSwitchCollator(tokenizer, table, ratio=0.05, seed=1)
    trainer = Trainer(model, args, train_dataset=dataset, data_collator=collate)

With a column `example`, the number of the row, what is switched in it depends on the seed, the epoch and that number
alone: workers, ranks, order and resumes change nothing. Without it, on the tokens of the row and the number of the
call. The epoch and the ratio may be set at any time and reach the workers of a DataLoader that already run.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.data
from numpy.typing import NDArray

from prealign import draws
from prealign.codeswitch.kernel import IGNORED
from prealign.codeswitch.switch import Candidates, Labels, Switched, check_options, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)

EPOCH, WARNED, RATIO = 0, 1, 2
"""Places in the memory that a collator shares with its copies in workers; behind the ratio one for each language."""


class CodeSwitchCollator:
    """Switch words of a batch of examples and pad it.

    Args:
        tokenizer: the tokenizer of the examples; gives the padding token and side.
        table: compiled for this tokenizer.
        ratio: share of eligible words switched, or target language -> share of words switched into it; may be set anew
            at any time (a schedule, see `schedule.scheduled_ratio`).
        labels, candidates, document_share, run: as in `switch.switch_rows`.
        seed: key of all draws.
        max_length: cut rows to this many tokens, never inside a translation.
        pad_to_multiple_of: widen batches to a multiple of this.
        return_switch_mask: also return `switch_mask`, True on the tokens of translations.
    Raises:
        PrealignError: the table was compiled for another tokenizer, the tokenizer has no padding token, or the ratio
            is none.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        table: CodeSwitchTable,
        ratio: float | Mapping[str, float] = 0.05,
        *,
        labels: Labels = "input_only",
        candidates: Candidates = "probability",
        document_share: float = 1.0,
        run: int = 1,
        seed: int = 0,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_switch_mask: bool = False,
    ) -> None:
        table.check_tokenizer(tokenizer)
        check_options(
            labels, candidates, document_share, run=run, max_length=max_length, pad_to_multiple_of=pad_to_multiple_of
        )
        if tokenizer.pad_token_id is None:
            raise PrealignError(
                "The tokenizer has no padding token, and switched rows differ in length. Set one before making the "
                "collator, for example: tokenizer.pad_token = tokenizer.eos_token"
            )
        self.table = table
        self.labels: Labels = labels
        self.candidates: Candidates = candidates
        self.document_share = document_share
        self.run = run
        self.seed = seed
        self.max_length = max_length
        self.pad_to_multiple_of = pad_to_multiple_of
        self.return_switch_mask = return_switch_mask
        self._calls = 0
        self._pad = int(tokenizer.pad_token_id)
        self._pad_left = tokenizer.padding_side == "left"
        self._pad_is_text = tokenizer.pad_token_id == tokenizer.eos_token_id
        # Shared memory, because a worker has its own copy of the collator and may outlive an epoch.
        n_shared = RATIO + 1 + len(table.target_languages)
        self._shared = torch.zeros(n_shared, dtype=torch.float64)
        self._shared.share_memory_()  # type: ignore[no-untyped-call]
        self.ratio = ratio

    @property
    def ratio(self) -> float | dict[str, float]:
        """Share of eligible words switched: one number, or one for each target language."""
        one, *by_language = self._shared.tolist()[RATIO:]
        return dict(zip(self.table.target_languages, by_language)) if math.isnan(one) else one

    @ratio.setter
    def ratio(self, ratio: float | Mapping[str, float]) -> None:
        by_language = ratio if isinstance(ratio, Mapping) else {}
        languages = self.table.target_languages
        if unknown := sorted(by_language.keys() - set(languages)):
            raise PrealignError(
                f"`ratio` names {', '.join(unknown)}, but the switching table translates into {', '.join(languages)}."
            )
        values = [math.nan if isinstance(ratio, Mapping) else float(ratio)]
        values += [by_language.get(language, 0.0) for language in languages]
        given = values[1:] if isinstance(ratio, Mapping) else values[:1]
        if wrong := [value for value in given if not 0.0 <= value <= 1.0]:
            raise PrealignError(f"`ratio` must lie between 0 and 1; got {wrong[0]}.")
        if sum(by_language.values()) > 1.0:
            raise PrealignError(f"The ratios of the target languages must sum to at most 1: {dict(by_language)}.")
        self._shared[RATIO:] = torch.tensor(values, dtype=torch.float64)

    @property
    def epoch(self) -> int:
        """The epoch whose words are switched."""
        return int(self._shared.tolist()[EPOCH])

    def set_epoch(self, epoch: int) -> None:
        """Switch other words in the batches collated from now on, here and in workers.

        Call it before the epoch's iteration begins, since workers collate ahead. Examples with an `epoch` column
        follow that instead.
        """
        self._shared[EPOCH] = epoch

    def __call__(self, examples: Sequence[Any]) -> dict[str, torch.Tensor]:
        """Collate examples.

        Args:
            examples: mappings with `input_ids` (list, array or tensor; an example may also be these ids themselves),
                and perhaps
                - `labels`: ignored positions (-100) stay ignored,
                - `attention_mask`: zeros at either end are padding and removed,
                - `position_ids`: packed rows, where a document begins wherever the positions do not go on,
                - `example`, `epoch`: whole numbers that the draws belong to,
                - `ratio`: for this row instead of the collator's; 0 for rows in other languages and for evaluation (the
                  only one that goes with ratios per language).
                Other columns are left out.
        Returns:
            input_ids, labels, attention_mask (int64, [rows, width]); for packed rows position_ids instead of the
            attention mask, which would let documents see one another; switch_mask (bool) on request.
        """
        examples = [example if isinstance(example, Mapping) else {"input_ids": example} for example in examples]
        if not examples or not all("input_ids" in example for example in examples):
            raise PrealignError(
                "The code-switching collator needs examples with `input_ids`. In HF Trainer a column is removed when "
                "the model's forward does not name it; remove_unused_columns=False keeps all."
            )
        columns = set().union(*examples)
        rows = [_column(example, "input_ids") for example in examples]
        given = positions = None
        if "labels" in columns:
            given = [
                _beside(example, "labels", row) if "labels" in example else row for example, row in zip(examples, rows)
            ]
        if "position_ids" in columns:
            positions = [
                _beside(example, "position_ids", row) if "position_ids" in example else np.arange(len(row))
                for example, row in zip(examples, rows)
            ]
        if "attention_mask" in columns:
            spans = [_span(example, row) for example, row in zip(examples, rows)]
            rows = [row[span] for row, span in zip(rows, spans)]
            given = given and [row[span] for row, span in zip(given, spans)]
            positions = positions and [row[span] for row, span in zip(positions, spans)]
        documents = None if positions is None else [_documents(row) for row in positions]
        switched = switch_rows(
            self.table,
            rows,
            keys=self.keys(examples, rows),
            **self._ratio_of(examples, "ratio" in columns),
            labels=self.labels,
            candidates=self.candidates,
            document_share=self.document_share,
            run=self.run,
            at_most=self.max_length,
            multiple_of=self.pad_to_multiple_of or 1,
            given_labels=given,
            documents=documents,
            pad=self._pad,
            pad_left=self._pad_left,
            with_events=documents is not None,
            with_mask=self.return_switch_mask,
        )
        if given is None and not self._pad_is_text and any(len(row) and self._pad in (row[0], row[-1]) for row in rows):
            # Rows padded by hand, without an attention mask: the usual collator ignores their padding too.
            switched.labels[switched.labels == self._pad] = IGNORED
        batch: dict[str, NDArray[Any]] = {"input_ids": switched.input_ids, "labels": switched.labels}
        if positions is None or documents is None:
            batch["attention_mask"] = self._attention_mask(switched)
        else:
            batch["position_ids"] = self._position_ids(switched, positions, documents)
        if switched.mask is not None:
            batch["switch_mask"] = switched.mask
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def keys(self, examples: Sequence[Mapping[str, Any]], rows: Sequence[NDArray[np.integer]]) -> NDArray[np.uint64]:
        """One key per row, [rows] uint64: place `example` under `draws.key(seed, "switch", epoch)`."""
        self._calls += 1
        usual = self.epoch
        keys: list[int] = []
        epochs: dict[int, int] = {}
        for example, row in zip(examples, rows):
            epoch = _number(example, "epoch") if "epoch" in example else usual
            if epoch not in epochs:
                epochs[epoch] = draws.key(self.seed, "switch", epoch)
            if "example" in example:
                place = _number(example, "example")
            else:
                place = _content_number(row, self._calls)
                self._warn_once()
            # `draws.bits` of one place: numpy takes three times as long for a batch of 16.
            keys.append(draws.mix(epochs[epoch] + (place + 1) * draws.GOLDEN))
        return np.array(keys, dtype=np.uint64)

    def _warn_once(self) -> None:
        if not self._shared[WARNED]:
            self._shared[WARNED] = 1
            log.warning(
                "The examples have no `example` column, so the words to switch are drawn by the tokens of each row and "
                "the number of the call: repeatable only with the same batches, order and workers, and not after a "
                "resume. To mend it, add an integer column `example` (in HF Trainer with remove_unused_columns=False)."
            )

    def _ratio_of(self, examples: Sequence[Mapping[str, Any]], has_column: bool) -> dict[str, Any]:
        """`ratio`, and `scale` where a column has a say, for `switch_rows`."""
        usual = self.ratio
        if not has_column:
            return {"ratio": usual}
        column = [example.get("ratio") for example in examples]
        if wrong := [value for value in column if value is not None and not isinstance(value, Real | torch.Tensor)]:
            raise PrealignError(f"The column `ratio` must hold numbers between 0 and 1; got {wrong[0]!r}.")
        if not isinstance(usual, dict):
            return {"ratio": np.array([usual if value is None else float(value) for value in column])}
        if any(value is not None and float(value) != 0.0 for value in column):
            raise PrealignError(
                "With ratios per language, the column `ratio` of an example can only be 0 (leave the row as it is)."
            )
        return {"ratio": usual, "scale": np.array([1.0 if value is None else 0.0 for value in column])}

    def _attention_mask(self, switched: Switched) -> NDArray[np.int64]:
        mask = np.ones(switched.input_ids.shape, dtype=np.int64)
        shortest = int(switched.lengths.min())
        # Everything before the end of the shortest row is a token.
        far = (np.arange(shortest, switched.width) < switched.lengths[:, None]).astype(np.int64)
        if self._pad_left:
            mask[:, : switched.width - shortest] = far[:, ::-1]
        else:
            mask[:, shortest:] = far
        return mask

    def _position_ids(
        self, switched: Switched, positions: list[NDArray[np.integer]], documents: list[NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Positions counted after switching, 0 in the padding; also ignores the first label of each document, which
        nothing in it predicts."""
        found = np.zeros(switched.input_ids.shape, dtype=np.int64)
        growth = np.array(
            [(e.row, e.stop, e.out_stop - e.out_start - e.stop + e.start) for e in switched.events or []],
            dtype=np.int64,
        ).reshape(-1, 3)
        for row, (given, starts) in enumerate(zip(positions, documents)):
            length = int(switched.lengths[row])
            _, behind, grown = growth[growth[:, 0] == row].T
            shifts = np.append(0, np.cumsum(grown))[np.searchsorted(behind, starts, side="right")]
            new_starts = np.minimum(starts + shifts, length)
            sizes = np.diff(new_starts, append=length)
            first = switched.width - length if self._pad_left else 0
            offsets = given[starts] - new_starts if len(given) else new_starts
            found[row, first : first + length] = np.arange(length) + np.repeat(offsets, sizes)
            switched.labels[row, first + new_starts[sizes > 0]] = IGNORED
        return found


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


def _beside(example: Mapping[str, Any], name: str, row: NDArray[np.integer]) -> NDArray[np.integer]:
    """A column that has one number for every token."""
    column = _column(example, name)
    if len(column) != len(row):
        raise PrealignError(
            f"`{name}` of an example must be as long as its input_ids; got {len(column)} for {len(row)} tokens."
        )
    return column


def _number(example: Mapping[str, Any], name: str) -> int:
    """A whole number that stands in a column."""
    try:
        number = int(example[name])
        if number != example[name]:
            raise ValueError
        return number
    except (TypeError, ValueError):
        raise PrealignError(
            f"The column `{name}` must hold whole numbers, which the draws belong to; got {example[name]!r}. Rename "
            f"the column if it is about something else."
        ) from None


def _span(example: Mapping[str, Any], row: NDArray[np.integer]) -> slice:
    """Where the tokens of an example stand between the padding that its attention mask shows."""
    if "attention_mask" not in example:
        return slice(None)
    mask = example["attention_mask"]
    if isinstance(mask, list) and len(mask) == len(row) and 0 not in mask:
        return slice(None)  # ten times faster than making an array of the list
    kept = np.flatnonzero(_beside(example, "attention_mask", row))
    if len(kept) and kept[-1] - kept[0] >= len(kept):
        raise PrealignError("The attention mask of an example may have zeros at its ends only (padding).")
    return slice(int(kept[0]), int(kept[-1]) + 1) if len(kept) else slice(0, 0)


def _documents(positions: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where documents begin in a packed row: at its first token, and wherever the positions do not go on."""
    return np.append(0, np.flatnonzero(np.diff(positions) != 1) + 1)


def _content_number(row: NDArray[np.integer], call: int) -> int:
    """A number for a row that has none: from its tokens, whatever type they have, and the number of the call.

    Calls are counted anew in each worker of each epoch, so the worker's seed, which torch draws for it, counts as well.
    """
    worker = torch.utils.data.get_worker_info()
    salt = draws.key(0 if worker is None else worker.seed, call).to_bytes(8, "little")
    tokens = np.ascontiguousarray(row, dtype=np.int32).tobytes()
    return int.from_bytes(hashlib.blake2b(tokens, digest_size=8, salt=salt).digest(), "little")

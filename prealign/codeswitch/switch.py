"""Code-switching of rows of token ids: the pure function behind the collator and the training loop.

Same rows, keys and options give the same result, whoever calls: what is drawn for a row depends on its key alone
(kernel.py says which place under the key decides what).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from prealign.codeswitch import kernel
from prealign.codeswitch.arrays import LANGUAGE, SIZE_BITS
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from prealign.codeswitch.table import CodeSwitchTable

Labels = Literal["input_only", "both", "none", "inputs_before_masking"]
Candidates = Literal["probability", "uniform", "best"]

LABELS = {
    "input_only": kernel.INPUT_ONLY,
    "both": kernel.BOTH,
    "none": kernel.NONE,
    "inputs_before_masking": kernel.BOTH,
}
CANDIDATES = {"probability": 0, "uniform": 1, "best": 2}
SHORT = np.dtype(np.uint16)
NOWHERE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Event:
    """One switched word: tokens `start:stop` of the row given became tokens `out_start:out_stop` of the row made."""

    row: int
    start: int
    stop: int
    out_start: int
    out_stop: int
    language: str


@dataclass(frozen=True, slots=True)
class Switched:
    """Switched rows and what happened."""

    input_ids: NDArray[np.integer]
    """[rows, width]"""
    labels: NDArray[np.integer]
    """[rows, width]; label i belongs to token i (models shift by themselves), -100 is ignored."""
    lengths: NDArray[np.int64]
    """[rows]: tokens before the padding."""
    used: NDArray[np.int64]
    """[rows]: tokens of the row given that this one stands for; the rest did not fit."""
    n_eligible: int
    """Words of the source language that the table has translations for, in the tokens used."""
    n_switched: int
    n_cut: int
    """Tokens given that did not fit."""
    n_tokens: int
    """Tokens given."""
    by_language: dict[str, int]
    """Switched words by target language."""
    events: list[Event] | None
    """All switches in order, when asked for."""
    mask: NDArray[np.bool_] | None
    """[rows, width]: True on the tokens of translations, when asked for."""

    @property
    def width(self) -> int:
        """Tokens per row, padding included."""
        return int(self.input_ids.shape[-1])


def switch_rows(
    table: CodeSwitchTable,
    rows: Sequence[NDArray[np.integer]] | NDArray[np.integer],
    *,
    keys: NDArray[np.uint64],
    ratio: float | NDArray[np.float64] | Mapping[str, float],
    scale: NDArray[np.float64] | None = None,
    labels: Labels = "input_only",
    candidates: Candidates = "probability",
    document_share: float = 1.0,
    length: int | None = None,
    run: int = 1,
    at_most: int | None = None,
    multiple_of: int = 1,
    given_labels: Sequence[NDArray[np.integer]] | None = None,
    documents: Sequence[NDArray[np.integer]] | None = None,
    pad: int = 0,
    pad_left: bool = False,
    out: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
    with_events: bool = False,
    with_mask: bool = False,
) -> Switched:
    """Replace eligible words by translations.

    Args:
        rows: token ids, a list of arrays of any integer type, or [rows, tokens].
        keys: [rows] uint64, one key per row and epoch (`draws.key(seed, "switch", epoch, example)`).
        ratio: share of eligible words switched, 0 to 1; one number, or one per row, or one per target language: then an
            eligible word goes to each of the languages that it has translations in with that language's probability,
            and the ratios sum to at most 1.
        scale: [rows] factors of the ratio, 0 to 1.
        labels: what is predicted at a translation. `input_only`: its first position keeps the label of the original
            word, the others are ignored. `both`: the translation. `none`: nothing. `inputs_before_masking`: the
            switched ids, for a masked LM that masks afterwards.
        candidates: how one of several translations is drawn.
        document_share: share of the rows in which words are switched at all.
        length: exact width of the result. Longer rows are cut, never inside a translation (one that does not fit leaves
            the original word), shorter ones are padded. None: the longest row decides.
        run: this many neighbouring eligible words share one decision (1: each word has its own).
        at_most: without `length`, cut rows to this many tokens. multiple_of: without `length`, pad to a multiple of
            this.
        given_labels: labels of the rows where they differ from the tokens; ignored positions (-100) stay ignored.
        documents: for packed rows, the places in each row where a document begins (0 first); no match reaches over
            them.
        pad: token id of the padding. pad_left: pad before the row instead of after it.
        out: arrays [rows, length] to write ids and labels to (for example pinned memory); needs `length`.
        with_events: also list every switch. with_mask: also mark the tokens of translations.
    Raises:
        PrealignError: options or shapes that do not fit, or token ids outside the table's vocabulary.
    """
    tokens, starts = flatten(rows)
    n_rows = len(starts) - 1
    check_options(labels, candidates, document_share, run=run, length=length, at_most=at_most, multiple_of=multiple_of)
    if keys.shape != (n_rows,):
        raise PrealignError(f"Every row needs one key: {n_rows} rows, keys of shape {keys.shape}.")
    if out is not None and (length is None or any(array.shape != (n_rows, length) for array in out)):
        raise PrealignError(f"`out` needs `length`, and two arrays of shape ({n_rows}, length).")
    flat_labels = tokens[:0]
    if given_labels is not None:
        tokens = tokens.astype(np.int32)
        tokens.flags.writeable = False
        flat_labels, label_starts = flatten([np.asarray(row, dtype=np.int32) for row in given_labels])
        if not np.array_equal(label_starts, starts):
            raise PrealignError(
                "Rows and their labels differ in length; every token needs one label (-100 for ignored)."
            )
    borders, border_starts = _document_borders(documents, starts)
    ratios, language_shares = _ratios(ratio, n_rows, table.target_languages)
    if scale is not None:
        ratios = ratios * _ratios(scale, n_rows, ())[0]

    event_starts = np.empty(n_rows + 1, dtype=np.int64)
    lengths, used, eligible = np.empty((3, n_rows), dtype=np.int64)
    by_language = np.zeros(len(table.target_languages), dtype=np.int64)
    try:
        events = kernel.plan(
            table.arrays,
            tokens,
            starts,
            borders,
            border_starts,
            np.ascontiguousarray(keys, dtype=np.uint64),
            ratios,
            language_shares,
            np.uint64(math.ceil(document_share * 2.0**53)),
            run,
            CANDIDATES[candidates],
            length or at_most or 0,
            event_starts,
            lengths,
            used,
            eligible,
            by_language,
        )
    except IndexError:
        raise PrealignError(
            f"Token ids reach from {int(tokens.min())} to {int(tokens.max())}, but the switching table knows ids 0 to "
            f"{table.vocab_size - 1}. Were the rows made with another tokenizer than the table "
            f"({table.report.tokenizer})?"
        ) from None
    width = length if length is not None else -(-int(lengths.max(initial=0)) // multiple_of) * multiple_of
    ids, new_labels = out if out is not None else (np.empty((n_rows, width), dtype=np.int64) for _ in range(2))
    mask = np.empty((n_rows, width) if with_mask else (0, 0), dtype=np.bool_)
    kernel.write(
        table.arrays.pieces, tokens, flat_labels, starts, events, event_starts, lengths,
        LABELS[labels], pad, pad_left, ids, new_labels, mask,
    )  # fmt: skip
    return Switched(
        input_ids=ids,
        labels=new_labels,
        lengths=lengths,
        used=used,
        n_eligible=int(eligible.sum()),
        n_switched=len(events),
        n_cut=len(tokens) - int(used.sum()),
        n_tokens=len(tokens),
        by_language=dict(zip(table.target_languages, by_language.tolist())),
        events=_events(table, events, event_starts) if with_events else None,
        mask=mask if with_mask else None,
    )


def flatten(rows: Sequence[NDArray[np.integer]] | NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """All rows one after the other, read-only, and the borders between them, [rows + 1].

    The loops are compiled for two types: uint16 stays, all others become int32 while they are put together.
    """
    starts = np.zeros(len(rows) + 1, dtype=np.int64)
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2:
            raise PrealignError(f"Rows must be a list of arrays or an array [rows, tokens]; got shape {rows.shape}.")
        np.cumsum(np.full(len(rows), rows.shape[1]), out=starts[1:])
        dtype = np.uint16 if rows.dtype == SHORT else np.int32
        flat: NDArray[Any] = rows.reshape(-1).astype(dtype, copy=False)
    else:
        np.cumsum([len(row) for row in rows], out=starts[1:])
        dtype = np.uint16 if {row.dtype for row in rows} == {SHORT} else np.int32
        flat = np.concatenate(rows, dtype=dtype, casting="unsafe") if len(rows) else np.zeros(0, dtype=dtype)
    flat = flat.view()
    flat.flags.writeable = False
    return flat, starts


def _document_borders(
    documents: Sequence[NDArray[np.integer]] | None, starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where documents begin inside rows, for all rows one after the other, and the borders between rows."""
    border_starts = np.zeros(len(starts), dtype=np.int64)
    if documents is None:
        return NOWHERE, border_starts
    if len(documents) != len(starts) - 1:
        raise PrealignError(f"`documents` needs the places of each row: {len(starts) - 1} rows, got {len(documents)}.")
    for places, length in zip(documents, np.diff(starts).tolist()):
        rising = len(places) > 0 and places[0] == 0 and bool((np.diff(places) > 0).all())
        if not rising or places[-1] >= max(1, length):
            raise PrealignError(
                "The documents of a packed row must begin at rising places inside it, the first at its first token "
                f"(place 0); got {np.asarray(places).tolist()} for a row of {length} tokens."
            )
    np.cumsum([len(places) - 1 for places in documents], out=border_starts[1:])
    return np.concatenate([NOWHERE, *(places[1:] for places in documents)]).astype(np.int64), border_starts


def _ratios(
    ratio: float | NDArray[np.float64] | Mapping[str, float], n_rows: int, languages: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """The ratio of each row; and, where languages have their own, their running shares of it in units of 2**-32."""
    shares = np.zeros(0, dtype=np.uint64)
    if isinstance(ratio, Mapping):
        if unknown := sorted(set(ratio) - set(languages)):
            raise PrealignError(
                f"`ratio` names {', '.join(unknown)}, but the switching table translates into {', '.join(languages)}."
            )
        running = np.cumsum([ratio.get(code, 0.0) for code in languages])
        if min(ratio.values(), default=0.0) < 0.0 or running[-1] > 1.0:
            raise PrealignError(f"The ratios of the target languages must be at least 0 and sum to at most 1: {ratio}.")
        ratio = float(running[-1])
        shares = np.rint(running / max(ratio, 1e-300) * 2.0**32).astype(np.uint64)
    ratios = np.asarray(ratio, dtype=np.float64)
    if ratios.ndim == 0:
        ratios = np.full(n_rows, ratios)
    if ratios.shape != (n_rows,):
        raise PrealignError(
            f"`ratio` must be one number or one per row: {n_rows} rows, ratios of shape {ratios.shape}."
        )
    if n_rows and not 0.0 <= float(ratios.min()) <= float(ratios.max()) <= 1.0:
        raise PrealignError(f"`ratio` must lie between 0 and 1; got {float(ratios.min())} to {float(ratios.max())}.")
    return ratios, shares


def _events(table: CodeSwitchTable, events: NDArray[np.int64], event_starts: NDArray[np.int64]) -> list[Event]:
    listed = []
    for row in range(len(event_starts) - 1):
        shift = 0
        for start, stop, piece, candidate in events[event_starts[row] : event_starts[row + 1]].tolist():
            size = piece & ((1 << SIZE_BITS) - 1)
            language = table.target_languages[table.arrays.candidates[candidate, LANGUAGE]]
            listed.append(Event(row, start, stop, start + shift, start + shift + size, language))
            shift += size - (stop - start)
    return listed


def check_options(labels: str, candidates: str, document_share: float, **counts: int | None) -> None:
    """Refuse options that mean nothing; `counts` are those that must be at least 1, by the name the caller knows."""
    if labels not in LABELS:
        raise PrealignError(f"labels must be one of {', '.join(LABELS)}; got {labels!r}.")
    if candidates not in CANDIDATES:
        raise PrealignError(f"candidates must be one of {', '.join(CANDIDATES)}; got {candidates!r}.")
    if not 0.0 <= document_share <= 1.0:
        raise PrealignError(f"document_share must lie between 0 and 1, got {document_share}.")
    for name, value in counts.items():
        if value is not None and value < 1:
            raise PrealignError(f"{name} must be at least 1, got {value}.")

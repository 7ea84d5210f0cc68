"""What switching does to a text, for people: the original beside the switched words, and statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.codeswitch.switch import Candidates, Labels, switch_rows
from prealign.codeswitch.table import CodeSwitchTable


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a row: unswitched text, or one word and its translation."""

    original: str
    switched: str
    language: str | None
    """Target language of the translation; None where nothing was switched."""
    token_ids: list[int]
    """The ids given to the model."""
    labels: list[int]


@dataclass(frozen=True, slots=True)
class Preview:
    """Switched rows as segments, with what happened over all of them."""

    rows: list[list[Segment]]
    ratio: float
    n_eligible: int
    n_switched: int
    n_tokens: int
    n_cut: int
    by_language: dict[str, int]
    length_change: float
    """Tokens made per token given, without what was cut."""
    top_switched: list[tuple[str, str, int]]
    """Original, translation and count of the most frequent switches."""

    @property
    def achieved(self) -> float:
        """Share of the eligible words that were switched."""
        return self.n_switched / max(1, self.n_eligible)


def preview(
    table: CodeSwitchTable,
    tokenizer: Any,
    rows: Sequence[NDArray[np.integer]],
    *,
    keys: NDArray[np.uint64],
    ratio: float,
    labels: Labels = "input_only",
    candidates: Candidates = "probability",
    length: int | None = None,
    top: int = 20,
) -> Preview:
    """Switch rows of token ids and show them as text.

    Args:
        tokenizer: its `decode` writes the text of the segments.
        top: so many of the most frequent switches are listed.
        The others as in `switch.switch_rows`.
    """
    done = switch_rows(
        table, rows, keys=keys, ratio=ratio, labels=labels, candidates=candidates, length=length, with_events=True
    )
    shown: list[list[Segment]] = [[] for _ in rows]
    counts: Counter[tuple[str, str]] = Counter()
    places = [(0, 0)] * len(rows)

    def stretch(row: int, start: int, stop: int, out_start: int, out_stop: int, language: str | None) -> Segment:
        ids = done.input_ids[row, out_start:out_stop].tolist()
        row_labels = done.labels[row, out_start:out_stop].tolist()
        original = tokenizer.decode(np.asarray(rows[row][start:stop]).tolist())
        return Segment(original, original if language is None else tokenizer.decode(ids), language, ids, row_labels)

    for event in done.events or []:
        place, out = places[event.row]
        if event.start > place:
            shown[event.row].append(stretch(event.row, place, event.start, out, event.out_start, None))
        word = stretch(event.row, event.start, event.stop, event.out_start, event.out_stop, event.language)
        shown[event.row].append(word)
        counts[word.original.strip(), word.switched.strip()] += 1
        places[event.row] = (event.stop, event.out_stop)
    for row, (place, out) in enumerate(places):
        if rest := int(done.lengths[row]) - out:
            shown[row].append(stretch(row, place, place + rest, out, out + rest, None))
    return Preview(
        rows=shown,
        ratio=ratio,
        n_eligible=done.n_eligible,
        n_switched=done.n_switched,
        n_tokens=done.n_tokens,
        n_cut=done.n_cut,
        by_language=done.by_language,
        length_change=int(done.lengths.sum()) / max(1, done.n_tokens - done.n_cut),
        top_switched=[(original, switched, count) for (original, switched), count in counts.most_common(top)],
    )

"""What switching does to a text, for people: samples as text and tokens, and what happens over many rows.

Sits beside training and collating, which know nothing of it: rows are switched as they do it (switch.py), read back
as text through the vocabulary, and counted. Printing is the business of `report.preview` and `stages.preview`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from prealign.codeswitch import kernel
from prealign.codeswitch.coverage import coverage
from prealign.codeswitch.forms import fold
from prealign.codeswitch.switch import Candidates, Event, Labels, Switched, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.codeswitch.token_text import TokenText
from prealign.corpora.text_tokenizer import FastTokenizer
from prealign.dictionary.coverage import Coverage
from prealign.errors import PrealignError

NEIGHBOURS = 2
"""Tokens shown on either side of a translation."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a row: text that stayed, or a translation with the word it stands for."""

    text: str
    """What the model reads, its leading space included."""
    original: str
    language: str | None
    """Target language of the translation; None where nothing was switched."""


@dataclass(frozen=True, slots=True)
class Token:
    """One position of a switched row."""

    piece: str
    """What the token writes, "▁" for a space."""
    id: int
    label: str | None
    """What is predicted at this position, written like `piece`; None where the label is ignored."""
    language: str | None
    """Target language on the tokens of a translation."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One switched row."""

    row: int
    segments: list[Segment]
    tokens: list[list[Token]]
    """Translations with their neighbours, one list for each connected stretch."""


@dataclass(frozen=True, slots=True)
class TopWord:
    """A source word that was switched often."""

    word: str
    count: int
    translations: list[tuple[str, str, float]]
    """Translation, language and its share of the count; the most frequent first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Switched words of one target language."""

    asked: float
    """Share of the eligible words that should go to this language."""
    got: float
    count: int


@dataclass(frozen=True, slots=True)
class Preview:
    """Switched rows and what happened over all of them."""

    source_language: str
    samples: list[Sample]
    asked: float
    """Share of the eligible words that should be switched."""
    n_rows: int
    n_tokens: int
    """Tokens of the original text that the rows stand for."""
    n_eligible: int
    n_switched: int
    by_language: dict[str, Rate]
    length_change: float
    """Tokens made per token of the original."""
    cut_share: float
    """Share of the original's tokens, up to `length` in each row, that did not fit after switching."""
    top_switched: list[TopWord]
    coverage: Coverage

    @property
    def got(self) -> float:
        """Share of the eligible words that were switched."""
        return self.n_switched / max(1, self.n_eligible)


def preview(
    table: CodeSwitchTable,
    tokenizer: FastTokenizer,
    rows: Sequence[NDArray[np.integer]],
    *,
    texts: Iterable[str],
    keys: NDArray[np.uint64],
    ratio: float | Mapping[str, float],
    labels: Labels = "input_only",
    candidates: Candidates = "probability",
    document_share: float = 1.0,
    run: int = 1,
    length: int | None = None,
    samples: int = 8,
    top: int = 10,
) -> Preview:
    """Switch rows of token ids, show some of them and count over all.

    Args:
        rows: token ids, as given in training: somewhat longer than `length`, so that shortened rows are still full.
        texts: the documents that the rows are made of, to measure coverage on whole words.
        samples: so many rows become samples, the first ones in which a word was switched.
        top: so many of the most frequently switched words are listed.
        The others as in `switch.switch_rows`.
    Raises:
        PrealignError: no word of the rows has an entry, or `samples` is below 1.
    """
    if samples < 1:
        raise PrealignError(f"samples must be at least 1, got {samples}: so many rows of text are shown.")
    switch = partial(switch_rows, table, rows, keys=keys, labels=labels, candidates=candidates, length=length)
    done = switch(ratio=ratio, document_share=document_share, run=run, with_events=True)
    reader = TokenText(tokenizer)
    covered = coverage(table, tokenizer, texts)
    if not done.n_eligible:
        frequent = ", ".join(word for word, _ in covered.missing[:5]) or "none"
        raise PrealignError(
            f"No word of the text has an entry in the dictionaries from {table.source_language}; its most frequent "
            f"words: {frequent}. Is the text in that language?"
        )
    by_row: defaultdict[int, list[Event]] = defaultdict(list)
    for event in done.events or []:
        by_row[event.row].append(event)
    asked = {code: document_share * share for code, share in _asked(ratio, switch, table.target_languages).items()}
    whole = [min(len(row), length or len(row)) for row in rows]
    return Preview(
        source_language=table.source_language,
        samples=[_sample(row, rows[row], done, by_row[row], reader) for row in list(by_row)[:samples]],
        asked=sum(asked.values()),
        n_rows=len(rows),
        n_tokens=int(done.used.sum()),
        n_eligible=done.n_eligible,
        n_switched=done.n_switched,
        by_language={
            code: Rate(asked[code], count / done.n_eligible, count) for code, count in done.by_language.items()
        },
        length_change=int(done.lengths.sum()) / max(1, int(done.used.sum())),
        cut_share=int(np.maximum(np.array(whole) - done.used, 0).sum()) / max(1, sum(whole)),
        top_switched=_top(rows, done, reader, table.source_language)[:top],
        coverage=covered,
    )


def _sample(number: int, row: NDArray[np.integer], done: Switched, events: list[Event], reader: TokenText) -> Sample:
    """One row as text, and its translations as tokens."""
    ids = done.input_ids[number, : done.lengths[number]].tolist()
    labels = done.labels[number, : len(ids)].tolist()
    languages: list[str | None] = [None] * len(ids)
    near = np.zeros(len(ids), dtype=np.bool_)
    segments: list[Segment] = []
    place = 0

    def stays(start: int, stop: int) -> None:
        if stop > start:
            text = reader.text(ids[start:stop])
            segments.append(Segment(text, text, None))

    for event in events:
        stays(place, event.out_start)
        place = event.out_stop
        original = reader.text(row[event.start : event.stop].tolist())
        segments.append(Segment(reader.text(ids[event.out_start : place]), original, event.language))
        languages[event.out_start : place] = [event.language] * (place - event.out_start)
        near[max(0, event.out_start - NEIGHBOURS) : place + NEIGHBOURS] = True
    stays(place, len(ids))
    predicted = [None if label == kernel.IGNORED else reader.piece(label) for label in labels]
    tokens = list(map(Token, map(reader.piece, ids), ids, predicted, languages))
    runs = groupby(zip(tokens, near.tolist()), key=itemgetter(1))
    return Sample(number, segments, [[token for token, _ in run] for is_near, run in runs if is_near])


def _asked(
    ratio: float | Mapping[str, float], switch: Callable[..., Switched], languages: Iterable[str]
) -> dict[str, float]:
    """Share of the eligible words that should go to each target language, from switching all that can go there."""
    if isinstance(ratio, Mapping):
        alone = {code: switch(ratio={code: 1.0}) for code in languages}
        return {code: ratio.get(code, 0.0) * done.n_switched / max(1, done.n_eligible) for code, done in alone.items()}
    done = switch(ratio=1.0)
    return {code: ratio * count / max(1, done.n_switched) for code, count in done.by_language.items()}


def _top(rows: Sequence[NDArray[np.integer]], done: Switched, reader: TokenText, source_language: str) -> list[TopWord]:
    """Switched words, the most frequent first; spellings that differ in case count together, under the commonest."""
    spellings: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    counts: defaultdict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)

    def seen(ids: NDArray[np.integer], language: str) -> tuple[str, str]:
        spelling = reader.text(ids.tolist()).strip()
        key = (language, fold(spelling, language))
        spellings[key][spelling] += 1
        return key

    for event in done.events or []:
        word = seen(rows[event.row][event.start : event.stop], source_language)
        counts[word][seen(done.input_ids[event.row, event.out_start : event.out_stop], event.language)] += 1

    def written(key: tuple[str, str]) -> str:
        return spellings[key].most_common(1)[0][0]

    found = [
        TopWord(
            written(word),
            counted.total(),
            [(written(target), target[0], count / counted.total()) for target, count in counted.most_common()],
        )
        for word, counted in counts.items()
    ]
    return sorted(found, key=lambda top: (-top.count, top.word))

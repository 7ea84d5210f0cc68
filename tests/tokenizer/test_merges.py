"""Pairs that become one token: small words by hand, and a slow count after every join."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.tokenizer.merges import Pair, join, learn_merges


def learnt(words: dict[tuple[int, ...], int], min_count: int = 1, never: frozenset[Pair] = frozenset()) -> list[Pair]:
    """The pairs, each of which becomes the next id from 100 on."""
    ids: dict[Pair, int] = {}
    return list(
        learn_merges(words, lambda pair: None if pair in never else ids.setdefault(pair, 100 + len(ids)), min_count)
    )


def slowly(words: dict[tuple[int, ...], int], min_count: int) -> list[Pair]:
    """Count all pairs anew before every join."""
    cut = {word: list(word) for word in words}
    pairs: list[Pair] = []
    while True:
        counts: Counter[Pair] = Counter()
        for word, count in words.items():
            for pair in zip(cut[word], cut[word][1:]):
                counts[pair] += count
        best = min(((-count, pair) for pair, count in counts.items() if count >= min_count), default=None)
        if best is None:
            return pairs
        cut = {word: join(now, best[1], 100 + len(pairs)) for word, now in cut.items()}
        pairs.append(best[1])


def test_by_hand() -> None:
    # "low" 5 times, "lower" 2, "wer" 4: l=1 o=2 w=3 e=4 r=5
    words = {(1, 2, 3): 5, (1, 2, 3, 4, 5): 2, (3, 4, 5): 4}
    # l o: 7, o w: 7, w e: 6, e r: 6. (1, 2) first by ties; then (lo, w): 7; then e r: 6; then (w, er): 4, (low, er): 2.
    assert learnt(words) == [(1, 2), (100, 3), (4, 5), (3, 102), (101, 102)]
    assert learnt(words, min_count=4) == [(1, 2), (100, 3), (4, 5), (3, 102)]
    assert learnt(words, never=frozenset({(1, 2)}))[0] == (2, 3)


def test_a_run_of_one_token_is_joined_from_the_left() -> None:
    assert join([1, 1, 1], (1, 1), 9) == [9, 1]
    assert join([2, 1, 1, 1, 1], (1, 1), 9) == [2, 9, 9]
    assert learnt({(1, 1, 1, 1): 1}) == [(1, 1), (100, 100)]


@given(
    st.dictionaries(st.lists(st.integers(0, 3), min_size=1, max_size=7).map(tuple), st.integers(1, 5), max_size=8),
    st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_equals_counting_anew(words: dict[tuple[int, ...], int], min_count: int) -> None:
    assert learnt(words, min_count) == slowly(words, min_count)

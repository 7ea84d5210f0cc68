"""Which neighbouring tokens become one: byte-pair encoding on top of a tokenizer that exists.

Ordinary BPE starts from characters; this starts from words as a tokenizer cuts them and joins the pair of tokens that
is most frequent, again and again (Sennrich et al. 2016, with tokens in the place of characters). So every piece learned
is a run of old tokens that really stand beside each other, and none is beyond the tokenizer's reach, as many are when
a second vocabulary is simply added to a first one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

Pair = tuple[int, int]


def learn_merges(
    words: Mapping[tuple[int, ...], int], result: Callable[[Pair], int | None], min_count: int
) -> Iterator[Pair]:
    """Yield the pairs to join, the most frequent first; ties go to the smaller ids.

    Args:
        words: a word as token ids -> how often it occurs.
        result: the id that a pair becomes, asked when it is next to be joined; None: this pair is never joined.
        min_count: stop when no pair is left that occurs so often.
    """
    cut = [list(word) for word in words]
    times = list(words.values())
    counts: defaultdict[Pair, int] = defaultdict(int)
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(cut):
        for pair in pairwise(word):
            counts[pair] += times[number]
            places[pair].add(number)
    queue = [(-count, pair) for pair, count in counts.items() if count >= min_count]
    heapq.heapify(queue)
    while queue:
        count, pair = heapq.heappop(queue)
        if -count != counts[pair]:  # grown or shrunk since it was queued; the right count is queued as well
            continue
        new = result(pair)
        if new is None:
            continue
        yield pair
        changed: set[Pair] = set()
        for number in sorted(places.pop(pair)):
            word = cut[number]
            joined = join(word, pair, new)
            if len(joined) == len(word):
                continue
            for old in pairwise(word):
                counts[old] -= times[number]
                changed.add(old)
            for now in pairwise(joined):
                counts[now] += times[number]
                places[now].add(number)
                changed.add(now)
            cut[number] = joined
        counts.pop(pair, None)
        changed.discard(pair)
        for other in changed:
            if counts[other] >= min_count:
                heapq.heappush(queue, (-counts[other], other))


def join(word: list[int], pair: Pair, new: int) -> list[int]:
    """The word with every occurrence of the pair joined, from the left."""
    joined: list[int] = []
    place = 0
    while place < len(word):
        if place + 1 < len(word) and (word[place], word[place + 1]) == pair:
            joined.append(new)
            place += 2
        else:
            joined.append(word[place])
            place += 1
    return joined

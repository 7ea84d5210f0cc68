"""Which words of a row of token ids the table knows, and where: the compiled look-up.

    mark_tokens    one look at every token and its neighbours: is it a word by itself, could a longer one begin here?
    longest_match  where that look does not settle it: the longest key that begins at a place
    find_words     both together: a bit per token that begins an eligible word, and a list of those of several tokens

Nearly all words are settled by `mark_tokens`, which has no branch that depends on the text: a processor guesses such
branches wrong, and each wrong guess costs more than the whole rest (4 million tokens a second with a general match for
each token, several hundred so).
"""

from __future__ import annotations

import numba
import numpy as np

from prealign.codeswitch.arrays import BEGINS_SHIFT, BORDER_BITS, INNER, JOINS_SHIFT, OUTER, ROOT, SINGLE
from prealign.codeswitch.characters import BEGINS, BEGINS_UNKNOWN, JOINS, JOINS_ALL, PARTIAL
from prealign.codeswitch.trie import find_edge

BLOCK = 64
"""Tokens per number of a bitmap."""

_ROOT, _SINGLE, _INNER, _OUTER = np.uint16(ROOT), np.uint16(SINGLE), np.uint16(INNER), np.uint16(OUTER)
_TO_BEGINS = np.uint16(JOINS_SHIFT - BEGINS_SHIFT)
_PARTIAL_BIT = np.uint16(PARTIAL << BEGINS_SHIFT)
_BEGINS_BITS = np.uint16((BORDER_BITS ^ PARTIAL) << BEGINS_SHIFT)
_NONE = np.uint16(0)
_OPEN = np.uint8(2)
_ONE = np.uint64(1)
_ONES, _TWOS, _HIGHS = (np.uint64(byte * 0x0101010101010101) for byte in (1, 2, 0x80))
_GATHER = np.uint64(0x0102040810204080)
"""Times eight bytes of 0 or 1, the highest byte of the product has one bit for each."""


@numba.njit(cache=True, nogil=True)
def bits_of_bytes(mask):  # type: ignore[no-untyped-def]
    """How many bits are set in each of 8 bytes."""
    mask = mask - ((mask >> _ONE) & np.uint64(0x5555555555555555))
    mask = (mask & np.uint64(0x3333333333333333)) + ((mask >> np.uint64(2)) & np.uint64(0x3333333333333333))
    return (mask + (mask >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)


@numba.njit(cache=True, nogil=True)
def count_bits(mask):  # type: ignore[no-untyped-def]
    """How many of 64 bits are set."""
    return np.int64((bits_of_bytes(mask) * _ONES) >> np.uint64(56))


@numba.njit(cache=True, nogil=True)
def bit_number(mask, number):  # type: ignore[no-untyped-def]
    """The place of the set bit that has `number` set bits below it (Vigna: Broadword implementation of rank/select
    queries, 2008)."""
    up_to = bits_of_bytes(mask) * _ONES  # in each byte, the bits set in it and all lower ones
    is_below = ((np.uint64(number) * _ONES | _HIGHS) - up_to) & _HIGHS
    byte = np.uint64(8) * (((is_below >> np.uint64(7)) * _ONES) >> np.uint64(56))
    before = ((up_to << np.uint64(8)) >> byte) & np.uint64(0xFF)
    rest = (mask >> byte) & np.uint64(0xFF)
    for _ in range(number - np.int64(before)):
        rest &= rest - _ONE
    return np.int64(byte) + count_bits((rest & (~rest + _ONE)) - _ONE)


@numba.njit(cache=True, nogil=True)
def from_place(place):  # type: ignore[no-untyped-def]
    """Ones from a place of a block on."""
    return ~np.uint64(0) << np.uint64(place) if place < BLOCK else np.uint64(0)


@numba.njit(cache=True, nogil=True)
def class_of_bytes(classes, held, n, exact):  # type: ignore[no-untyped-def]
    """Class of the UTF-8 character that `n` bytes begin with (the first one in the highest 8 of 32 bits), or that
    they are with `exact`; -1: they do not."""
    lead = held >> 24
    size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if n < size or (exact and n > size) or 0x80 <= lead < 0xC2:
        return np.int64(-1)
    code = lead if size == 1 else lead & (0x7F >> size)
    for place in range(1, size):
        byte = held >> (24 - 8 * place) & 0xFF
        if byte & 0xC0 != 0x80:
            return np.int64(-1)
        code = code << 6 | byte & 0x3F
    return np.int64(classes[code]) if code < classes.shape[0] else np.int64(-1)


@numba.njit(cache=True, nogil=True)
def beginning_at(kinds, head, n_bytes, classes, tokens, place, stop):  # type: ignore[no-untyped-def]
    """How the text from `place` on begins, also where its first character is spread over several tokens."""
    begins = (np.int64(kinds[tokens[place]]) >> BEGINS_SHIFT) & BORDER_BITS
    if begins != PARTIAL:
        return begins
    held, n = np.int64(0), 0
    while n < 4 and place < stop and n_bytes[tokens[place]] > 0:
        for byte in range(min(n_bytes[tokens[place]], 4 - n)):
            held |= np.int64(head[tokens[place], byte]) << (24 - 8 * n)
            n += 1
        place += 1
    found = class_of_bytes(classes, held, n, False)
    return np.int64(BEGINS[found]) if found >= 0 else np.int64(BEGINS_UNKNOWN)


@numba.njit(cache=True, nogil=True)
def ending_at(kinds, tail, n_bytes, classes, tokens, place, start):  # type: ignore[no-untyped-def]
    """Which beginnings the text up to and with `place` joins, also where its last character is spread over several
    tokens."""
    joins = (np.int64(kinds[tokens[place]]) >> JOINS_SHIFT) & BORDER_BITS
    if joins != PARTIAL:
        return joins
    held, n = np.int64(0), 0
    while n < 4 and place >= start and n_bytes[tokens[place]] > 0:
        for byte in range(min(n_bytes[tokens[place]], 4 - n)):
            value = np.int64(tail[tokens[place], 3 - byte])
            held = value << 24 | held >> 8
            n += 1
            if value & 0xC0 != 0x80:  # the leading byte of the last character
                found = class_of_bytes(classes, held, n, True)
                return np.int64(JOINS[found]) if found >= 0 else np.int64(JOINS_ALL)
        place -= 1
    return np.int64(JOINS_ALL)


@numba.njit(cache=True, nogil=True)
def longest_match(  # type: ignore[no-untyped-def]
    kinds, root, edge_keys, edge_nodes, codes, has_children, head, tail, n_bytes, classes, tokens, place, start, stop,
):  # fmt: skip
    """The longest key that begins at `place` and has word borders on both sides: (place behind it, its code) or (place,
    -1)."""
    node = root[tokens[place]]
    behind, code = place, np.int32(-1)
    if node == 0:
        return behind, code
    if place > start:
        ending = ending_at(kinds, tail, n_bytes, classes, tokens, place - 1, start)
        if ending & beginning_at(kinds, head, n_bytes, classes, tokens, place, stop):
            return behind, code
    here = place + 1
    while True:
        if codes[node] != -1:
            joined = np.int64(0)
            if here < stop:
                ending = ending_at(kinds, tail, n_bytes, classes, tokens, here - 1, start)
                joined = ending & beginning_at(kinds, head, n_bytes, classes, tokens, here, stop)
            if joined == 0:
                behind, code = here, codes[node]
        if here == stop or has_children[node] == 0:
            return behind, code
        node = find_edge(edge_keys, edge_nodes, node, tokens[here])
        if node == 0:
            return behind, code
        here += 1


@numba.njit(cache=True, nogil=True)
def mark_tokens(kinds, tokens, held, marks):  # type: ignore[no-untyped-def]
    """Mark each token: 1 a word by itself, 2 perhaps the beginning of a longer one, 0 neither.

    `held` [n + 2] and `marks` [n] have room for whole blocks; places behind the last token are marked 0.
    """
    n, padded = tokens.shape[0], marks.shape[0]
    held[0] = 0
    for place in range(n):
        held[place + 1] = kinds[tokens[place]]
    held[n + 1 : padded + 2] = 0
    for place in range(padded):
        before, here, after = held[place], held[place + 1], held[place + 2]
        joined_left = np.uint16((before >> _TO_BEGINS) & here & _BEGINS_BITS)
        joined_right = np.uint16((here >> _TO_BEGINS) & after & _BEGINS_BITS)
        partial = np.uint16(((before >> _TO_BEGINS) | here | (here >> _TO_BEGINS) | after) & _PARTIAL_BIT)
        goes_on = np.uint16(here & (_INNER if joined_right != _NONE else _OUTER))
        is_open = (here & _ROOT != _NONE) & ((partial != _NONE) | ((joined_left == _NONE) & (goes_on != _NONE)))
        is_word = (here & _SINGLE != _NONE) & (joined_left == _NONE) & (joined_right == _NONE)
        marks[place] = _OPEN if is_open else np.uint8(is_word)


@numba.njit(cache=True, nogil=True)
def find_words(table, tokens, documents, held, eights, words, longer):  # type: ignore[no-untyped-def]
    """Find the eligible words of one row.

    Args:
        table: `Arrays`.
        tokens: [tokens] of the row.
        documents: places where its documents begin, ascending, 0 left out; no word reaches over them.
        held, eights: work space, at least [blocks * 64 + 2] uint16 and [blocks * 8] uint64 (the marks).
        words: [blocks] uint64, filled: a bit for each token that begins an eligible word.
        longer: [tokens, 3], filled: start, stop and code of the words of several tokens, in order.
    Returns:
        The number of words in `longer`.
    """
    # Taken out of the table once a row: each time costs a count of references.
    kinds, root, codes, has_children = table.kinds, table.root, table.codes, table.has_children
    edge_keys, edge_nodes, classes = table.edge_keys, table.edge_nodes, table.classes
    head, tail, n_bytes = table.head, table.tail, table.n_bytes
    n = tokens.shape[0]
    n_blocks = (n + BLOCK - 1) // BLOCK
    marks = eights.view(np.uint8)[: n_blocks * BLOCK]
    mark_tokens(kinds, tokens, held, marks)
    for border in documents:  # what stands beside a border is looked at with the border in view
        marks[border - 1], marks[border] = _OPEN, _OPEN
    n_longer, start, document, free = 0, 0, 0, 0
    for block in range(n_blocks):
        first = block * BLOCK
        mask, is_open, opens = np.uint64(0), np.uint64(0), np.uint64(0)
        for part in range(8):
            eight = eights[block * 8 + part]
            is_open |= eight & _TWOS
            mask |= (((eight & _ONES) * _GATHER) >> np.uint64(56)) << np.uint64(part * 8)
        if is_open != 0:
            for part in range(8):
                eight = (eights[block * 8 + part] >> _ONE) & _ONES
                opens |= ((eight * _GATHER) >> np.uint64(56)) << np.uint64(part * 8)
        if free > first:  # a match of the block before reaches into this one
            mask, opens = mask & from_place(free - first), opens & from_place(free - first)
        while opens != 0:
            place = first + bit_number(opens, 0)
            while document < documents.shape[0] and documents[document] <= place:
                start = documents[document]
                document += 1
            stop = documents[document] if document < documents.shape[0] else n
            behind, code = longest_match(
                kinds, root, edge_keys, edge_nodes, codes, has_children, head, tail, n_bytes, classes, tokens, place,
                start, stop,
            )  # fmt: skip
            opens &= opens - _ONE
            if behind == place:
                continue
            free = behind
            covered = from_place(place - first) & ~from_place(free - first)
            mask, opens = mask & ~covered, opens & ~covered
            if code >= 0:
                mask |= _ONE << np.uint64(place - first)
                if behind > place + 1:
                    longer[n_longer, 0], longer[n_longer, 1], longer[n_longer, 2] = place, behind, code
                    n_longer += 1
        words[block] = mask
    return n_longer


@numba.njit(cache=True, nogil=True)
def word_at(single, tokens, longer, n_longer, seen, place):  # type: ignore[no-untyped-def]
    """The word that begins at `place`, as (how many of `longer` lie before it, place behind it, code)."""
    while seen < n_longer and longer[seen, 0] < place:
        seen += 1
    if seen < n_longer and longer[seen, 0] == place:
        return seen, longer[seen, 1], longer[seen, 2]
    return seen, np.int64(place + 1), np.int64(single[tokens[place]])


@numba.njit(cache=True, nogil=True)
def locate(table, tokens, starts, found):  # type: ignore[no-untyped-def]
    """All eligible words of rows that follow one another: `found` [capacity, 3] is filled with start and stop in
    `tokens`, and code; returns their number."""
    longest = 0
    for row in range(starts.shape[0] - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    n_blocks = (longest + BLOCK - 1) // BLOCK
    held = np.empty(n_blocks * BLOCK + 2, dtype=np.uint16)
    eights, words = np.empty(n_blocks * 8, dtype=np.uint64), np.empty(n_blocks, dtype=np.uint64)
    longer = np.empty((longest, 3), dtype=np.int64)
    documents = np.empty(0, dtype=np.int64)
    single, n_found = table.single, 0
    for row in range(starts.shape[0] - 1):
        first, stop = starts[row], starts[row + 1]
        n_longer = find_words(table, tokens[first:stop], documents, held, eights, words, longer)
        seen = 0
        for place in range(stop - first):
            if (words[place // BLOCK] >> np.uint64(place % BLOCK)) & _ONE == 0:
                continue
            seen, behind, code = word_at(single, tokens[first:stop], longer, n_longer, seen, place)
            found[n_found, 0], found[n_found, 1], found[n_found, 2] = first + place, first + behind, code
            n_found += 1
    return n_found

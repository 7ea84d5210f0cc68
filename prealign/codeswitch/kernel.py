"""The compiled loops over token ids: finding words, deciding what is switched, writing the rows.

    plan    walks each row once; draws for every eligible word and notes an event for every word to be switched
    write   copies the stretches between events, and the translations, into the output at memory speed
    locate  notes all eligible words (for the self-test, coverage and preview)

`plan` settles the common case, a word of one token, without branches that depend on the text: a processor guesses those
wrong, and each wrong guess costs more than the whole rest (4 million tokens a second with a general match for each
token, 70 to 100 so).

Numba is imported only here and in trie.py. `nogil` lets other threads (a prefetcher, the trainer) run meanwhile.
"""

from __future__ import annotations

import numba
import numpy as np

from prealign.codeswitch.arrays import BARE, BEGINS_SHIFT, INNER, JOINS_SHIFT, LAST, OUTER, ROOT, SINGLE, SIZE_BITS
from prealign.codeswitch.characters import BEGINS, BEGINS_UNKNOWN, JOINS, JOINS_ALL, PARTIAL
from prealign.codeswitch.trie import find_edge
from prealign.draws import GOLDEN, MIX_1, MIX_2

IGNORED = -100
DOCUMENT_PLACE = np.uint64(1 << 63)
"""Place under a row's key of the draw for `document_share`; words use places from 0 on."""
INPUT_ONLY, BOTH, NONE = 0, 1, 2

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)
_ROOT, _SINGLE, _INNER, _OUTER = np.uint32(ROOT), np.uint32(SINGLE), np.uint32(INNER), np.uint32(OUTER)
_TO_BEGINS = np.uint32(JOINS_SHIFT - BEGINS_SHIFT)
_BEGINS_BITS, _PARTIAL_BITS = np.uint32(0xFF << BEGINS_SHIFT), np.uint32(PARTIAL << BEGINS_SHIFT)
_SIZE_MASK = (1 << SIZE_BITS) - 1
_ONES, _TWOS = np.uint64(0x0101010101010101), np.uint64(0x0202020202020202)


@numba.njit(cache=True, nogil=True)
def bits(key, place):  # type: ignore[no-untyped-def]
    """`draws.bits` for one place, uint64."""
    value = np.uint64(key) + (np.uint64(place) + np.uint64(1)) * _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


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
    begins = (kinds[tokens[place]] >> BEGINS_SHIFT) & 0xFF
    if begins != PARTIAL:
        return np.int64(begins)
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
    joins = (kinds[tokens[place]] >> JOINS_SHIFT) & 0xFF
    if joins != PARTIAL:
        return np.int64(joins)
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
    kinds, root, edge_keys, edge_nodes, codes, has_children, head, tail, n_bytes, classes, tokens, place, start,
    stop,
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
        if codes[node] >= 0:
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
def mark_words(kinds, tokens, first, last, held, marks):  # type: ignore[no-untyped-def]
    """Mark each token of a document: 1 a word by itself, 2 perhaps the beginning of a longer one, 0 neither.

    Returns how many are marked, which no number of words can exceed. No branch depends on the text, so the second loop
    is compiled to vector instructions. `held` and `marks` are work space.
    """
    n = last - first
    held[0] = held[n + 1] = 0
    for place in range(n):
        held[place + 1] = kinds[tokens[first + place]]
    for place in range(n):
        before, here, after = held[place], held[place + 1], held[place + 2]
        joined_left = (before >> _TO_BEGINS) & here & _BEGINS_BITS
        joined_right = (here >> _TO_BEGINS) & after & _BEGINS_BITS
        partial = ((before >> _TO_BEGINS) | here | (here >> _TO_BEGINS) | after) & _PARTIAL_BITS
        goes_on = here & (_INNER if joined_right != 0 else _OUTER)
        is_open = (here & _ROOT != 0) & ((partial != 0) | ((joined_left == 0) & (goes_on != 0)))
        is_word = (here & _SINGLE != 0) & (joined_left == 0) & (joined_right == 0)
        marks[place] = np.uint8(2) if is_open else np.uint8(is_word)
    n_marked = 0
    for place in range(n):
        n_marked += marks[place] != 0
    return n_marked


@numba.njit(cache=True, nogil=True)
def draw_hits(key, limit, first, n, hits):  # type: ignore[no-untyped-def]
    """Mark those of the decisions first .. first + n - 1 that say "switch", all at once in vector instructions; ends in
    a 1."""
    for step in range(n):
        hits[step] = bits(key, 2 * (first + step)) >> np.uint64(11) < limit
    hits[n] = 1


@numba.njit(cache=True, nogil=True)
def next_hit(hits, hit_words, first, word, run):  # type: ignore[no-untyped-def]
    """The first word from number `word` on that is switched; `hits` begins with decision number `first`."""
    step = word // run - first
    while hits[step] == 0:
        step += 1
        while step & 7 == 0 and hit_words[step >> 3] == 0:
            step += 8
    return max(word, (first + step) * run)


@numba.njit(cache=True, nogil=True)
def skip(marks, eights, place, stop, n_words, hit):  # type: ignore[no-untyped-def]
    """Go on to the next place that needs thought: a longer word, or word number `hit`. Returns it and the words
    passed."""
    while place < stop:
        if place & 7 == 0:
            while place + 8 <= stop:
                eight = eights[place >> 3]
                passed = np.int64((eight * _ONES) >> np.uint64(56))
                if eight & _TWOS != 0 or n_words + passed > hit:
                    break
                n_words += passed
                place += 8
            if place == stop:
                break
        mark = np.int64(marks[place])
        if mark == 2 or (mark == 1 and n_words == hit):
            break
        n_words += mark
        place += 1
    return place, n_words


@numba.njit(cache=True, nogil=True)
def find_hits(  # type: ignore[no-untyped-def]
    table, tokens, eights, hit_words, first, last, place, stop, run, n_words, is_drawn, events, words, n_events,
):  # fmt: skip
    """Walk a document from `place` on and note an event (start, stop, code) and its number for every word to be
    switched.

    Returns the number of words up to `stop`, and of events.
    """
    marks, hits = eights.view(np.uint8), hit_words.view(np.uint8)
    decision = n_words // run
    hit = next_hit(hits, hit_words, decision, n_words, run) if is_drawn else np.int64(1) << 62
    while place < stop:
        offset, n_words = skip(marks, eights, place - first, stop - first, n_words, hit)
        place = first + offset
        if place >= stop:
            break
        if marks[offset] == 2:
            behind, code = longest_match(
                table.kinds, table.root, table.edge_keys, table.edge_nodes, table.codes, table.has_children,
                table.head, table.tail, table.n_bytes, table.classes, tokens, place, first, last,
            )  # fmt: skip
            if code < 0:
                place += 1
                continue
        else:
            behind, code = place + 1, table.single[tokens[place]]
        if n_words == hit:
            events[n_events, 0], events[n_events, 1], events[n_events, 2] = place, behind, code
            words[n_events] = n_words
            n_events += 1
            hit = next_hit(hits, hit_words, decision, n_words + 1, run)
        n_words += 1
        place = behind
    return n_words, n_events


@numba.njit(cache=True, nogil=True)
def plan(  # type: ignore[no-untyped-def]
    table, tokens, starts, documents, keys, limits, document_limit, run, mode, length, events, words, event_starts,
    lengths, used, eligible,
):  # fmt: skip
    """Decide for every row what is switched; returns the number of events.

    Args:
        table: `Arrays`.
        tokens: all rows, one after the other; `starts` [rows + 1] their borders; `documents` the borders of documents
            (equal to `starts` unless rows are packed), over which no match reaches.
        keys: [rows] uint64. limits: [rows], ratio * 2**53. document_limit: document_share * 2**53.
        run: so many eligible words in a row share one decision.
        mode: column of the thresholds. length: room in the output, 0 for as much as needed.
        events: [capacity, 4], filled with start and stop in `tokens`, token sequence, candidate. words: [capacity],
            work space.
        event_starts: [rows + 1], lengths, used (tokens of the row that the output holds), eligible: [rows]; all filled.
    """
    longest = 0
    for document in range(documents.shape[0] - 1):
        longest = max(longest, documents[document + 1] - documents[document])
    held = np.empty(longest + 2, dtype=np.uint32)
    eights = np.empty(longest // 8 + 1, dtype=np.uint64)
    hit_words = np.zeros(longest // 8 + 2, dtype=np.uint64)
    marks, hits = eights.view(np.uint8), hit_words.view(np.uint8)
    n_events, document = 0, 0
    for row in range(keys.shape[0]):
        stop, key = starts[row + 1], keys[row]
        event_starts[row] = n_events
        copied, written, n_words = starts[row], 0, 0
        room = length if length > 0 else np.int64(1) << 62
        limit = limits[row] if bits(key, DOCUMENT_PLACE) >> np.uint64(11) < document_limit else np.uint64(0)
        is_on = limit > 0
        while document + 1 < documents.shape[0] and documents[document + 1] <= stop:
            first, last = documents[document], documents[document + 1]
            document += 1
            if copied + room - written <= first:
                continue
            most = mark_words(table.kinds, tokens, first, last, held, marks)
            if is_on:
                draw_hits(key, limit, n_words // run, (n_words + most) // run - n_words // run + 1, hits)
            words_before, event = n_words, n_events
            n_words, n_found = find_hits(
                table, tokens, eights, hit_words, first, last, first, last, run, n_words, is_on, events, words, event
            )  # fmt: skip
            # A loop of its own, so that the processor fetches the far-off candidates of several events at once.
            for found in range(event, n_found):
                draw = bits(key, 2 * words[found] + 1)
                code = np.int64(events[found, 2])
                candidate = choose(table.candidates, mode, code >> 1, draw)
                events[found, 2], events[found, 3] = table.candidates[candidate, BARE + (code & 1)], candidate
            recount, counted = first, words_before
            for found in range(event, n_found):
                place, size = events[found, 0], events[found, 2] & _SIZE_MASK
                if written + place - copied >= room:
                    break
                recount, counted = events[found, 1], words[found] + 1
                # A translation that would cross the end of the block gives way to the original word.
                if written + place - copied + size <= room:
                    written += place - copied + size
                    copied = events[found, 1]
                    for column in range(4):
                        events[n_events, column] = events[found, column]
                    n_events += 1
            until = copied + room - written
            if until < last:  # words behind the end of the block do not count
                n_words, _ = find_hits(
                    table, tokens, eights, hit_words, first, last, recount, until, run, counted, False, events, words, 0
                )  # fmt: skip
        rest = min(stop - copied, room - written)
        lengths[row] = written + rest
        used[row] = copied + rest - starts[row]
        eligible[row] = n_words
    event_starts[keys.shape[0]] = n_events
    return n_events


@numba.njit(cache=True, nogil=True)
def choose(candidates, mode, candidate, draw):  # type: ignore[no-untyped-def]
    """The candidate that 64 random bits point at, from the first of a group on."""
    while draw >> np.uint64(32) >= candidates[candidate, mode] and candidates[candidate, mode] != LAST:
        candidate += 1
    return candidate


@numba.njit(cache=True, nogil=True)
def write(  # type: ignore[no-untyped-def]
    pieces, tokens, given_labels, starts, events, event_starts, lengths, labels_mode, pad, left, ids, labels, mask,
):  # fmt: skip
    """Write the planned rows.

    Stretches between events are copied in blocks of 16, and the last block may overrun, since what it overruns is
    written afterwards: stretches are some 30 tokens long, and their ends one by one would cost as much as the rest (6
    -> 3.3 ns a token; ids and labels in two loops 5.5).

    Args:
        given_labels: labels of `tokens`; may be `tokens` itself.
        labels_mode: INPUT_ONLY, BOTH or NONE. left: the padding stands before the row.
        ids, labels: [rows, width] to be filled. mask: likewise, or [0, 0] when nobody asked for it.
    """
    has_mask = mask.shape[0] > 0
    width, n_tokens = ids.shape[1], tokens.shape[0]
    for row in range(ids.shape[0]):
        row_ids, row_labels = ids[row], labels[row]
        place, out = starts[row], width - lengths[row] if left else 0
        row_stop = out + lengths[row]
        row_ids[:out], row_labels[:out] = pad, IGNORED
        if has_mask:
            mask[row] = False
        for event in range(event_starts[row], event_starts[row + 1] + 1):
            is_last = event == event_starts[row + 1]
            n = row_stop - out if is_last else events[event, 0] - place
            step = 0
            while step < n:
                if out + step + 16 <= width and place + step + 16 <= n_tokens:
                    for lane in range(16):
                        row_ids[out + step + lane] = tokens[place + step + lane]
                        row_labels[out + step + lane] = given_labels[place + step + lane]
                    step += 16
                else:
                    row_ids[out + step] = tokens[place + step]
                    row_labels[out + step] = given_labels[place + step]
                    step += 1
            out += n
            if is_last:
                break
            start, behind = events[event, 0], events[event, 1]
            first, size = events[event, 2] >> SIZE_BITS, events[event, 2] & _SIZE_MASK
            for step in range(size):
                row_ids[out + step] = pieces[first + step]
                row_labels[out + step] = IGNORED
            if labels_mode == INPUT_ONLY:
                row_labels[out] = given_labels[start]
            elif labels_mode == BOTH:
                is_masked = False
                for step in range(start, behind):
                    is_masked |= np.int64(given_labels[step]) == IGNORED
                if not is_masked:
                    row_labels[out : out + size] = row_ids[out : out + size]
            if has_mask:
                mask[row, out : out + size] = True
            out += size
            place = behind
        row_ids[row_stop:], row_labels[row_stop:] = pad, IGNORED


@numba.njit(cache=True, nogil=True)
def locate(table, tokens, starts, words):  # type: ignore[no-untyped-def]
    """All eligible words: `words` [capacity, 3] is filled with start, stop and code; returns their number."""
    n_words = 0
    for row in range(starts.shape[0] - 1):
        place = starts[row]
        while place < starts[row + 1]:
            behind, code = longest_match(
                table.kinds, table.root, table.edge_keys, table.edge_nodes, table.codes, table.has_children,
                table.head, table.tail, table.n_bytes, table.classes, tokens, place, starts[row], starts[row + 1],
            )  # fmt: skip
            if code < 0:
                place += 1
                continue
            words[n_words, 0], words[n_words, 1], words[n_words, 2] = place, behind, code
            n_words += 1
            place = behind
    return n_words

"""The compiled loops of switching: deciding which words are switched and by what, and writing the rows.

    plan   finds the words of each row (matching.py), draws which of them are switched and what they become
    write  copies the stretches between them, and the translations, into the output at memory speed

Which words are switched is drawn as gaps: how many words are passed until the next one, so that a ratio of 0.05 costs
one draw in twenty words. `nogil` lets other threads (a prefetcher, the trainer) run meanwhile.
"""

from __future__ import annotations

import numba
import numpy as np

from prealign.codeswitch.arrays import BARE, LANGUAGE, LAST, SIZE_BITS
from prealign.codeswitch.matching import BLOCK, bit_number, count_bits, find_words, word_at
from prealign.draws import GOLDEN, MIX_1, MIX_2

IGNORED = -100
CANDIDATE_PLACE, LANGUAGE_PLACE, DOCUMENT_PLACE = (np.uint64(number << 62) for number in (1, 2, 3))
"""First places under a row's key: gaps are drawn at places 0, 1, ...; the translation of the row's i-th eligible word
at CANDIDATE_PLACE + i and its language, where languages have ratios of their own, at LANGUAGE_PLACE + i; whether the
row is switched at all at DOCUMENT_PLACE."""
INPUT_ONLY, BOTH, NONE = 0, 1, 2
GAPS = 64
"""Gaps up to this length are drawn at once, longer ones in several draws."""

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)
_SIZE_MASK = (1 << SIZE_BITS) - 1
_LANES = 32


@numba.njit(cache=True, nogil=True)
def bits(key, place):  # type: ignore[no-untyped-def]
    """`draws.bits` for one place, uint64."""
    value = np.uint64(key) + (np.uint64(place) + np.uint64(1)) * _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def fill_survival(ratio, survival):  # type: ignore[no-untyped-def]
    """The chance that a gap is longer than 0, 1, ... words: (1 - ratio) ** (1, 2, ...), in units of 2**-53.

    Repeated products instead of powers and logarithms, which differ between machines in their last digit.
    """
    share = 1.0
    for passed in range(survival.shape[0]):
        share *= 1.0 - ratio
        survival[passed] = np.uint64(share * 2.0**53)


@numba.njit(cache=True, nogil=True)
def next_gap(survival, key, place, most):  # type: ignore[no-untyped-def]
    """How many decisions say no before the next yes, and the place of the next draw; a gap beyond `most` is as good as
    any longer one."""
    gap = 0
    while gap <= most:
        draw = bits(key, place) >> np.uint64(11)
        place += np.uint64(1)
        if draw >= survival[GAPS - 1]:
            passed, step = 0, GAPS // 2
            while step > 0:  # how many of the falling numbers lie above the draw
                passed += step * (survival[passed + step - 1] > draw)
                step >>= 1
            return gap + passed, place
        gap += GAPS
    return gap, place


@numba.njit(cache=True, nogil=True)
def choose(candidates, mode, candidate, draw):  # type: ignore[no-untyped-def]
    """The candidate that 64 random bits point at, from the first of a group on."""
    while draw >> np.uint64(32) >= candidates[candidate, mode] and candidates[candidate, mode] != LAST:
        candidate += 1
    return candidate


@numba.njit(cache=True, nogil=True)
def choose_in_language(candidates, mode, candidate, language, draw):  # type: ignore[no-untyped-def]
    """Likewise among the candidates of one language, which stand together; -1 where the group has none."""
    before = np.uint64(0)
    while candidates[candidate, LANGUAGE] != language:
        before = np.uint64(candidates[candidate, mode])
        if before == LAST:
            return np.int64(-1)
        candidate += 1
    last = candidate
    while candidates[last, mode] != LAST and candidates[last + 1, LANGUAGE] == language:
        last += 1
    size = np.uint64(candidates[last, mode]) - before
    point = before + (((draw >> np.uint64(32)) * size) >> np.uint64(32))
    while point >= candidates[candidate, mode] and candidate < last:
        candidate += 1
    return candidate


@numba.njit(cache=True, nogil=True)
def draw_words(key, survival, run, words, n_blocks, events):  # type: ignore[no-untyped-def]
    """Note the place and the number of every word to be switched in `events` [words, 4]; returns how many.

    `run` neighbouring words share one decision.
    """
    n_events, block, passed, most = 0, 0, 0, n_blocks * BLOCK
    decision, place = next_gap(survival, key, np.uint64(0), most)
    while True:
        for word in range(decision * run, decision * run + run):
            while block < n_blocks:
                n_words = count_bits(words[block])
                if passed + n_words > word:
                    break
                passed += n_words
                block += 1
            if block == n_blocks:
                return n_events
            events[n_events, 0] = block * BLOCK + bit_number(words[block], word - passed)
            events[n_events, 3] = word
            n_events += 1
        gap, place = next_gap(survival, key, place, most)
        decision += 1 + gap


@numba.njit(cache=True, nogil=True)
def words_before(words, place):  # type: ignore[no-untyped-def]
    """How many words begin before a place of the row."""
    n_words = 0
    for block in range(place // BLOCK):
        n_words += count_bits(words[block])
    if place % BLOCK:
        n_words += count_bits(words[place // BLOCK] & ((np.uint64(1) << np.uint64(place % BLOCK)) - np.uint64(1)))
    return n_words


@numba.njit(cache=True, nogil=True)
def plan(  # type: ignore[no-untyped-def]
    table, tokens, starts, documents, document_starts, keys, ratios, language_shares, document_limit, run, mode, length,
    event_starts, lengths, used, eligible, by_language,
):  # fmt: skip
    """Decide for every row what is switched.

    Args:
        table: `Arrays`.
        tokens: all rows, one after the other; `starts` [rows + 1] their borders.
        documents: where documents begin inside rows, counted from the row's first token, 0 left out; those of row i
            are `documents[document_starts[i]:document_starts[i + 1]]`. No match reaches over them.
        keys: [rows] uint64. ratios: [rows]. document_limit: document_share * 2**53.
        language_shares: [languages] uint64, rising to 2**32: the languages' shares of the ratio; [0] where a word takes
            any of its languages.
        run: so many eligible words in a row share one decision.
        mode: column of the thresholds. length: room in the output, 0 for as much as needed.
        event_starts: [rows + 1], lengths, used (tokens of the row that the output holds), eligible: [rows]; all filled.
        by_language: [languages], zeros; switched words are counted in it.
    Returns:
        The events, [events, 4]: start and stop in the row, token sequence, candidate.
    Raises:
        IndexError: a token that the table does not know.
    """
    most = np.int64(0)
    for place in range(tokens.shape[0]):  # as unsigned numbers, so that negative ones are large
        token = np.int64(np.uint32(tokens[place]))
        most = token if token > most else most
    if most >= table.kinds.shape[0]:
        raise IndexError("token")
    longest = 0
    for row in range(keys.shape[0]):
        longest = max(longest, starts[row + 1] - starts[row])
    n_blocks = (longest + BLOCK - 1) // BLOCK
    held = np.empty(n_blocks * BLOCK + 2, dtype=np.uint16)
    eights, words = np.empty(n_blocks * 8, dtype=np.uint64), np.empty(n_blocks, dtype=np.uint64)
    longer, events = np.empty((longest, 3), dtype=np.int64), np.empty((longest, 4), dtype=np.int64)
    survival = np.empty(GAPS, dtype=np.uint64)
    survival_of = -1.0
    candidates, single = table.candidates, table.single
    planned, n_planned = np.empty((longest + tokens.shape[0] // 16, 4), dtype=np.int64), 0
    for row in range(keys.shape[0]):
        of_row, key, ratio = tokens[starts[row] : starts[row + 1]], keys[row], ratios[row]
        n_longer = find_words(
            table, of_row, documents[document_starts[row] : document_starts[row + 1]], held, eights, words, longer
        )
        n_events, seen = 0, 0
        if ratio > 0.0 and bits(key, DOCUMENT_PLACE) >> np.uint64(11) < document_limit:
            if ratio != survival_of:
                fill_survival(ratio, survival)
                survival_of = ratio
            n_events = draw_words(key, survival, run, words, (of_row.shape[0] + BLOCK - 1) // BLOCK, events)
        for event in range(n_events):
            seen, behind, code = word_at(single, of_row, longer, n_longer, seen, events[event, 0])
            events[event, 1], events[event, 2] = behind, code
        # A loop of its own, so that the processor fetches the far-off candidates of several events at once.
        for event in range(n_events):
            word, code = np.uint64(events[event, 3]), events[event, 2]
            draw = bits(key, CANDIDATE_PLACE + word)
            if language_shares.shape[0] == 0:
                candidate = choose(candidates, mode, code >> 1, draw)
            else:
                share, language = bits(key, LANGUAGE_PLACE + word) >> np.uint64(32), 0
                while share >= language_shares[language]:
                    language += 1
                candidate = choose_in_language(candidates, mode, code >> 1, language, draw)
            events[event, 2] = candidates[max(0, candidate), BARE + (code & 1)]
            events[event, 3] = candidate
        n_events, lengths[row], used[row] = fit(events, n_events, of_row.shape[0], length)
        eligible[row] = words_before(words, used[row])
        event_starts[row] = n_planned
        if n_planned + n_events > planned.shape[0]:
            larger = np.empty((2 * planned.shape[0] + n_events, 4), dtype=np.int64)
            larger[:n_planned] = planned[:n_planned]
            planned = larger
        for event in range(n_events):
            for column in range(4):
                planned[n_planned, column] = events[event, column]
            by_language[candidates[events[event, 3], LANGUAGE]] += 1
            n_planned += 1
    event_starts[keys.shape[0]] = n_planned
    return planned[:n_planned]


@numba.njit(cache=True, nogil=True)
def fit(events, n_events, n_tokens, length):  # type: ignore[no-untyped-def]
    """Keep the events of a row that are possible: they have a candidate, and it lies within the room of the output (0:
    as much as needed). A translation that would cross the end gives way to the original word.

    Returns how many are kept, the length of the row made, and how many tokens of the row given it stands for.
    """
    room = length if length > 0 else np.int64(1) << 62
    n_kept, copied, written = 0, 0, 0
    for event in range(n_events):
        place, size = events[event, 0], events[event, 2] & _SIZE_MASK
        if written + place - copied >= room:
            break
        if events[event, 3] >= 0 and written + place - copied + size <= room:
            written += place - copied + size
            copied = events[event, 1]
            if n_kept < event:
                for column in range(4):
                    events[n_kept, column] = events[event, column]
            n_kept += 1
    rest = min(n_tokens - copied, room - written)
    return n_kept, written + rest, copied + rest


@numba.njit(cache=True, nogil=True)
def splice(row, events, first, stop, length, out):  # type: ignore[no-untyped-def]
    """Copy what stands between the events of a row to the places it has in the row made, [length].

    In blocks of 32, the last of which may overrun, since what it overruns is written afterwards: stretches are some 30
    tokens long, and their ends one by one would cost as much as the rest.
    """
    place, at = 0, 0
    for event in range(first, stop + 1):
        n = length - at if event == stop else events[event, 0] - place
        n_padded = (n + _LANES - 1) // _LANES * _LANES
        if place + n_padded <= row.shape[0] and at + n_padded <= out.shape[0]:
            source, target = row[place : place + n_padded], out[at : at + n_padded]
            for block in range(n_padded // _LANES):
                for lane in range(_LANES):
                    target[block * _LANES + lane] = source[block * _LANES + lane]
        else:
            out[at : at + n] = row[place : place + n]
        if event < stop:
            at += n + (events[event, 2] & _SIZE_MASK)
            place = events[event, 1]


@numba.njit(cache=True, nogil=True)
def widen(values, out):  # type: ignore[no-untyped-def]
    """Copy into an array of a wider type; a plain loop becomes vector instructions, an assignment of slices not."""
    for place in range(out.shape[0]):
        out[place] = values[place]


@numba.njit(cache=True, nogil=True)
def write(  # type: ignore[no-untyped-def]
    pieces, tokens, given_labels, starts, events, event_starts, lengths, labels_mode, pad, left, ids, labels, mask,
):  # fmt: skip
    """Write the planned rows.

    A row is put together in 32-bit numbers in the cache, and widened on the way out (2.3 ns a token for ids and labels;
    5.5 when each stretch is written to both).

    Args:
        given_labels: labels of `tokens`; [0] where these are the tokens themselves.
        labels_mode: INPUT_ONLY, BOTH or NONE. left: the padding stands before the row.
        ids, labels: [rows, width] to be filled. mask: likewise, or [0, 0] when nobody asked for it.
    """
    has_labels, has_mask, width = given_labels.shape[0] > 0, mask.shape[0] > 0, ids.shape[1]
    new_ids, new_labels = np.empty(width + _LANES, dtype=np.int32), np.empty(width + _LANES, dtype=np.int32)
    for row in range(ids.shape[0]):
        first, stop, length = event_starts[row], event_starts[row + 1], lengths[row]
        begin = width - length if left else 0
        row_ids, row_labels = ids[row, begin : begin + length], labels[row, begin : begin + length]
        ids[row, :begin], labels[row, :begin] = pad, IGNORED
        ids[row, begin + length :], labels[row, begin + length :] = pad, IGNORED
        of_row = tokens[starts[row] : starts[row + 1]]
        splice(of_row, events, first, stop, length, new_ids)
        labels_of_row = of_row
        if has_labels:
            labels_of_row = given_labels[starts[row] : starts[row + 1]]
            splice(labels_of_row, events, first, stop, length, new_labels)
        widen(new_ids, row_ids)
        widen(new_labels if has_labels else new_ids, row_labels)
        if has_mask:
            mask[row] = False
        place, at = 0, 0
        for event in range(first, stop):
            start, behind = events[event, 0], events[event, 1]
            piece, size = events[event, 2] >> SIZE_BITS, events[event, 2] & _SIZE_MASK
            at += start - place
            for step in range(size):
                row_ids[at + step], row_labels[at + step] = pieces[piece + step], IGNORED
            if labels_mode == INPUT_ONLY:
                row_labels[at] = labels_of_row[start]
            elif labels_mode == BOTH:
                is_masked = False
                for step in range(start, behind):
                    is_masked |= np.int64(labels_of_row[step]) == IGNORED
                if not is_masked:
                    row_labels[at : at + size] = row_ids[at : at + size]
            if has_mask:
                mask[row, begin + at : begin + at + size] = True
            at += size
            place = behind

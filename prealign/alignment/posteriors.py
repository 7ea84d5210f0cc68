"""The E-step: how probable each link of a sentence pair is, given the current parameters.

Three models, each in two directions. In the forward direction every target word is made by one source word or by none;
in the backward direction the roles are swapped. The code below speaks of *makers* (the words that make) and *made*
words.

IBM1 holds all makers equally probable (Brown and others 1993). DIAGONAL gives them a prior that falls off beside the
diagonal, p(i | j) ~ exp(-4 |i/I - j/J|) (Dyer, Chahuneau, Smith 2013). HMM lets the maker depend on the maker of the
word before, by the size of the jump (Vogel, Ney, Tillmann 1996); a word made by none remembers the last maker (Och and
Ney 2003). Posteriors come from the forward-backward algorithm.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from prealign.alignment.parts import PARTS

IBM1, DIAGONAL, HMM = range(3)
MAX_JUMP = 10
"""Jumps beyond this share their weight with it."""
P_NONE = 0.1
"""Probability that a word is made by none."""
TENSION = 4.0
"""How fast the prior falls off beside the diagonal."""
DISTANCES = 256
"""Steps in which the distance from the diagonal, 0 to 1, is counted."""
NEGLIGIBLE = np.float32(1e-12)

PRIORS = np.exp(np.outer([0.0, -TENSION], np.arange(DISTANCES + 1) / DISTANCES)).astype(np.float32)
"""[2, DISTANCES + 1] weight of a maker by its distance from the diagonal, for IBM1 and DIAGONAL."""


@njit(cache=True, nogil=True)
def expect(  # type: ignore[no-untyped-def]
    part, model, agree, source_offsets, target_offsets, cell_offsets, source_words, target_words,
    none_makes_target, none_makes_source, jump_weights, cells, target_by_none, source_by_none, jump_counts,
):  # fmt: skip
    """Turn the translation probabilities of the cells of a chunk into link posteriors, in place.

    Args:
        part: the part of the chunk's sentence pairs to work on, 0 .. PARTS - 1.
        model: IBM1, DIAGONAL or HMM.
        agree: whether both directions receive the product of their posteriors instead (Liang, Taskar, Klein 2006).
        source_offsets, target_offsets, cell_offsets: [sentences + 1] of the chunk.
        none_makes_target, none_makes_source: [types] probability of a word that is made by none.
        jump_weights: [2, 2 * MAX_JUMP + 1] forward, backward; need not sum to one.
        cells: [2, cells] p(target | source), p(source | target); receives the posteriors of both directions.
        target_by_none, source_by_none: [words of the chunk] receive the posteriors of being made by none.
        jump_counts: [PARTS, 2, 2 * MAX_JUMP + 1] to which expected jumps are added (HMM only); each part has its own
            sums, so that they do not depend on threads.
    """
    n_sentences = len(cell_offsets) - 1
    for s in range(n_sentences * part // PARTS, n_sentences * (part + 1) // PARTS):
        source = source_words[source_offsets[s] : source_offsets[s + 1]]
        target = target_words[target_offsets[s] : target_offsets[s + 1]]
        target_none = target_by_none[target_offsets[s] - target_offsets[0] :]
        source_none = source_by_none[source_offsets[s] - source_offsets[0] :]
        n_source, n_target = len(source), len(target)
        if not n_source or not n_target:
            target_none[:n_target] = 1.0
            source_none[:n_source] = 1.0
            continue
        forward = cells[0, cell_offsets[s] : cell_offsets[s + 1]].reshape(n_source, n_target)
        backward = cells[1, cell_offsets[s] : cell_offsets[s + 1]].reshape(n_source, n_target)
        turned = np.empty((n_target, n_source), dtype=np.float32)  # the models want one row per made word
        for i in range(n_source):
            for j in range(n_target):
                turned[j, i] = forward[i, j]
        for direction in range(2):  # a loop, since numba compiles both models again for every place that calls them
            emission = turned if direction == 0 else backward
            none_emission = none_makes_target[target] if direction == 0 else none_makes_source[source]
            by_none = target_none if direction == 0 else source_none
            if model == HMM:
                _hmm(emission, none_emission, jump_weights[direction], by_none, jump_counts[part, direction])
            else:
                _by_distance(emission, none_emission, PRIORS[model], by_none)
        for i in range(n_source):
            for j in range(n_target):
                forward[i, j] = turned[j, i]
                if agree:
                    forward[i, j] *= backward[i, j]
                    backward[i, j] = forward[i, j]


@njit(cache=True, fastmath=True, error_model="numpy")
def _by_distance(emission, none_emission, prior, by_none):  # type: ignore[no-untyped-def]
    """Posteriors in place of `emission` [made, makers] = t(made | maker), and `by_none` [made]; see `PRIORS`."""
    n_made, n_makers = emission.shape
    for t in range(n_made):
        row = emission[t]
        prior_sum = row_sum = np.float32(0.0)
        for i in range(n_makers):
            # |(i + 1) / n_makers - (t + 1) / n_made| in whole steps
            distance = abs((i + 1) * n_made - (t + 1) * n_makers) * DISTANCES // (n_made * n_makers)
            prior_sum += prior[distance]
            row[i] *= prior[distance]
            row_sum += row[i]
        some = np.float32(1.0 - P_NONE) / prior_sum
        none = np.float32(P_NONE * none_emission[t])
        total = some * row_sum + none
        for i in range(n_makers):
            row[i] *= some / total
        by_none[t] = none / total


@njit(cache=True, fastmath=True, error_model="numpy")
def _hmm(emission, none_emission, jump_weights, by_none, jump_counts):  # type: ignore[no-untyped-def]
    """Posteriors in place of `emission` [made, makers] = t(made | maker), and `by_none` [made]; expected jumps added.

    The state after a word is the last maker: state 0 before any, state i + 1 for maker i. A word made by none leaves
    the state as it is. Plain loops, because numba compiles them to vector instructions; array expressions were 8
    times slower.
    """
    n_made, n_makers = emission.shape
    moves = _moves(jump_weights, n_makers)
    reached = np.zeros((n_made + 1, n_makers + 1), dtype=np.float32)  # p(state after t words | those words)
    by_maker = np.zeros((n_made, n_makers), dtype=np.float32)  # the part of it that came by making word t
    scale = np.empty(n_made, dtype=np.float32)
    reached[0, 0] = 1.0
    for t in range(n_made):
        row = by_maker[t]
        for state in range(n_makers + 1):
            weight = reached[t, state]
            if weight > NEGLIGIBLE:
                for i in range(n_makers):
                    row[i] += weight * moves[state, i]
        none = np.float32(P_NONE * none_emission[t])
        total = np.float32(0.0)
        for i in range(n_makers):
            row[i] *= emission[t, i]
            total += row[i]
        for state in range(n_makers + 1):
            total += none * reached[t, state]
        scale[t] = np.float32(1.0) / total
        reached[t + 1, 0] = none * scale[t] * reached[t, 0]
        for i in range(n_makers):
            row[i] *= scale[t]
            reached[t + 1, i + 1] = none * scale[t] * reached[t, i + 1] + row[i]

    to_come = np.ones(n_makers + 1, dtype=np.float32)  # p(words after t | state), over p(words after t | words up to t)
    moved = np.zeros((n_makers + 1, n_makers), dtype=np.float32)
    ahead = np.empty(n_makers, dtype=np.float32)
    for t in range(n_made - 1, -1, -1):
        some = np.float32(0.0)
        for i in range(n_makers):
            ahead[i] = emission[t, i] * to_come[i + 1] * scale[t]
            emission[t, i] = by_maker[t, i] * to_come[i + 1]
            some += emission[t, i]
        by_none[t] = max(np.float32(0.0), np.float32(1.0) - some)
        none = np.float32(P_NONE * none_emission[t]) * scale[t]
        for state in range(n_makers + 1):
            onward = np.float32(0.0)
            for i in range(n_makers):
                onward += moves[state, i] * ahead[i]
            to_come[state] = onward + none * to_come[state]
            weight = reached[t, state]
            if weight > NEGLIGIBLE:
                for i in range(n_makers):
                    moved[state, i] += weight * ahead[i]
    for state in range(n_makers + 1):
        for i in range(n_makers):
            jump_counts[_jump(state, i)] += moved[state, i] * moves[state, i]


@njit(cache=True)
def _moves(jump_weights, n_makers):  # type: ignore[no-untyped-def]
    """[states, makers] probability that the next word is made by a maker: its jump's share of all makers' weights."""
    moves = np.empty((n_makers + 1, n_makers), dtype=np.float32)
    for state in range(n_makers + 1):
        total = 0.0
        for i in range(n_makers):
            moves[state, i] = jump_weights[_jump(state, i)]
            total += moves[state, i]
        share = np.float32((1.0 - P_NONE) / total)
        for i in range(n_makers):
            moves[state, i] *= share
    return moves


@njit(cache=True)
def _jump(state, maker):  # type: ignore[no-untyped-def]
    """Place of the jump from a state to a maker in the arrays of jumps; forward by one is MAX_JUMP + 1."""
    return min(max(maker + 1 - state, -MAX_JUMP), MAX_JUMP) + MAX_JUMP

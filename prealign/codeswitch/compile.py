"""Dictionaries and a tokenizer become the arrays of a table.

dictionaries -> groups of candidates and the forms they are met in      (groups.py, forms.py)
             -> token ids of all forms and all translations, in context  (encode.py)
             -> a trie of keys, thresholds for the draws, flat arrays    (here)
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from prealign.codeswitch import trie
from prealign.codeswitch.arrays import (
    BEGINS_SHIFT,
    BLOCKED,
    INNER,
    JOINS_SHIFT,
    LAST,
    OUTER,
    ROOT,
    SINGLE,
    SIZE_BITS,
    Arrays,
    read_only,
)
from prealign.codeswitch.characters import PARTIAL, class_table
from prealign.codeswitch.encode import BARE_CONTEXTS, SPACED_CONTEXTS, Context, Encoded, Encoder
from prealign.codeswitch.groups import Groups
from prealign.codeswitch.report import CompileReport
from prealign.codeswitch.vocabulary import Vocabulary
from prealign.errors import PrealignError

MAX_TOKENS = 24
"""Longer sources and translations are dropped: they are sentences, or text that the tokenizer cannot write."""
MOST_FILLED = 0.75
"""Share of the edge slots in use; the edges are a third of a table's memory."""
CONTEXT_SAMPLE = 1000
CONTEXT_ADDS = 0.002
"""A context in which fewer than this share of the words is cut in a new way is not worth its encoding time."""


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Compiling makes millions of strings and tuples and no cycles; looking for some takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def build_arrays(groups: Groups, encoder: Encoder, report: CompileReport) -> tuple[Arrays, list[str]]:
    """Everything from words to arrays, and the forms they match; counts what is dropped in `report`.

    Raises:
        PrealignError: no entry is left.
    """
    vocabulary = encoder.vocabulary
    sequences, usable = _candidate_tokens(groups, encoder)
    keep, text = _keep_candidates(groups, usable, encoder, report)
    group_of = np.repeat(np.arange(len(groups.sizes)), groups.sizes)[keep]
    old_groups, sizes = np.unique(group_of, return_counts=True)
    new_group = np.full(len(groups.sizes), -1, dtype=np.int64)
    new_group[old_groups] = np.arange(len(old_groups))

    forms = [form for form, number in groups.forms.items() if new_group[number] >= 0]
    if not forms:
        raise PrealignError(
            f"No dictionary entry can be used with the tokenizer {report.tokenizer}. Dropped: {report.drops}."
        )
    first_candidates = np.cumsum(sizes) - sizes
    form_groups = new_group[np.array([groups.forms[form] for form in forms])]
    is_exact = np.array([form in groups.exact for form in forms])
    keys, key_codes, has_key = _keys(forms, first_candidates[form_groups], is_exact, groups.blocked, encoder, report)
    root, edge_keys, edge_nodes, codes, has_children = _trie(keys, key_codes, len(vocabulary))

    language = np.array(groups.language, dtype=np.int64)[keep]
    probability = np.array(groups.probability, dtype=np.float64)[keep]
    of_keys = np.isin(new_group[group_of], form_groups[is_exact & has_key])
    kept_languages = np.bincount(language[of_keys], minlength=len(groups.languages))
    report.translations = dict(zip(groups.languages, kept_languages.tolist(), strict=True))
    pieces, spans = _pool(sequences, text)
    pieces = pieces.astype(np.uint16 if len(vocabulary) <= 1 << 16 else np.int32)
    thresholds = _thresholds(new_group[group_of], language, probability, np.array(groups.weights))
    candidates = np.concatenate([thresholds, spans, language[:, None].astype(np.uint32)], axis=1)
    arrays = read_only(
        Arrays(
            root=root,
            single=np.where(root > 0, codes[root], -1).astype(np.int32),
            kinds=_kinds(vocabulary, keys, root, codes),
            head=vocabulary.head,
            tail=vocabulary.tail,
            n_bytes=np.minimum(vocabulary.n_bytes, 255).astype(np.uint8),
            classes=class_table() if _has_partial(vocabulary) else np.zeros(1, dtype=np.uint8),
            edge_keys=edge_keys,
            edge_nodes=edge_nodes,
            codes=codes,
            has_children=has_children,
            candidates=candidates,
            pieces=pieces,
        )
    )
    report.forms = len(forms)
    report.keys = int((codes >= 0).sum())
    report.bytes = sum(array.nbytes for array in arrays)
    return arrays, forms


def _kinds(
    vocabulary: Vocabulary, keys: Encoded, root: NDArray[np.int32], codes: NDArray[np.int32]
) -> NDArray[np.uint16]:
    """Flags and border bits of each token in one number, so that the scan needs one look-up per token."""
    begins, joins = vocabulary.begins.astype(np.uint16), vocabulary.joins.astype(np.uint16)
    flags = np.where(root > 0, ROOT, 0).astype(np.uint16)
    flags[(root > 0) & (codes[root] >= 0)] |= SINGLE
    longer = keys.starts[keys.lengths > 1]
    first, second = keys.ids[longer], keys.ids[longer + 1]
    is_inner = (joins[first] & begins[second]) != 0
    is_partial = ((joins[first] | begins[second]) & PARTIAL) != 0
    np.bitwise_or.at(flags, first[is_inner | is_partial], np.uint16(INNER))
    np.bitwise_or.at(flags, first[~is_inner | is_partial], np.uint16(OUTER))
    return (flags | begins << BEGINS_SHIFT | joins << JOINS_SHIFT).astype(np.uint16)


def _has_partial(vocabulary: Vocabulary) -> bool:
    return bool((vocabulary.begins == PARTIAL).any() or (vocabulary.joins == PARTIAL).any())


def _candidate_tokens(groups: Groups, encoder: Encoder) -> tuple[list[Encoded], NDArray[np.bool_]]:
    """Token ids of all candidate texts, without and with a leading space; and which texts have both, short enough."""
    texts = list(groups.texts)
    bare = encoder.words(texts, BARE_CONTEXTS)
    spaced = encoder.words(texts, SPACED_CONTEXTS) if encoder.vocabulary.has_spaces else bare
    lengths = np.stack([bare.lengths, spaced.lengths])
    return [bare, spaced], (lengths.min(axis=0) > 0) & (lengths.max(axis=0) <= MAX_TOKENS)


def _keep_candidates(
    groups: Groups, usable: NDArray[np.bool_], encoder: Encoder, report: CompileReport
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which candidate rows stay, and the text each writes: its shape's, or the plain one where only that can be
    encoded."""
    text, plain = np.array(groups.text, dtype=np.int64), np.array(groups.plain_text, dtype=np.int64)
    keep = usable[plain]
    text = np.where(usable[text], text, plain)
    texts = list(groups.texts)
    group_of = np.repeat(np.arange(len(groups.sizes)), groups.sizes)
    exact_groups = np.unique([groups.forms[form] for form in groups.exact])
    in_exact = np.isin(group_of, exact_groups)
    for row in np.flatnonzero(in_exact & ~keep):
        report.drops.add(f"translation {_obstacle(texts[plain[row]], encoder)}", texts[plain[row]])
    report.sources = len(np.unique(group_of[in_exact & keep]))
    return keep, text[keep]


def _keys(
    forms: list[str],
    form_candidates: NDArray[np.int64],
    is_exact: NDArray[np.bool_],
    blocked: list[str],
    encoder: Encoder,
    report: CompileReport,
) -> tuple[Encoded, NDArray[np.int32], NDArray[np.bool_]]:
    """Token sequences of all forms in all contexts that matter, each with its code, exact spellings first, blocked
    words last; and which forms have any."""
    contexts = useful_contexts(forms, encoder)
    if not contexts:
        raise PrealignError(
            f"No dictionary entry can be used: the tokenizer {report.tokenizer} has no pieces for {forms[0]!r} and the "
            f"{len(forms) - 1:,} other forms of the source words. Was it trained on the dictionary's source language?"
        )
    found = [encoder.in_context([*forms, *blocked], context) for context in contexts]
    bases = np.concatenate([[0], np.cumsum([len(item.ids) for item in found])])
    starts = np.concatenate([item.starts + base for item, base in zip(found, bases)])
    stops = np.concatenate([item.stops + base for item, base in zip(found, bases)])
    is_long = stops - starts > MAX_TOKENS
    stops[is_long] = starts[is_long]
    no_codes = np.full(len(blocked), BLOCKED)
    codes = np.concatenate(
        [part for context in contexts for part in (form_candidates * 2 + int(context.spaced), no_codes)]
    ).astype(np.int32)

    has_key = np.any((stops > starts).reshape(len(contexts), -1)[:, : len(forms)], axis=0)
    for place in np.flatnonzero(is_exact & ~has_key):
        report.drops.add(f"source {_obstacle(forms[place], encoder)}", forms[place])
    report.unwritable = int((is_exact & ~has_key).sum())
    report.sources -= report.unwritable

    precedence = np.concatenate([np.where(is_exact, 0, 1), np.full(len(blocked), 2)])
    order = np.argsort(np.tile(precedence, len(contexts)), kind="stable")
    return Encoded(np.concatenate([item.ids for item in found]), starts[order], stops[order]), codes[order], has_key


def _obstacle(word: str, encoder: Encoder) -> str:
    """Why a word has no tokens of its own."""
    tokens = encoder.ids([word])[0]
    if encoder.vocabulary.unusable[tokens].any():
        return "has characters unknown to the tokenizer"
    return "is too long" if len(tokens) > MAX_TOKENS else "cannot be encoded apart from what stands beside it"


def useful_contexts(forms: list[str], encoder: Encoder) -> list[Context]:
    """The contexts in which this tokenizer cuts words in ways not seen in the contexts before, on an even sample of the
    forms."""
    sample = forms[:: max(1, len(forms) // CONTEXT_SAMPLE)][:CONTEXT_SAMPLE]
    contexts: list[Context] = []
    for family in (SPACED_CONTEXTS, BARE_CONTEXTS) if encoder.vocabulary.has_spaces else (BARE_CONTEXTS,):
        seen: list[set[tuple[int, ...]]] = [set() for _ in sample]
        for context in family:
            found = encoder.in_context(sample, context)
            new = 0
            for place in range(len(sample)):
                tokens = found.of(place)
                if tokens and tokens not in seen[place]:
                    seen[place].add(tokens)
                    new += 1
            if new > CONTEXT_ADDS * len(sample):
                contexts.append(context)
    return contexts


def _trie(
    keys: Encoded, codes: NDArray[np.int32], vocab_size: int
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """Root, edges (open addressing), code and children flag of each node."""
    most = int(np.maximum(0, keys.lengths).sum()) + 2
    root = np.zeros(vocab_size, dtype=np.int32)
    edges = _empty_edges(most)
    node_codes = np.full(most, -1, dtype=np.int32)
    has_children = np.zeros(most, dtype=np.uint8)
    n_nodes, n_edges = trie.build(keys.ids, keys.starts, keys.stops, codes, root, *edges, node_codes, has_children)
    small = _empty_edges(n_edges)
    trie.move_edges(*edges, *small)
    return root, *small, node_codes[:n_nodes].copy(), has_children[:n_nodes].copy()


def _empty_edges(count: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    slots = 1 << max(1, int(np.ceil(np.log2(count / MOST_FILLED + 1))))
    return np.full(slots, trie.NO_EDGE, dtype=np.uint64), np.zeros(slots, dtype=np.int32)


def _pool(sequences: list[Encoded], text: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Token ids of the texts in use, one after the other; and where each candidate finds its two sequences,
    [candidates, 2].

    A bare sequence that ends the spaced one (`▁ Haus` and `Haus`) is not written a second time.
    """
    used, place_in_used = np.unique(text, return_inverse=True)
    bare, spaced = (_taken(encoded, used) for encoded in sequences)
    is_tail = _is_tail(bare, spaced)
    alone = _taken(bare, np.flatnonzero(~is_tail))
    starts = np.empty(len(used), dtype=np.int64)
    starts[~is_tail] = alone.starts + len(spaced.ids)
    starts[is_tail] = (spaced.stops - bare.lengths)[is_tail]
    pieces = np.concatenate([spaced.ids, alone.ids])
    if len(pieces) >= 1 << (32 - SIZE_BITS):
        raise PrealignError(
            f"The translations have {len(pieces):,} tokens together; a table holds {1 << (32 - SIZE_BITS):,}."
        )
    spans = np.stack([starts << SIZE_BITS | bare.lengths, spaced.starts << SIZE_BITS | spaced.lengths], axis=1)
    return pieces, spans.astype(np.uint32)[place_in_used]


def _taken(encoded: Encoded, places: NDArray[np.int64]) -> Encoded:
    """Some of the words, their tokens one after the other."""
    sizes = encoded.lengths[places]
    stops = np.cumsum(sizes)
    gather = np.arange(sizes.sum()) + np.repeat(encoded.starts[places] - (stops - sizes), sizes)
    return Encoded(encoded.ids[gather], stops - sizes, stops)


def _is_tail(short: Encoded, long: Encoded) -> NDArray[np.bool_]:
    """Whether each word's tokens in `short` are the last ones of its tokens in `long`."""
    is_tail = short.lengths <= long.lengths
    for back in range(1, int(short.lengths.max(initial=0)) + 1):
        held = np.flatnonzero(is_tail & (short.lengths >= back))
        is_tail[held] = short.ids[short.stops[held] - back] == long.ids[long.stops[held] - back]
    return is_tail


def _thresholds(
    group: NDArray[np.int64],
    language: NDArray[np.int64],
    probability: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.uint32]:
    """Cumulative shares of the candidates of each group, [candidates, 3] in units of 2**-32.

    A language has its weight's share among the languages that the group has; inside it a candidate has its probability,
    an equal share, or all of it for the first (the most probable).
    """
    n_languages = len(weights)
    cell = group * n_languages + language  # candidates of one group and language stand together
    cells, first, inverse, count = np.unique(cell, return_index=True, return_inverse=True, return_counts=True)
    total = np.bincount(inverse, weights=probability)
    is_first = np.zeros(len(cell))
    is_first[first] = 1.0
    group_weight = np.bincount(cells // n_languages, weights=weights[cells % n_languages])
    language_share = weights[language] / group_weight[group]
    shares = np.stack([probability / total[inverse], 1.0 / count[inverse], is_first]) * language_share
    running = np.cumsum(shares, axis=1)
    group_first = np.flatnonzero(np.diff(group, prepend=-1))
    before = (running - shares)[:, group_first]
    running -= np.repeat(before, np.diff(np.append(group_first, len(group))), axis=1)
    thresholds = np.minimum(np.rint(running * 2.0**32), LAST - 1).astype(np.uint32)
    thresholds[:, np.append(group_first[1:], len(group)) - 1] = LAST
    return thresholds.T

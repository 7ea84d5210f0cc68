"""A dictionary between two languages by way of a third: en-de and en-fr give de-fr.

    p(fr | de) = sum over en of p(fr | en) p(en | de),      p(de | fr) = sum over en of p(de | en) p(en | fr)

(the triangulation of Cohn and Lapata 2007, on words). It takes a translation of an ambiguous word for a translation of
its every meaning, Ufer - bank - banque, so the thresholds matter more than for dictionaries from parallel text.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

from prealign.corpora.words import fold
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry, probability
from prealign.errors import PrealignError

Pair = tuple[str, str]


def pivot(first: Dictionary, second: Dictionary, min_probability: float, top_k: int) -> Dictionary:
    """The dictionary from the other language of `first` to the other language of `second`.

    Either may be turned around: the language that both have is the one passed by. A word of it is looked up in `second`
    as `first` spells it, else without regard to case where that leaves no other word to go there. The count of an entry
    is the sum over the words passed by of the smaller of both counts.

    Args:
        min_probability: both probabilities of an entry reach this.
        top_k: at most this many translations of a word.
    Raises:
        PrealignError: the dictionaries do not have exactly one language in common.
    """
    language = _shared_language(first, second)
    first = first if first.source_language == language else first.inverted()
    second = second if second.source_language == language else second.inverted()
    from_passed, to_passed = second.by_source(), first.by_source()
    counts: dict[Pair, int] = defaultdict(int)
    forward: dict[Pair, float] = defaultdict(float)
    backward: dict[Pair, float] = defaultdict(float)
    for word, met in _meetings(list(to_passed), list(from_passed), language).items():
        for a in to_passed[word]:
            for b in from_passed[met]:
                pair = a.target, b.target
                counts[pair] += min(a.count, b.count)
                forward[pair] += a.p_source_given_target * b.p_target_given_source
                backward[pair] += a.p_target_given_source * b.p_source_given_target
    entries = [
        Entry(*pair, count, probability(min(1.0, forward[pair]), 1), probability(min(1.0, backward[pair]), 1))
        for pair, count in counts.items()
    ]
    card: dict[str, Any] = {
        "pivot": language,
        "pivot_from": [copy.deepcopy(d.card) | {"entries": len(d)} for d in (first, second)],
        "min_probability": min_probability,
        "top_k": top_k,
    }
    licences = [first.card.get("licence"), second.card.get("licence")]
    if all(licences):
        card["licence"] = "; ".join(dict.fromkeys(map(str, licences)))
    return Dictionary(first.target_language, second.target_language, entries, card).filtered(min_probability, top_k)


def _shared_language(first: Dictionary, second: Dictionary) -> str:
    shared = {first.source_language, first.target_language} & {second.source_language, second.target_language}
    if len(shared) != 1:
        names = [f"{d.source_language}-{d.target_language}" for d in (first, second)]
        have = "both languages" if shared else "no language"
        raise PrealignError(
            f"The dictionaries {' and '.join(names)} have {have} in common; a pivot passes by exactly one, as from "
            "en-de and en-fr to de-fr."
        )
    return shared.pop()


def _meetings(words: list[str], known: list[str], language: str) -> dict[str, str]:
    """word -> the known word it is looked up as, each known word for one word at most."""
    meetings = {word: word for word in set(words) & set(known)}
    free = {fold(word, language): word for word in reversed(known) if word not in meetings}
    for word in words:
        if word not in meetings and (met := free.pop(fold(word, language), None)):
            meetings[word] = met
    return {word: meetings[word] for word in words if word in meetings}

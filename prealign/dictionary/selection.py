"""Which linked words become entries: the thresholds of `build-dict`, one word at a time.

A pair of words is kept when it was linked `min_count` times, both its probabilities reach `min_probability`, it is
`min_share_of_best` times as probable as the source word's best translation other than itself and among its `top_k` most
probable, and neither word has a digit or is an elided one (French "l'"). A probability is the pair's share of all links
of its word. A word whose only translation is itself is left out. What is left out is counted by reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter

from prealign.config.dictionary import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.words import has_digit
from prealign.dictionary.counts import Linked
from prealign.dictionary.entries import Entry, probability

APOSTROPHES = "'\u2019"


def entries_of(
    linked: Iterable[Linked],
    source_spellings: Mapping[str, str],
    target_spellings: Mapping[str, str],
    settings: DictionarySettings,
    drops: Drops,
) -> list[Entry]:
    """The pairs that pass the thresholds, spelt for the dictionary.

    Args:
        linked: by source word, the most frequent translation first.
        source_spellings, target_spellings: folded word -> spelling.
        drops: receives the others, by reason.
    """
    entries: list[Entry] = []
    for _, of_one_word in groupby(linked, key=attrgetter("source")):
        kept: list[Entry] = []
        for row in of_one_word:
            entry = Entry(
                source_spellings[row.source],
                target_spellings[row.target],
                round(row.links),
                probability(row.links, row.of_source),
                probability(row.links, row.of_target),
            )
            if reason := _fault(entry, kept, settings):
                drops.add(reason, _told(entry))
            else:
                kept.append(entry)
        # Switching "Tom" to "Tom" would do nothing. A copy beside other translations stays, so that "restaurant" is not
        # always switched to "restaurants".
        if len(kept) == 1 and kept[0].source == kept[0].target:
            drops.add("words whose only translation is the word itself", _told(kept[0]))
        else:
            entries += kept
    return entries


def _fault(entry: Entry, better: list[Entry], settings: DictionarySettings) -> str | None:
    """Why an entry stays out, or None; `better`: those of the same word that were kept, the best first."""
    if has_digit(entry.source) or has_digit(entry.target):
        return "word pairs with a digit"
    if entry.source[-1] in APOSTROPHES or entry.target[-1] in APOSTROPHES:
        return "word pairs with an elided word"  # the l' of "l'église"
    if entry.count < settings.min_count:
        return "word pairs below min_count"
    if min(entry.p_target_given_source, entry.p_source_given_target) < settings.min_probability:
        return "word pairs below min_probability"
    # A copy ("in", German "in") must not push out what the word can be switched to ("im").
    best = next((other for other in better if other.target != entry.source), entry)
    if entry.p_target_given_source < settings.min_share_of_best * best.p_target_given_source:
        return "word pairs below min_share_of_best"
    if len(better) >= settings.top_k:
        return "word pairs beyond top_k"
    return None


def _told(entry: Entry) -> str:
    return f"{entry.source} | {entry.target} ({entry.count})"

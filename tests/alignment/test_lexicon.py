"""The M-step against plain dictionaries of counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from prealign import draws
from prealign.alignment import lexicon
from prealign.alignment.affixes import Classes, beginning, ending
from prealign.alignment.bitext import SideBuilder
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.lexicon import Lexicon

Pair = tuple[str, str]
SENTENCES = [
    ("they take bread", "ils prennent pain"),
    ("she takes parliament", "elle prend parlement"),
    ("take breads take", "prenez pains"),
    ("reading breads", "lecture pains pain"),
]


def prior(counts: dict[Pair, float], pair: Pair, occurrences: Counter[str]) -> float:
    """What both kinds of classes add to the mass of (maker, made), counted from scratch."""
    maker, made = pair
    total = 0.0
    for affix in (beginning, ending):
        of_both = of_maker = 0.0
        for (e, f), count in counts.items():
            if affix(e) == affix(maker):
                of_both += count if affix(f) == affix(made) and (e, f) != pair else 0.0
                of_maker += count if e != maker else 0.0
        share = occurrences[made] / sum(n for word, n in occurrences.items() if affix(word) == affix(made))
        total += share * lexicon.BACK_OFF * of_both / (of_maker + lexicon.CAUTION)
        if affix is beginning and beginning(maker) == beginning(made):
            total += share * lexicon.COGNATE
    return total


def test_masses_and_totals_equal_plain_counting() -> None:
    source, target = SideBuilder(), SideBuilder()
    for left, right in SENTENCES:
        source.add(left.split())
        target.add(right.split())
    source_types, target_types = list(source.types), list(target.types)
    table = PairTable.build(source.side(), target.side())
    classes = [Classes.of(affix, source_types, target_types) for affix in (beginning, ending)]
    made = Lexicon(table, source.side(), target.side(), *classes)
    counts = draws.generator("test lexicon").random((len(table), 2)).astype(np.float32)
    names = [
        (source_types[e], target_types[f])
        for e in range(len(source_types))
        for f in table.targets[table.row_offsets[e] : table.row_offsets[e + 1]]
    ]
    forward = {pair: float(count) for pair, count in zip(names, counts[:, 0])}
    backward = {(f, e): float(count) for (e, f), count in zip(names, counts[:, 1])}

    made.estimate(counts)
    assert not counts.any()
    of_source = Counter(word for left, _ in SENTENCES for word in left.split())
    of_target = Counter(word for _, right in SENTENCES for word in right.split())
    for (e, f), masses in zip(names, made.masses):
        wanted = forward[e, f] + lexicon.ALPHA + prior(forward, (e, f), of_target)
        assert masses[0] == pytest.approx(wanted, rel=1e-5), (e, f)
        wanted = backward[f, e] + lexicon.ALPHA + prior(backward, (f, e), of_source)
        assert masses[1] == pytest.approx(wanted, rel=1e-5), (f, e)
    for word, total in zip(source_types, made.source_totals):
        own = sum(float(masses[0]) for (e, _), masses in zip(names, made.masses) if e == word)
        unmet = max(len(target_types) - sum(e == word for e, _ in names), 1)
        assert total == pytest.approx(own + lexicon.ALPHA * unmet)
    for word, total in zip(target_types, made.target_totals):
        own = sum(float(masses[1]) for (_, f), masses in zip(names, made.masses) if f == word)
        unmet = max(len(source_types) - sum(f == word for _, f in names), 1)
        assert total == pytest.approx(own + lexicon.ALPHA * unmet)


def test_forms_of_a_word_share_what_was_learnt() -> None:
    """takes has met prend and elle once each, take prend often: that decides for prend."""
    source, target = SideBuilder(), SideBuilder()
    for left, right in [("take", "prend"), ("takes she", "prend elle")]:
        source.add(left.split())
        target.add(right.split())
    types = list(source.types), list(target.types)
    table = PairTable.build(source.side(), target.side())
    made = Lexicon(table, source.side(), target.side(), *(Classes.of(affix, *types) for affix in (beginning, ending)))
    counts = np.full((len(table), 2), 0.5, dtype=np.float32)
    counts[0] = 20.0  # the only pair of "take"
    made.estimate(counts)
    prend, elle = made.masses[table.row_offsets[1] : table.row_offsets[2], 0]
    assert prend > 4 * elle

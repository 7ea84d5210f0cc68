"""Moses's lexical translation tables, `lex.f2e` and `lex.e2f`: how they are read and written.

Moses calls the source language f and the target language e (step 4 of its training). A line is two words and the
probability of the first given the second:

| file | a line | |
|---|---|---|
| `lex.f2e` | target source p | p(target given source) |
| `lex.e2f` | source target p | p(source given target) |

Of either file the other is looked for beside it. Where it is missing, its probability is the one we have, shared out
over the words that it competes with, as if they were equally frequent: p(s|t) = p(t|s) / sum over s' of p(t|s').
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

from prealign.corpora.documents import read_lines
from prealign.dictionary.entries import Entry, probability
from prealign.dictionary.faults import Faults, FaultyLineError, clean_pair
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

F2E, E2F = ".f2e", ".e2f"
NO_WORD = "NULL"
"""Moses's word for none: the partner of words without a link."""
Pair = tuple[str, str]


def lex_entries(path: Path, faults: Faults) -> list[Entry]:
    """The entries of a table and, where it stands beside it, of its partner; counts are 1.

    Pairs with NULL are left out, and the log says how many.

    Raises:
        PrealignError: a file is missing, empty or damaged, or the two do not hold the same pairs.
    """
    forward_path, backward_path = lex_paths(path)
    forward, backward = (
        _read(table, faults) if table == path or table.is_file() else {} for table in (forward_path, backward_path)
    )
    if not forward and not backward and not faults.count:
        raise PrealignError(f"{path} has no entries: the file is empty, or holds nothing but {NO_WORD}.")
    if forward and backward and forward.keys() != backward.keys() and not faults.count:
        only = min(forward.keys() ^ backward.keys())
        raise PrealignError(
            f"{forward_path} and {backward_path.name} do not hold the same pairs: {' '.join(only)!r} stands in one of "
            "them. Both must come from one training; remove the one that does not belong."
        )
    forward = forward or _shared_out(backward, word=0)
    backward = backward or _shared_out(forward, word=1)
    return [Entry(*pair, 1, p, backward[pair]) for pair, p in forward.items() if pair in backward]


def lex_text(entries: list[Entry], suffix: str) -> str:
    """The content of the table with that suffix; words must hold no space."""
    if suffix == F2E:
        lines = (f"{e.target} {e.source} {e.p_target_given_source:.6g}\n" for e in entries)
    else:
        lines = (f"{e.source} {e.target} {e.p_source_given_target:.6g}\n" for e in entries)
    return "".join(lines)


def lex_paths(path: Path) -> tuple[Path, Path]:
    """The paths of both tables, f2e first, given one of them."""
    stem, _, compression = path.name.rpartition(F2E if F2E in path.suffixes else E2F)
    return path.with_name(stem + F2E + compression), path.with_name(stem + E2F + compression)


def _read(path: Path, faults: Faults) -> dict[Pair, float]:
    """(source, target) -> probability."""
    table: dict[Pair, float] = {}
    without_partner = 0
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            if (found := _parsed(line, target_first=F2E in path.suffixes)) is None:
                without_partner += 1
                continue
            pair, p = found
            if pair in table:
                raise FaultyLineError(f"the pair {pair[0]!r}, {pair[1]!r} stands in the table twice")
            table[pair] = p
        except FaultyLineError as fault:
            faults.add(f"{path.name}, line {number}", fault)
    if without_partner:
        log.info("%s: left out %s pairs with %s", path, f"{without_partner:,}", NO_WORD)
    return table


def _parsed(line: str, *, target_first: bool) -> tuple[Pair, float] | None:
    """The pair and its probability; None where one of the words is NULL."""
    columns = line.split()
    if len(columns) != 3:
        raise FaultyLineError(f"{line!r} is not two words and a probability")
    if NO_WORD in columns[:2]:
        return None
    try:
        p = probability(float(columns[2]), 1.0)
    except ValueError:
        raise FaultyLineError(f"{columns[2]!r} is not a probability") from None
    if not 0.0 <= p <= 1.0:
        raise FaultyLineError(f"a probability lies between 0 and 1, not at {columns[2]}")
    return clean_pair(*(columns[1::-1] if target_first else columns[:2])), p


def _shared_out(table: dict[Pair, float], *, word: int) -> dict[Pair, float]:
    """Probabilities of the other direction; word: the place in the pair of what is given there."""
    totals: defaultdict[str, float] = defaultdict(float)
    for pair, p in table.items():
        totals[pair[word]] += p
    return {pair: probability(p, totals[pair[word]]) if p else 0.0 for pair, p in table.items()}

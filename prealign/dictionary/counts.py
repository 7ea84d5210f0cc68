"""How often words were linked, and how they are spelt in the text: what entries are made from, in parts that add up.

Between the links of an aligner and the entries of a dictionary. A corpus that fits in memory is one part. A larger one
is counted a chunk at a time, or by several machines; each part is written as Parquet, and DuckDB adds them up, on disk
where memory ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign.corpora.parquet import quoted
from prealign.corpora.words import fold, lower, without_soft_hyphens
from prealign.dictionary.runs import LinkedRuns

if TYPE_CHECKING:
    import duckdb

MEMORY = "2GB"
"""What adding up may take before it goes to disk."""
ROWS_AT_A_TIME = 10_000
TYPES = {"links": "double", "inside": "bigint"}
"""Of the columns that are no text."""


class Linked(NamedTuple):
    """Two words and their links; what two words count for is the sum of the weights of their links."""

    source: str
    """folded"""
    target: str
    """folded"""
    links: float
    of_source: float
    """all links of the source word"""
    of_target: float
    """all links of the target word"""


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """Counts over a part of a corpus."""

    source_types: Sequence[str]
    """[source types] folded words"""
    target_types: Sequence[str]
    sources: NDArray[np.int64]
    """[word pairs] numbers of source types; no two pairs are equal"""
    targets: NDArray[np.int64]
    """[word pairs] numbers of target types"""
    counts: NDArray[np.float64]
    """[word pairs]"""
    source_forms: Mapping[str, int]
    """How often each form of a source word stands inside a sentence; 0: only at the beginning."""
    target_forms: Mapping[str, int]

    def joined_by(self, runs: LinkedRuns) -> LinkCounts:
        """The same with the counts of runs of words."""
        sources = {word: number for number, word in enumerate(self.source_types)}
        targets = {word: number for number, word in enumerate(self.target_types)}
        of_runs = [
            (sources.setdefault(source, len(sources)), targets.setdefault(target, len(targets)), count)
            for (source, target), count in runs.counts.items()
        ]
        more_sources, more_targets, more_counts = np.array(of_runs, dtype=np.float64).reshape(-1, 3).T
        # A run of Chinese words may be one word elsewhere, so that its pairs are there already.
        rows = summed(
            np.concatenate([self.sources, more_sources.astype(np.int64)]),
            np.concatenate([self.targets, more_targets.astype(np.int64)]),
            np.concatenate([self.counts, more_counts]),
        )
        forms = _added(self.source_forms, runs.source_forms), _added(self.target_forms, runs.target_forms)
        return LinkCounts(list(sources), list(targets), *rows, *forms)

    def linked(self) -> Iterator[Linked]:
        """All word pairs by source word, the most frequent translation first, then by target word.

        What is linked to the empty word counts for its partner, but is no pair.
        """
        of_source = np.bincount(self.sources, self.counts, minlength=len(self.source_types))
        of_target = np.bincount(self.targets, self.counts, minlength=len(self.target_types))
        source_ranks, target_ranks = _ranks(self.source_types), _ranks(self.target_types)
        order = np.lexsort((target_ranks[self.targets], -self.counts, source_ranks[self.sources]))
        for place in order.tolist():
            source, target = int(self.sources[place]), int(self.targets[place])
            words = self.source_types[source], self.target_types[target]
            if all(words):
                yield Linked(*words, float(self.counts[place]), float(of_source[source]), float(of_target[target]))


def summed(
    sources: NDArray[np.integer], targets: NDArray[np.integer], counts: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The same pairs, each once, with its counts added up."""
    n_targets = int(targets.max(initial=0)) + 1
    keys, places = np.unique(sources.astype(np.int64) * n_targets + targets, return_inverse=True)
    together = np.bincount(places, counts, minlength=len(keys)).astype(np.float64)
    return keys // n_targets, keys % n_targets, together


def spellings(forms: Mapping[str, int], language: str) -> dict[str, str]:
    """Folded word -> how the dictionary spells it: as it stands most often inside sentences.

    So German nouns keep their capital, and a sentence's first word does not get one: what was met only at the beginning
    of sentences has its first word written small ("guten Tag"). Of two forms that are equally frequent, the first in
    the alphabet is taken.
    """
    best: dict[str, tuple[int, str]] = {}
    for form, inside in forms.items():
        word = fold(form, language)
        opening, space, others = form.partition(" ")
        spelling = without_soft_hyphens(form if inside else lower(opening, language) + space + others)
        best[word] = min(best.get(word, (1, "")), (-inside, spelling))
    return {word: spelling for word, (_, spelling) in best.items()}


class CountFolder:
    """Counts of the parts of a corpus on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, part: LinkCounts) -> None:
        """Write the counts of one more part."""
        number = len(list(self.folder.glob("links-*.parquet")))
        tables = {
            "links": {
                "source": np.array(part.source_types, dtype=object)[part.sources],
                "target": np.array(part.target_types, dtype=object)[part.targets],
                "links": part.counts,
            },
            "source": _columns(part.source_forms),
            "target": _columns(part.target_forms),
        }
        with _database(self.folder) as connection:
            for name, table in tables.items():
                connection.register("part", table)
                path = self.folder / f"{name}-{number:05}.parquet"
                columns = ", ".join(f"{column}::{TYPES.get(column, 'varchar')} as {column}" for column in table)
                connection.execute(f"copy (select {columns} from part) to {quoted(str(path))} (format parquet)")
                connection.unregister("part")


def linked_in(folders: Iterable[Path], spill: Path | None = None) -> Iterator[Linked]:
    """All word pairs of the parts in these folders together, in the order of `LinkCounts.linked`.

    spill: folder for what does not fit in memory meanwhile; none: the system's for temporary files.
    """
    with _database(spill) as connection:
        rows = connection.execute(
            "select * from (select source, target, sum(links) as together, sum(together) over (partition by source), "
            f"sum(together) over (partition by target) from {_tables(folders, 'links')} group by source, target) "
            "where source <> '' and target <> '' order by source, together desc, target"
        )
        while batch := rows.fetchmany(ROWS_AT_A_TIME):
            yield from map(Linked._make, batch)


def forms_in(folders: Iterable[Path], side: str, spill: Path | None = None) -> dict[str, int]:
    """The forms of one side, "source" or "target", in the parts of these folders together; spill: as in `linked_in`."""
    with _database(spill) as connection:
        rows = connection.execute(f"select form, sum(inside)::bigint from {_tables(folders, side)} group by form")
        return dict(rows.fetchall())


def _columns(forms: Mapping[str, int]) -> dict[str, NDArray[np.generic]]:
    return {
        "form": np.array(list(forms), dtype=object),
        "inside": np.fromiter(forms.values(), dtype=np.int64, count=len(forms)),
    }


def _added(forms: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return dict(forms) | {form: count + forms.get(form, 0) for form, count in more.items()}


def _ranks(words: Sequence[str]) -> NDArray[np.int64]:
    """[words] the place of each in the alphabet."""
    ranks = np.empty(len(words), dtype=np.int64)
    ranks[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    return ranks


@contextmanager
def _database(spill: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills to a temporary folder in `spill`."""
    import duckdb

    with (
        TemporaryDirectory(dir=spill) as spilled,
        duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spilled}) as connection,
    ):
        yield connection


def _tables(folders: Iterable[Path], name: str) -> str:
    paths = sorted(path for folder in folders for path in folder.glob(f"{name}-*.parquet"))
    # DuckDB takes *, ? and [ in a path for wildcards.
    located = ("".join(f"[{mark}]" if mark in "*?[" else mark for mark in str(path)) for path in paths)
    return f"read_parquet([{', '.join(map(quoted, located))}])"

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

from prealign.corpora.words import fold, lower, without_soft_hyphens
from prealign.errors import missing_extra

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

    def linked(self) -> Iterator[Linked]:
        """All word pairs by source word, the most frequent translation first, then by target word."""
        of_source = np.bincount(self.sources, self.counts, minlength=len(self.source_types))
        of_target = np.bincount(self.targets, self.counts, minlength=len(self.target_types))
        source_ranks, target_ranks = _ranks(self.source_types), _ranks(self.target_types)
        order = np.lexsort((target_ranks[self.targets], -self.counts, source_ranks[self.sources]))
        for place in order.tolist():
            source, target = int(self.sources[place]), int(self.targets[place])
            yield Linked(
                self.source_types[source],
                self.target_types[target],
                float(self.counts[place]),
                float(of_source[source]),
                float(of_target[target]),
            )


def spellings(forms: Mapping[str, int], language: str) -> dict[str, str]:
    """Folded word -> how the dictionary spells it: as it stands most often inside sentences.

    So German nouns keep their capital, and a sentence's first word does not get one: a word met only at the beginning
    of sentences is written small. Of two forms that are equally frequent, the first in the alphabet is taken.
    """
    best: dict[str, tuple[int, str]] = {}
    for form, inside in forms.items():
        word = fold(form, language)
        spelling = without_soft_hyphens(form if inside else lower(form, language))
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
                connection.execute(f"copy (select {columns} from part) to {_quoted(str(path))} (format parquet)")
                connection.unregister("part")


def linked_in(folders: Iterable[Path], spill: Path | None = None) -> Iterator[Linked]:
    """All word pairs of the parts in these folders together, in the order of `LinkCounts.linked`.

    spill: folder for what does not fit in memory meanwhile; none: the system's for temporary files.
    """
    with _database(spill) as connection:
        rows = connection.execute(
            "select source, target, sum(links) as together, sum(together) over (partition by source), "
            f"sum(together) over (partition by target) from {_tables(folders, 'links')} "
            "group by source, target order by source, together desc, target"
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


def _ranks(words: Sequence[str]) -> NDArray[np.int64]:
    """[words] the place of each in the alphabet."""
    ranks = np.empty(len(words), dtype=np.int64)
    ranks[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    return ranks


@contextmanager
def _database(spill: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills to a temporary folder in `spill`."""
    try:
        import duckdb
    except ImportError:
        raise missing_extra("duckdb", "parquet", "Counting links a chunk or a shard at a time") from None
    with (
        TemporaryDirectory(dir=spill) as spilled,
        duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spilled}) as connection,
    ):
        yield connection


def _tables(folders: Iterable[Path], name: str) -> str:
    paths = sorted(path for folder in folders for path in folder.glob(f"{name}-*.parquet"))
    # DuckDB takes *, ? and [ in a path for wildcards.
    located = ("".join(f"[{mark}]" if mark in "*?[" else mark for mark in str(path)) for path in paths)
    return f"read_parquet([{', '.join(map(_quoted, located))}])"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

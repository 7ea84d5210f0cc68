"""What the built-in aligner has learnt, kept in a folder and applied to other text.

A large corpus is aligned in two steps: train on a sample, then link the rest part by part on any number of machines.
The model grows with the types of the sample, not with the text, and pairs that hardly ever translate each other are not
kept. Words that the sample did not have can be made by any word, all equally probable, so where they stand decides.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from prealign import files
from prealign.alignment.bitext import starts_of
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.lexicon import ALPHA
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

KEPT = 1e-4
"""Least probability, in either direction, of a pair that is kept."""
TYPES = "types.json"


@dataclass(frozen=True, slots=True)
class Model:
    """Trained parameters of both directions."""

    source_types: Sequence[str]
    target_types: Sequence[str]
    row_offsets: NDArray[np.int64]
    """[source types + 1] into the pairs, as in `PairTable`"""
    targets: NDArray[np.int32]
    """[pairs]"""
    masses: NDArray[np.float32]
    """[pairs, 2], see `lexicon`"""
    source_totals: NDArray[np.float32]
    """[source types]"""
    target_totals: NDArray[np.float32]
    """[target types]"""
    none_makes_target: NDArray[np.float64]
    """[target types] probability of each among the words that are made by none"""
    none_makes_source: NDArray[np.float64]
    """[source types]"""
    jump_weights: NDArray[np.float64]
    """[2, jumps], see `posteriors`"""

    def pruned(self) -> Model:
        """The same without pairs that are less probable than `KEPT` in both directions."""
        sources = np.repeat(np.arange(len(self.source_types)), np.diff(self.row_offsets))
        forward = self.masses[:, 0] >= KEPT * self.source_totals[sources]
        kept = forward | (self.masses[:, 1] >= KEPT * self.target_totals[self.targets])
        row_offsets = starts_of(np.bincount(sources[kept], minlength=len(self.source_types)))
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return Model(
            **arrays | {"row_offsets": row_offsets, "targets": self.targets[kept], "masses": self.masses[kept]}
        )

    def save(self, folder: Path) -> None:
        """Write a folder: each array as a `.npy` file of its name, and the words in `types.json`."""
        with files.whole(folder) as partial:
            partial.mkdir()
            files.write_json(partial / TYPES, {"source": list(self.source_types), "target": list(self.target_types)})
            for name in _arrays():
                np.save(partial / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read what `save` wrote.

        Raises:
            PrealignError: a file is missing or damaged, or they are not of one model.
        """
        reading = TYPES
        try:
            types = files.read_json(folder / TYPES)
            source_types, target_types = types["source"], types["target"]
            arrays = {}
            for name in _arrays():
                reading = f"{name}.npy"
                arrays[name] = np.load(folder / reading, allow_pickle=False)
        except (PrealignError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
            log.debug("%s: %r", folder / reading, error)
            raise _not_whole(folder, f"{reading} is missing or damaged") from None
        model = cls(source_types, target_types, **arrays)
        if not model._fits_together():
            raise _not_whole(folder, "the sizes of its files do not fit together")
        return model

    def _fits_together(self) -> bool:
        sources, targets, pairs = len(self.source_types), len(self.target_types), len(self.targets)
        return (
            self.row_offsets.shape == (sources + 1,)
            and int(self.row_offsets[-1]) == pairs
            and self.targets.shape == (pairs,)
            and self.masses.shape == (pairs, 2)
            and self.source_totals.shape == self.none_makes_source.shape == (sources,)
            and self.target_totals.shape == self.none_makes_target.shape == (targets,)
            and self.jump_weights.shape[:1] == (2,)
        )

    def masses_of(
        self, table: PairTable, source_numbers: NDArray[np.int32], target_numbers: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """The masses [pairs, 2] of another text's pairs; ALPHA for those not kept.

        Args:
            table: pairs of the other text.
            source_numbers, target_numbers: this model's number of each of its types, or -1; see `numbers_of`.
        """
        masses = np.full((len(table), 2), ALPHA, dtype=np.float32)
        _look_up(
            table.row_offsets, table.targets, source_numbers, target_numbers,
            self.row_offsets, self.targets, self.masses, masses,
        )  # fmt: skip
        return masses


def numbers_of(types: Sequence[str], known: Sequence[str]) -> NDArray[np.int32]:
    """[types] the place of each type among the known ones, or -1."""
    places = {word: place for place, word in enumerate(known)}
    return np.array([places.get(word, -1) for word in types], dtype=np.int32)


def of_known(values: NDArray[Any], numbers: NDArray[np.int32], otherwise: float) -> NDArray[Any]:
    """[types] the values of the known types that `numbers` names; others get `otherwise`."""
    return np.append(values, np.asarray(otherwise, dtype=values.dtype))[numbers]  # place -1 is the last


def _not_whole(folder: Path, why: str) -> PrealignError:
    return PrealignError(f"The trained aligner {folder} is not whole: {why}. Copy it again or train anew.")


def _arrays() -> list[str]:
    return [field.name for field in fields(Model) if field.name not in ("source_types", "target_types")]


@njit(cache=True)
def _look_up(  # type: ignore[no-untyped-def]
    row_offsets, row_targets, source_numbers, target_numbers, known_offsets, known_targets, known_masses, masses
):
    for source in range(len(row_offsets) - 1):
        known = source_numbers[source]
        if known < 0:
            continue
        row = known_targets[known_offsets[known] : known_offsets[known + 1]]
        for pair in range(row_offsets[source], row_offsets[source + 1]):
            target = target_numbers[row_targets[pair]]
            place = np.searchsorted(row, target)
            if place < len(row) and row[place] == target:
                masses[pair] = known_masses[known_offsets[known] + place]

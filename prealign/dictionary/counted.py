"""What a folder of counts says of itself, in `counted.json`, and whether several folders add up to one corpus.

Counts of several machines add up when the same text was counted in the same way with the same trained aligner, and when
every shard of it is there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from prealign import files
from prealign.errors import PrealignError

COUNTED = "counted.json"


@dataclass(frozen=True, slots=True)
class Counted:
    """Which text was counted, and how."""

    languages: list[str]
    """source and target, BCP 47 codes"""
    corpora: dict[str, str]
    """name of each file of the whole parallel text -> its fingerprint"""
    shard: list[int] | None
    """i and n when this is the i-th of n parts of that text, from 1; none: all of it"""
    knowledge: str
    """fingerprint of the aligner's trained model or encoder, or the encoder's name on the hub; empty where it needs
    none"""
    made_by: dict[str, Any]
    """aligner, symmetrisation and segmenters, as a dictionary's card tells them"""
    extent: dict[str, int]
    """how much was read and linked"""
    dropped: dict[str, Any]
    """what was left out, from `Drops.as_dict`"""

    def write(self, folder: Path) -> None:
        """Write `counted.json`."""
        files.write_json(folder / COUNTED, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Counted:
        """What `write` wrote; a folder without it is a user's mistake and says so."""
        if not (folder / COUNTED).is_file():
            raise PrealignError(f"{folder} holds no counts: it has no {COUNTED}. Name folders written with --shard.")
        found = files.read_json(folder / COUNTED)
        if not isinstance(found, dict) or found.keys() != {field.name for field in fields(cls)}:
            raise PrealignError(f"{folder / COUNTED} is not whole, or of another version. Count that shard again.")
        return cls(**found)

    @property
    def part(self) -> tuple[int, int]:
        """(i, n); all of the text is the one part of one."""
        return (self.shard[0], self.shard[1]) if self.shard else (1, 1)


def read_all(folders: Sequence[Path], source_language: str, target_language: str) -> list[Counted]:
    """What each of these folders says of itself.

    Raises:
        PrealignError: they do not add up to one corpus of these languages.
    """
    read = [Counted.read(folder) for folder in folders]
    for folder, one in zip(folders, read):
        if one.languages != [source_language, target_language]:
            raise PrealignError(
                f"{folder} holds counts of {'-'.join(one.languages)}, but {source_language}-{target_language} was "
                "asked for. Give its languages with --source and --target."
            )
        if differing := _differing(read[0], one):
            raise PrealignError(
                f"{folder} was counted with another {' and '.join(differing)} than {folders[0]}; counts add up only "
                "when they were made in the same way. Count one of them again."
            )
    _refuse_other_than_all_shards(folders, read)
    return read


def _differing(first: Counted, other: Counted) -> list[str]:
    """What keeps two folders from adding up, in words."""
    names = [name for name in first.made_by if other.made_by.get(name) != first.made_by[name]]
    if other.knowledge != first.knowledge:
        names.append("trained model or encoder")
    if other.corpora != first.corpora:
        names.append("parallel text")
    if other.part[1] != first.part[1]:
        names.append("number of shards")
    return names


def _refuse_other_than_all_shards(folders: Sequence[Path], read: Sequence[Counted]) -> None:
    place: dict[int, Path] = {}
    n_shards = read[0].part[1]
    for folder, one in zip(folders, read):
        shard = one.part[0]
        if shard in place:
            raise PrealignError(f"{place[shard]} and {folder} both hold shard {shard}/{n_shards}; name it once.")
        place[shard] = folder
    if missing := [f"{shard}/{n_shards}" for shard in range(1, n_shards + 1) if shard not in place]:
        raise PrealignError(
            f"The counts of {len(missing)} of {n_shards} shards are missing: {', '.join(missing)}. Count them with "
            "--shard, or name their folders too."
        )

"""Tensors in safetensors files, each file with all rows of them or some: what ranks write of their shards.

    optimizer.safetensors                                 one file with everything, or
    optimizer.00000.safetensors  optimizer.00001 ...      one per rank, with the rows that the rank holds

A file of shards says in its header which rows of which whole these are, so that files can be read back by rows,
however many ranks wrote them and however many read: no rank ever holds what it does not train. torch's own format
for this (DCP) keeps its index in a pickle, which this package neither reads nor writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from prealign.errors import PrealignError

ROWS = "rows"
"""Key in a file's header: JSON, name -> [first row, rows of the whole]; tensors not named there are whole."""


class Rows(NamedTuple):
    """Which rows of a whole tensor a rank holds."""

    first: int
    end: int
    total: int


def rows_of(tensor: Tensor) -> Rows:
    """The rows of a tensor that are here: all, or this rank's chunk of one that is sharded along its rows."""
    total = tensor.shape[0] if tensor.ndim else 1
    if not isinstance(tensor, DTensor):
        return Rows(0, total, total)
    chunk = -(-total // tensor.device_mesh.size())  # as torch.chunk cuts: equal chunks, the last ones shorter or empty
    first = min(total, chunk * tensor.device_mesh.get_local_rank())
    rows = Rows(first, min(total, first + chunk), total)
    if tensor.to_local().shape[0] != rows.end - rows.first:
        raise ValueError(f"sharded otherwise than along its rows: {tensor.placements}")
    return rows


def local(tensor: Tensor) -> Tensor:
    """What of a tensor is here, without copying."""
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()


def write(path: Path, tensors: Mapping[str, Tensor], rows: Mapping[str, Rows]) -> None:
    """Write this rank's rows of some tensors.

    Args:
        tensors: name -> the rows that are here (`local`).
        rows: name -> where they belong, for those that are not whole.
    """
    places = {name: [where.first, where.total] for name, where in rows.items() if name in tensors}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={ROWS: json.dumps(places)})


class Reader:
    """Tensors of several files, read by name and rows."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._pieces: dict[str, list[tuple[Rows, Any]]] = {}
        for path in sorted(paths):
            file = _opened(path)
            places = json.loads((file.metadata() or {}).get(ROWS, "{}"))
            for name in file.keys():  # noqa: SIM118, not a dictionary
                shape = file.get_slice(name).get_shape()
                size = shape[0] if shape else 1
                first, total = places.get(name, (0, size))
                self._pieces.setdefault(name, []).append((Rows(first, first + size, total), file))

    def __contains__(self, name: str) -> bool:
        return name in self._pieces

    def read(self, name: str, rows: Rows) -> Tensor:
        """The rows `first` to `end` of a tensor, on the CPU.

        Raises:
            ValueError: the files do not hold all of these rows, or the tensor has another number of them.
        """
        pieces = sorted(self._pieces[name], key=lambda piece: piece[0])
        parts: list[Tensor] = []
        there = rows.first
        for place, file in pieces:
            if place.total != rows.total:
                raise ValueError(f"{name} has {place.total:,} rows where {rows.total:,} are wanted")
            end = min(place.end, rows.end)
            if place.first <= there < end:
                whole = (there, end) == (place.first, place.end)
                slices = slice(there - place.first, end - place.first)
                parts.append(file.get_tensor(name) if whole else file.get_slice(name)[slices])
                there = end
        if there < rows.end:
            raise ValueError(f"rows {there:,} to {rows.end:,} of {name} are in none of the files")
        if not parts:  # no row is wanted: a rank can have an empty chunk of a small tensor
            parts = [pieces[0][1].get_slice(name)[0:0]]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise PrealignError(f"{path} is damaged: {error}") from error

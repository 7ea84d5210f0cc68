"""Rows of tensors over several files, read back by any other cut."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
import torch

from prealign.errors import PrealignError
from prealign.train import shards
from prealign.train.shards import Reader, Rows

WHOLE = torch.arange(14).reshape(7, 2)
STEP = torch.tensor(41.0)


def written(folder: Path, *cuts: int) -> Reader:
    """WHOLE cut at these rows into a file each; the first file has a whole tensor besides."""
    borders = [0, *cuts, 7]
    for number, (first, end) in enumerate(itertools.pairwise(borders)):
        tensors = {"rows": WHOLE[first:end]} | ({"step": STEP} if number == 0 else {})
        shards.write(folder / f"{number}.safetensors", tensors, {"rows": Rows(first, end, 7)})
    return Reader(folder.glob("*.safetensors"))


@pytest.mark.parametrize("cuts", [(), (4,), (3, 6), (2, 4, 6), (5, 7, 7)])  # the last as 5 ranks would: two are empty
def test_any_rows_come_back_from_any_cut(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    reader = written(tmp_path, *cuts)
    for first in range(8):
        for end in range(first, 8):
            assert torch.equal(reader.read("rows", Rows(first, end, 7)), WHOLE[first:end])
    assert torch.equal(reader.read("step", Rows(0, 1, 1)), STEP)
    assert "rows" in reader
    assert "columns" not in reader


def test_a_missing_file_and_another_size_are_noticed(tmp_path: Path) -> None:
    written(tmp_path, 3, 6)
    (tmp_path / "1.safetensors").unlink()
    reader = Reader(tmp_path.glob("*.safetensors"))
    assert torch.equal(reader.read("rows", Rows(0, 3, 7)), WHOLE[:3])
    with pytest.raises(ValueError, match="rows 3 to 7 of rows are in none of the files"):
        reader.read("rows", Rows(0, 7, 7))
    with pytest.raises(ValueError, match="rows has 7 rows where 9 are wanted"):
        reader.read("rows", Rows(0, 3, 9))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    os.truncate(tmp_path / "0.safetensors", 100)
    with pytest.raises(PrealignError, match=r"0\.safetensors is damaged"):
        Reader(tmp_path.glob("*.safetensors"))

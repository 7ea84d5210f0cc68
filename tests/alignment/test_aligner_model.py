"""A trained aligner saved, loaded and applied to text it was not trained on."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from prealign import draws
from prealign.alignment.model import TYPES, Model
from prealign.alignment.parallel_words import ParallelWords
from prealign.alignment.statistical import StatisticalAligner
from prealign.errors import PrealignError

TRAINING, OTHER = 400, 50


@pytest.fixture(scope="module")
def pairs() -> list[tuple[list[str], list[str]]]:
    """Sentences of 2 to 8 words out of 40, word for word in capitals."""
    generator = draws.generator("aligner model")
    drawn = [generator.choice(40, generator.integers(2, 9), replace=False) for _ in range(TRAINING + OTHER)]
    return [([f"w{n}" for n in numbers], [f"W{n}" for n in numbers]) for numbers in drawn]


@pytest.fixture(scope="module")
def model(pairs: list[tuple[list[str], list[str]]]) -> Model:
    aligner = StatisticalAligner(ParallelWords.of(pairs[:TRAINING]))
    aligner.train()
    return aligner.model()


def applied(model: Model, pairs: list[tuple[list[str], list[str]]]) -> list[list[list[int]]]:
    aligner = StatisticalAligner(ParallelWords.of(pairs))
    aligner.adopt(model)
    offsets, links = aligner.links("intersect")
    return [part.tolist() for part in np.split(links, offsets[1:-1])]


def test_saved_and_loaded_is_the_same(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    for field in fields(Model):
        assert np.array_equal(getattr(model, field.name), getattr(loaded, field.name)), field.name


def test_other_text_is_linked(model: Model, pairs: list[tuple[list[str], list[str]]]) -> None:
    other = pairs[TRAINING:]
    assert applied(model, other) == [[[i, i] for i in range(len(source))] for source, _ in other]
    assert applied(model, other[7:8]) == applied(model, other)[7:8]  # whatever stands beside a pair


def test_words_not_met_in_training_do_no_harm(model: Model) -> None:
    assert applied(model, [(["w1", "w2", "new"], ["W1", "W2"]), ([], ["W1"])]) == [[[0, 0], [1, 1]], []]
    applied(model, [(["only", "new"], ["words", "here", "now"])])
    empty = StatisticalAligner(ParallelWords.of([])).model()
    applied(empty, [(["only", "new"], ["words", "here", "now"])])


def test_pairs_that_hardly_translate_each_other_are_not_kept(model: Model) -> None:
    rows = np.repeat(np.arange(len(model.source_types)), np.diff(model.row_offsets))
    kept = {(model.source_types[e], model.target_types[f]) for e, f in zip(rows, model.targets)}
    assert {(f"w{n}", f"W{n}") for n in range(40)} <= kept
    assert len(kept) < 40 * 40


@pytest.mark.parametrize("name", [TYPES, "masses.npy"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"half"])
def test_a_folder_with_a_file_missing_or_damaged_is_named(
    model: Model, tmp_path: Path, name: str, content: bytes | None
) -> None:
    model.save(tmp_path / "model")
    damaged = tmp_path / "model" / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:-5] if content == b"half" else content)
    with pytest.raises(PrealignError, match=rf"model is not whole: {name} is missing or .* Copy it again or train"):
        Model.load(tmp_path / "model")


def test_files_of_two_models_are_not_one(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    np.save(tmp_path / "model" / "targets.npy", model.targets[:-1])
    with pytest.raises(PrealignError, match="is not whole: the sizes of its files do not fit together"):
        Model.load(tmp_path / "model")

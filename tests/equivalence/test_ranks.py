"""One process and two compute the same; killed and uninterrupted end the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prealign.files import read_json
from prealign.train.metrics import flat


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "timing"} for line in lines]


@pytest.mark.parametrize("case", ["both_objectives", "words_only", "in_context"])
def test_two_ranks_train_as_one(one_and_two: tuple[Path, Path], case: str) -> None:
    """Tolerance: float32 sums in another order, once per update; about 1e-7 each, grown by twelve updates of AdamW."""
    one, two = (rows(folder / case) for folder in one_and_two)
    assert len(one) == len(two) == 12
    for mine, theirs in zip(one, two, strict=True):
        exact = {"step", "lm_tokens", "n_rows", "n_words", "lr"} & mine.keys()
        assert {key: mine[key] for key in exact} == {key: theirs[key] for key in exact}
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=2e-6)
        for of_parts in ("loss_by_language", "loss_by_layer"):
            pairs = zip(flat(mine.get(of_parts, {})).items(), flat(theirs.get(of_parts, {})).items(), strict=True)
            assert all(a == (b[0], pytest.approx(b[1], rel=2e-5)) for a, b in pairs)
        if "lm" in mine["loss"]:
            assert min(mine["loss_by_language"]["lm"].values()) < mine["loss"]["lm"]
            assert max(mine["loss_by_language"]["lm"].values()) > mine["loss"]["lm"]
        layers = mine["loss_by_layer"]["alignment"]
        assert sum(layers) / len(layers) == pytest.approx(mine["loss"]["alignment"], rel=2e-6)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
    assert one[-1]["loss"] != one[0]["loss"]
    mine, theirs = (
        load_file(folder / case / "checkpoints" / "step-00000012" / "model.safetensors") for folder in one_and_two
    )
    for name in mine:  # the head too, which words alone do not reach: it stays what it was, without decay
        torch.testing.assert_close(mine[name], theirs[name], rtol=0, atol=2e-5, msg=lambda text, name=name: name + text)


def test_alignment_loss_of_gathered_words(one_and_two: tuple[Path, Path]) -> None:
    """Values and gradients; the sums over ranks run in another order, a few units in the last place."""
    one, two = (read_json(folder / "alignment_loss.json") for folder in one_and_two)
    for form in ("log_sum", "sum_log"):
        assert one[form]["count"] == two[form]["count"] == 20
        assert one[form]["loss"] == pytest.approx(two[form]["loss"], rel=1e-6)
        mine, theirs = torch.tensor(one[form]["gradient"]), torch.tensor(two[form]["gradient"])
        assert mine.abs().max() > 0.1
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_every_rank_stops_where_one_goes_wrong(one_and_two: tuple[Path, Path]) -> None:
    _, two = one_and_two
    first, second = (read_json(two / f"not_finite.{rank}.json") for rank in (0, 1))
    assert first == second
    assert first["kind"] == "PrealignError"
    assert "rank 1, lm: nan" in first["text"]
    assert "rank 0" not in first["text"]


def test_killed_while_saving_it_goes_on_from_the_checkpoint_before(
    workers: Callable[..., None], tmp_path: Path
) -> None:
    """Bit for bit: rows, weights and the optimiser's moments."""
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    workers(1, broken, "killed_while_saving", expected=-9)
    run = broken / "killed_while_saving"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000004", "step-00000008.partial"]
    assert rows(run)[-1]["step"] == 8
    workers(1, broken, "killed_while_saving")
    (straight / "killed_while_saving").mkdir(parents=True)  # a folder that is there is not killed
    workers(1, straight, "killed_while_saving")
    assert rows(run) == rows(straight / "killed_while_saving")
    assert len(rows(run)) == 12 + 5
    for name in ("model.safetensors", "training/optimizer.safetensors"):
        mine, theirs = (
            load_file(folder / "killed_while_saving" / "checkpoints" / "step-00000012" / name)
            for folder in (broken, straight)
        )
        assert all(torch.equal(mine[key], theirs[key]) for key in mine | theirs)

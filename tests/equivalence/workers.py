"""Run by the tests in a process of its own, or in two that are joined by gloo (conftest.py starts them).

Each case writes what it found to FOLDER/CASE.json or, for training, a run folder FOLDER/CASE. The numbers of one
process and of two are compared by the tests.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from prealign import files, ranks
from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.config.init import ModelSettings
from prealign.model.build import build_model
from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.word_alignment import WordAlignment, anchors, word_alignment_loss, word_batch
from prealign.train.batches import micro_batches_of, rows_of_step
from prealign.train.loop import Task, train
from prealign.train.parallel import process_group

VOCABULARY, ROWS, STEPS = 61, 8, 12
LM, ALIGNMENT = CausalLM(), WordAlignment()


def model() -> PreTrainedModel:
    overrides = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    special = {"bos": 1, "eos": 2, "pad": 3}
    settings = ModelSettings(overrides=overrides)
    return build_model(settings, vocab_size=VOCABULARY, special=special, max_positions=16, seed=1)


def text(rows: range) -> dict[str, Any]:
    """Rows by their sample numbers, with unequal numbers of labels: a mean of means would be wrong."""
    ids = torch.stack([torch.randint(4, VOCABULARY, (12,), generator=torch.Generator().manual_seed(n)) for n in rows])
    labels = ids.clone()
    for row, number in zip(labels, rows, strict=True):
        row[: number % 8] = -100
    return {"input_ids": ids, "labels": labels, "n_rows": len(rows)}


def words(step: int) -> dict[str, Any]:
    """This rank's share of eight groups, some of three words, two words written the same in different groups."""
    draw = torch.Generator().manual_seed(1000 + step)
    groups = [torch.randint(4, VOCABULARY, (2 + n % 2, 2), generator=draw).tolist() for n in range(8)]
    groups[6][1] = groups[1][0]
    mine = rows_of_step(0, 8, ranks.rank(), ranks.world_size())
    return word_batch([groups[n] for n in mine], list(mine), pad_id=3)


def tasks(step: int, per_device: int, *, text_weight: float = 1.0, words_weight: float = 0.5) -> list[Task]:
    mine = rows_of_step(step, ROWS, ranks.rank(), ranks.world_size())
    found: list[Task] = []
    if text_weight:
        found += [(text(part), LM, text_weight) for part in micro_batches_of(mine, per_device)]
    if words_weight:
        found.append((words(step), ALIGNMENT, words_weight))
    return found


def run(folder: Path, make: Any, **changes: Any) -> None:
    """Train a model for some steps into a run folder."""
    train(
        model(),
        max_steps=STEPS,
        micro_batches=make,
        optimizer=OptimizerSettings(learning_rate=3e-3),
        engine=EngineSettings(logging_steps=1, save_steps=4, eval_steps=3, precision="fp32"),
        folder=folder,
        stage="test",
        facts={},
        seed=1,
        device=torch.device("cpu"),
        **changes,
    )


def both_objectives(folder: Path) -> None:
    run(folder / "both_objectives", lambda step: tasks(step, per_device=2))


def words_only(folder: Path) -> None:
    """No objective that reaches every parameter: the gradients must be summed all the same."""
    run(folder / "words_only", lambda step: tasks(step, per_device=2, text_weight=0.0))


def alignment_loss(folder: Path) -> None:
    """Loss and gradient of fixed states, spread over the ranks, for both forms and with the collapse term."""
    draw = torch.Generator().manual_seed(7)
    states = torch.randn(3, 20, 6, generator=draw)
    groups, forms = torch.arange(20) // 2, torch.arange(20)
    forms[14] = forms[3]
    # Unequal shares, as groups of unequal size give them; whole groups stay on one rank.
    first = 12 if ranks.world_size() == 2 else 20
    mine = slice(0, first) if ranks.rank() == 0 else slice(first, 20)
    found: dict[str, Any] = {}
    for positives in ("log_sum", "sum_log"):
        own = states[:, mine].clone().requires_grad_()
        options = {"forms": forms[mine], "positives": positives, "collapse_weight": 0.7}
        loss = word_alignment_loss(own, groups[mine], 0.2, **options)
        (gradient,) = torch.autograd.grad(loss, own)
        count = ranks.sum_over_ranks([float(anchors(groups[mine], forms[mine]).sum())])[0]
        found[positives] = {
            "loss": ranks.sum_over_ranks([loss.item()])[0],
            "count": count,
            "gradient": ranks.gather(gradient, dim=1).tolist(),
        }
    if ranks.rank() == 0:
        files.write_json(folder / "alignment_loss.json", found)


def not_finite(folder: Path) -> None:
    """One rank's loss goes wrong; every rank must stop with the same sentence."""

    class Broken(CausalLM):
        def loss_sum(self, model: Any, batch: Any) -> torch.Tensor:
            return super().loss_sum(model, batch) * (torch.nan if ranks.rank() == ranks.world_size() - 1 else 1.0)

    def make(step: int) -> list[Task]:
        return [(text(rows_of_step(step, ROWS, ranks.rank(), ranks.world_size())), Broken(), 1.0)]

    try:
        run(folder / "not_finite", make)
    except Exception as error:
        files.write_json(folder / f"not_finite.{ranks.rank()}.json", {"kind": type(error).__name__, "text": str(error)})


def killed_while_saving(folder: Path) -> None:
    """SIGKILL in the middle of writing the second checkpoint; the same call again goes to the end."""
    first = not (folder / "killed_while_saving").exists()

    def kill(checkpoint: Path) -> None:
        if first and "step-00000008" in checkpoint.name:
            os.kill(os.getpid(), signal.SIGKILL)

    run(
        folder / "killed_while_saving",
        lambda step: tasks(step, per_device=8),
        save_extra=kill,
        measure=lambda model: {"sum": float(model.lm_head.weight.double().sum())},
    )


if __name__ == "__main__":
    place, cases, environment = globals()["arguments"]  # put there by conftest.py
    os.environ.update(environment)
    torch.set_num_threads(1)
    with process_group(timeout_s=60):
        for case in cases:
            globals()[case](Path(place))

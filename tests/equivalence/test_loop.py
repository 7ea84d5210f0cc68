"""The loop against Hugging Face's Trainer, and eight micro-batches against one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import SequentialSampler
from transformers import PreTrainedModel, Trainer, TrainingArguments

from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.config.init import ModelSettings
from prealign.model.build import build_model
from prealign.objectives.causal_lm import CausalLM
from prealign.train import optim
from prealign.train.loop import Task, train

ROWS, LENGTH, STEPS, VOCABULARY = 8, 24, 20, 101
SETTINGS = OptimizerSettings(learning_rate=1e-3, warmup_steps=3)


def model() -> PreTrainedModel:
    overrides = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    special = {"bos": 1, "eos": 2, "pad": 3}
    settings = ModelSettings(overrides=overrides)
    return build_model(settings, vocab_size=VOCABULARY, special=special, max_positions=LENGTH, seed=1)


def row(number: int) -> dict[str, torch.Tensor]:
    """Row by sample number; every row predicts another number of labels."""
    ids = torch.randint(4, VOCABULARY, (LENGTH,), generator=torch.Generator().manual_seed(number))
    labels = ids.clone()
    labels[: number % 7] = -100
    return {"input_ids": ids, "labels": labels}


def own_losses(folder: Path, per_device: int) -> list[float]:
    objective = CausalLM()

    def make(step: int) -> list[Task]:
        numbers = range(step * ROWS, (step + 1) * ROWS)
        tasks: list[Task] = []
        for start in range(0, ROWS, per_device):
            rows = [row(number) for number in numbers[start : start + per_device]]
            tasks.append(({key: torch.stack([r[key] for r in rows]) for key in rows[0]}, objective, 1.0))
        return tasks

    train(
        model(),
        max_steps=STEPS,
        micro_batches=make,
        optimizer=SETTINGS,
        engine=EngineSettings(logging_steps=1, save_steps=1000, precision="fp32"),
        folder=folder,
        stage="test",
        facts={},
        seed=1,
        device=torch.device("cpu"),
    )
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"]["lm"] for line in lines]


def trainer_losses(folder: Path) -> list[float]:
    """The same 20 steps by transformers.Trainer, with our optimiser and learning rates, its own loss and loop."""
    losses: list[float] = []

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

        def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
            loss = super().training_step(*arguments, **named)
            losses.append(float(loss))
            return loss

    trained = model()
    optimizer = optim.build_optimizer(trained, SETTINGS)
    scale = SETTINGS.learning_rate
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: optim.learning_rate(step, STEPS, SETTINGS) / scale
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=ROWS,
        max_grad_norm=SETTINGS.max_grad_norm,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    InOrder(
        trained,
        arguments,
        train_dataset=[row(number) for number in range(ROWS * STEPS)],
        optimizers=(optimizer, schedule),
    ).train()
    return losses


def test_own_loop_equals_hugging_faces_trainer(tmp_path: Path) -> None:
    """Within 1e-6: both do the same float32 arithmetic, the head's sums in another order."""
    pytest.importorskip("accelerate", reason="transformers.Trainer needs accelerate")
    ours, theirs = own_losses(tmp_path / "ours", per_device=ROWS), trainer_losses(tmp_path / "theirs")
    assert len(ours) == STEPS
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert ours[-1] != pytest.approx(ours[0], rel=1e-3)


def test_eight_micro_batches_of_one_row_equal_one_of_eight(tmp_path: Path) -> None:
    """Rows predict 17 to 23 labels, so that a mean of means would differ in the third digit."""
    one, eight = own_losses(tmp_path / "one", per_device=ROWS), own_losses(tmp_path / "eight", per_device=1)
    assert eight == pytest.approx(one, rel=1e-6)

"""A very small model and a run over it, for tests of the loop and its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.config.init import ModelSettings
from prealign.model.build import build_model
from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.word_alignment import WordAlignment
from prealign.objectives.word_states import word_batch
from prealign.train.loop import Outcome, Task, train

VOCABULARY = 61


@pytest.fixture
def small_model() -> Callable[[], PreTrainedModel]:
    """Makes the same model of 2 blocks and 8,000 parameters at every call."""
    overrides = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}

    def make() -> PreTrainedModel:
        settings = ModelSettings(overrides={**overrides, "attention_dropout": 0.1})
        special = {"bos": 1, "eos": 2, "pad": 3}
        return build_model(settings, vocab_size=VOCABULARY, special=special, max_positions=16, seed=1)

    return make


@pytest.fixture
def tasks_of() -> Callable[[int], list[Task]]:
    """Two micro-batches of text and one of words, computed from the step number."""
    lm, alignment = CausalLM(), WordAlignment()

    def make(step: int) -> list[Task]:
        draw = torch.Generator().manual_seed(step)
        tasks: list[Task] = []
        for part in range(2):
            ids = torch.randint(4, VOCABULARY, (3, 12), generator=draw)
            batch = {"input_ids": ids, "labels": ids, "n_switched": step, "examples": [f"en/{step}/{part}"]}
            tasks.append((batch, lm, 1.0))
        words = torch.randint(4, VOCABULARY, (4, 2, 2), generator=draw).tolist()
        tasks.append((word_batch(words, range(4), pad_id=3), alignment, 0.5))
        return tasks

    return make


@pytest.fixture
def run(small_model: Callable[[], PreTrainedModel], tasks_of: Callable[[int], list[Task]]) -> Callable[..., Outcome]:
    """`train` with small settings; any of its arguments can be given instead, `engine` as a dictionary."""

    def go(folder: Path, *, engine: dict[str, Any] | None = None, **changes: Any) -> Outcome:
        arguments: dict[str, Any] = {
            "model": small_model(),
            "max_steps": 10,
            "micro_batches": tasks_of,
            "optimizer": OptimizerSettings(learning_rate=1e-2),
            "engine": EngineSettings(**{"logging_steps": 3, "eval_steps": 5, "save_steps": 4, **(engine or {})}),
            "folder": folder,
            "stage": "test",
            "facts": {"store": "7f3a"},
            "seed": 1,
            "device": torch.device("cpu"),
        }
        arguments.update(changes)
        return train(arguments.pop("model"), **arguments)

    return go

"""`prealign pretrain`: each arm's start is trained on running text, with its input code-switched or not."""

from __future__ import annotations

import logging
from typing import Any

import torch

from prealign.config.init import ModelSettings
from prealign.config.settings import Arm
from prealign.errors import PrealignError
from prealign.model.build import build_model
from prealign.objectives.causal_lm import CausalLM
from prealign.stages.layout import SWITCHING_ARMS
from prealign.stages.running_text import RunningText
from prealign.stages.training import MODEL, Materials, Training, carry_out
from prealign.train.loop import Task

log = logging.getLogger(__name__)


def run_pretrain(materials: Materials, device: torch.device) -> None:
    """Train every arm of the recipe."""
    for arm in materials.recipe.arms:
        if not materials.layout.pretrain(arm).is_reused():
            log.info("arm %s", arm)
            carry_out(_training(materials, arm), materials, device)


def _training(materials: Materials, arm: Arm) -> Training:
    recipe, layout = materials.recipe, materials.layout
    init = layout.init(layout.init_kind(arm))
    init.require("prealign init RECIPE")
    if arm in SWITCHING_ARMS and not recipe.dictionary.pairs:
        raise PrealignError(
            f"arm {arm} switches words, but the recipe names no dictionary pairs. Add one, or drop the arm."
        )
    text = RunningText(
        materials.store,
        recipe,
        rows_per_step=recipe.pretrain.global_batch_rows,
        first_sample=recipe.init.max_steps * recipe.init.lm_rows_per_step if recipe.init.lm_weight else 0,
        table=materials.table if arm in SWITCHING_ARMS and recipe.pretrain.switching.total_ratio > 0 else None,
    )
    for code, times in text.repeats(recipe.pretrain.max_steps).items():
        log.info("pretrain: %s is read %.1f times", code, times)
    lm = CausalLM()

    def micro_batches(step: int) -> list[Task]:
        return [(batch, lm, 1.0) for batch in text.micro_batches(step)]

    start_tokens = init.manifest()["summary"]["lm_tokens"]
    card: dict[str, Any] = {
        "stage": f"pretrain, arm {arm}",
        "steps": recipe.pretrain.max_steps,
        "rows per step": recipe.pretrain.global_batch_rows,
        "block size": recipe.pretrain.block_size,
        "share of eligible words switched": recipe.pretrain.switching.total_ratio if text.table else 0,
        "LM tokens of the start": start_tokens,
    }
    return Training(
        stage=layout.pretrain(arm),
        start=lambda: build_model(
            ModelSettings(checkpoint=str(init.folder / MODEL)),
            vocab_size=len(materials.tokenizer),
            special={},
            max_positions=recipe.pretrain.block_size,
            seed=recipe.seed,
        ),
        micro_batches=micro_batches,
        max_steps=recipe.pretrain.max_steps,
        optimizer=recipe.pretrain.optimizer,
        start_tokens=start_tokens,
        card=card,
    )

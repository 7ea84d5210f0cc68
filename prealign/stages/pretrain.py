"""`prealign pretrain`: each arm's start is trained on running text, its input code-switched or not, with batches of
words or of sentence pairs beside it or not (config/arms.py)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from prealign.config.arms import PLANS, Arm, Plan
from prealign.config.init import ModelSettings
from prealign.config.settings import Recipe
from prealign.corpora.text_tokenizer import n_ids
from prealign.errors import PrealignError
from prealign.model.build import build_model
from prealign.stages.alignment import AlignmentBatches, WordOrder, batch_of_step
from prealign.stages.language_model import LanguageModelling
from prealign.stages.materials import Materials
from prealign.stages.running_text import RunningText
from prealign.stages.skips import refuse_skips_of_the_past
from prealign.stages.training import MODEL, Training, about_vocabulary, carry_out, of_seed
from prealign.stages.translation_tasks import TranslationTasks
from prealign.train.loop import Task

log = logging.getLogger(__name__)

PAIRS = {
    "as text": "each sentence read alone",
    "tlm": "read as one",
    "contrast": "read as one, and sentences contrasted with their translations",
    "mixup": "read as one, and sentences contrasted with their translations, partly two pairs joined",
}
"""What a model card says of the arm's use of translation pairs."""


def run_pretrain(materials: Materials, device: torch.device) -> None:
    """Train every arm of a recipe with one training seed."""
    for arm in materials.recipe.arms:
        if not materials.layout.pretrain(arm).is_reused():
            log.info("%sarm %s", of_seed(materials.recipe), arm)
            mine = materials.for_arm(arm)
            carry_out(_training(mine, arm), mine, device)


def _training(materials: Materials, arm: Arm) -> Training:
    layout, plan = materials.layout, PLANS[arm]
    recipe = _with_labels(materials.recipe, plan)
    init = layout.init(plan.start)
    init.require("prealign init RECIPE")
    started = init.manifest()["summary"]
    if (plan.switching, plan.alignment) != ("none", "none") and not recipe.dictionary.pairs:
        needs = "aligns" if plan.switching == "none" else "switches"
        raise PrealignError(
            f"arm {arm} {needs} words, but the recipe names no dictionary pairs. Add one, or drop the arm."
        )
    switches = plan.switching != "none" and recipe.pretrain.switching.total_ratio > 0
    text = RunningText(
        materials.store,
        recipe,
        rows_per_step=recipe.pretrain.global_batch_rows,
        first_sample=started["steps"] * recipe.init.lm_rows_per_step if reads_text(recipe) else 0,
        table=materials.table if switches else None,
        skip_steps=recipe.pretrain.skip_steps,
    )
    refuse_skips_of_the_past(layout.pretrain(arm), recipe.pretrain.skip_steps)
    for code, times in text.repeats(recipe.pretrain.max_steps).items():
        log.info("pretrain: %s is read %.1f times", code, times)
    tasks = PretrainTasks(materials, text, plan, started["steps"])
    card: dict[str, Any] = {
        "stage": f"pretrain, arm {arm}",
        "rows per step": recipe.pretrain.global_batch_rows,
        "block size": recipe.pretrain.block_size,
        "share of eligible words switched, asked": f"{recipe.pretrain.switching.total_ratio if switches else 0:.1%}",
        "labels where a word was switched": _labels(recipe) if switches else "none was switched",
        "words aligned": ("before pretraining" if plan.start == "aligned" else "not")
        if plan.alignment == "none"
        else f"{plan.alignment} pretraining",
        **({} if plan.translations == "none" else {"use of sentence pairs": PAIRS[plan.translations]}),
        **about_vocabulary(plan.start),
        "LM tokens of the start": f"{started['lm_tokens']:,}",
    }
    return Training(
        stage=layout.pretrain(arm),
        start=lambda: build_model(
            ModelSettings(kind=recipe.model.kind, checkpoint=str(init.folder / MODEL)),
            vocab_size=n_ids(materials.tokenizer),
            special={},
            max_positions=recipe.pretrain.block_size,
            seed=recipe.training_seed,
        ),
        micro_batches=tasks,
        max_steps=recipe.pretrain.max_steps,
        optimizer=recipe.pretrain.optimizer,
        start_tokens=started["lm_tokens"],
        start_words=started.get("alignment_words", 0),
        card=card,
        alignment=tasks.alignment,
        stateful=tasks.stateful,
    )


def _with_labels(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe as this arm reads it: `both_sides` predicts switched words whatever the recipe's labels are."""
    if plan.switching != "both":
        return recipe
    switching = recipe.pretrain.switching.model_copy(update={"labels": "both"})
    return recipe.model_copy(update={"pretrain": recipe.pretrain.model_copy(update={"switching": switching})})


def _labels(recipe: Recipe) -> str:
    return "as read" if recipe.model.kind == "masked_lm" else recipe.pretrain.switching.labels


def reads_text(recipe: Recipe) -> bool:
    """Whether stage 1 read running text, after which this stage goes on."""
    return recipe.init.lm_weight > 0 and recipe.init.lm_on == "text"


class PretrainTasks:
    """Step number in, the step's rows of running text out, with words and sentence pairs where the arm's plan has them.

    Args:
        batches: batches of words that stage 1 had, for an arm that gets them here.
    """

    def __init__(self, materials: Materials, text: RunningText, plan: Plan, batches: int) -> None:
        self.text, self.when, self.batches = text, plan.alignment, batches
        self.lm = LanguageModelling(materials.recipe, materials.tokenizer)
        self.max_steps = materials.recipe.pretrain.max_steps
        self.alignment: AlignmentBatches | None = None
        init = materials.recipe.init
        if plan.alignment != "none" and batches and init.aligns_words:
            # Made for the steps that the recipe asks for, as in stage 1, so that an early stop changes no batch.
            order = None
            if init.alignment_weight > 0:
                order = WordOrder(materials.word_groups, init, init.max_steps, materials.recipe.training_seed)
            self.alignment = AlignmentBatches(materials, order)
        self.translations: TranslationTasks | None = None
        if plan.translations != "none":
            self.translations = TranslationTasks(materials, self.lm, plan.translations)

    def stateful(self, model: PreTrainedModel) -> Iterator[nn.Module]:
        """Objectives that are made from the start."""
        if self.translations is not None:
            yield from self.translations.stateful(model)

    def __call__(self, step: int) -> list[Task]:
        tasks = self.lm.tasks(self.text.micro_batches(step), 1.0)
        if self.alignment is not None and self.when != "none":
            number = batch_of_step(step, self.max_steps, self.batches, self.when)
            if number is not None:
                tasks += self.alignment.tasks(number)
        if self.translations is not None:
            tasks += self.translations(step)
        return tasks

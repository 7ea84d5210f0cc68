"""`prealign init`: a fresh or existing model becomes an aligned start, and the control gets the same text without
alignment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from prealign.config.arms import PLANS
from prealign.config.init import ModelSettings
from prealign.config.settings import Recipe
from prealign.corpora.text_tokenizer import n_ids
from prealign.errors import PrealignError
from prealign.model.build import build_model, number_of_parameters
from prealign.stages.alignment import AlignmentBatches, WordOrder, check_model
from prealign.stages.language_model import LanguageModelling
from prealign.stages.materials import Materials
from prealign.stages.running_text import RunningText
from prealign.stages.training import Training, about_vocabulary, carry_out, of_seed
from prealign.stages.translation_tasks import check_layer
from prealign.stages.watch import reached
from prealign.stages.word_text import WordText
from prealign.tokenizer.extend import read_new_pieces
from prealign.tokenizer.load import check_belongs
from prealign.train.loop import Task

log = logging.getLogger(__name__)


def run_init(materials: Materials, device: torch.device) -> None:
    """Make every start that the arms of a recipe with one training seed need."""
    for kind in materials.layout.init_kinds:
        if not materials.layout.init(kind).is_reused():
            log.info("%sstart %s", of_seed(materials.recipe), kind)
            if aligns_words(materials.recipe):  # what is amiss with the words is told before anything is trained
                _ = materials.word_groups
                _refuse_goal_without_words(materials)
                _ = materials.pairs if materials.recipe.init.reads_sentences else None
            mine = materials.for_start(kind)
            carry_out(_training(mine, kind), mine, device)


def _refuse_goal_without_words(materials: Materials) -> None:
    """Refuse `stop_at` where it would never be reached, or by other pairs only."""
    lacking = [
        f"{trained.source_language}-{trained.target_language}"
        for trained, held_out in materials.dictionaries
        if not len(held_out)
    ]
    if materials.recipe.init.stop_at is not None and lacking:
        raise PrealignError(
            f"init.stop_at is a P@1 of held-out words, but of {', '.join(lacking)} no words are held out. Raise "
            "dictionary.held_out_share, or leave init.stop_at out."
        )


def aligns_words(recipe: Recipe) -> bool:
    """Whether any arm is aligned, before, during or after pretraining."""
    plans = [PLANS[arm] for arm in recipe.arms]
    goal = recipe.init.stop_at is not None  # then the control waits for the aligned start
    return recipe.init.aligns_words and (goal or any(p.start == "aligned" or p.alignment != "none" for p in plans))


def _training(materials: Materials, kind: str) -> Training:
    recipe, settings = materials.recipe, materials.recipe.init
    aligned = kind == "aligned" and settings.aligns_words
    tasks = InitTasks(materials, aligned=aligned)
    lm = {"text": f"{settings.lm_rows_per_step} rows of running text", "words": "the words, each alone"}
    return Training(
        stage=materials.layout.init(kind),
        start=lambda: start(materials),
        micro_batches=tasks,
        max_steps=settings.max_steps if tasks.anything else 0,
        optimizer=settings.optimizer,
        start_tokens=0,
        card={
            "stage": f"init, {kind}",
            "language-model loss per step on": lm[settings.lm_on] if settings.lm_weight else "nothing",
            "source words aligned per step": settings.words_per_step if aligned and settings.alignment_weight else 0,
            "sentence pairs aligned per step": settings.context_sentences_per_step if aligned else 0,
            "block size": recipe.pretrain.block_size,
            **about_vocabulary(kind),
        },
        alignment=tasks.alignment,
        guard=settings.guard,
        enough=_enough(materials, kind),
    )


def _enough(materials: Materials, kind: str) -> Callable[[Mapping[str, Any]], bool] | None:
    """When the stage may end before its last step: at the goal of `stop_at`, and the control where that was."""
    goal = materials.recipe.init.stop_at
    if goal is None:
        return None
    if kind == "aligned":
        return lambda row: reached(row, goal)
    steps = materials.layout.init("aligned").manifest()["summary"]["steps"]
    return lambda row: bool(row["step"] >= steps)


def start(materials: Materials) -> PreTrainedModel:
    """The model before stage 1: random weights keyed by the seed, or a checkpoint."""
    recipe, tokenizer = materials.recipe, materials.tokenizer
    settings = with_paths(recipe)
    if settings.checkpoint is not None:
        check_belongs(tokenizer, settings.checkpoint)
    model = build_model(
        settings,
        vocab_size=n_ids(tokenizer),
        special={"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id},
        max_positions=recipe.pretrain.block_size,
        seed=recipe.training_seed,
        new_pieces=read_new_pieces(materials.layout.tokenizer.folder),
    )
    if aligns_words(recipe):
        check_model(recipe.init, model)
    if any(PLANS[arm].translations in ("contrast", "mixup") for arm in recipe.arms):
        check_layer(recipe.translations.contrast, model)
    size = number_of_parameters(model)
    log.info("model: %s parameters, %s without embeddings", f"{size['total']:,}", f"{size['without_embeddings']:,}")
    return model


def with_paths(recipe: Recipe) -> ModelSettings:
    """The model settings with `config` and `checkpoint` resolved against the data folder, or as on the hub."""
    settings = recipe.model
    places = {name: getattr(settings, name) for name in ("config", "checkpoint")}
    return settings.model_copy(update={name: recipe.model_place(place) for name, place in places.items() if place})


class InitTasks:
    """Step number in, the step's word groups and rows for the language model out."""

    def __init__(self, materials: Materials, *, aligned: bool) -> None:
        recipe, settings = materials.recipe, materials.recipe.init
        self.lm, self.lm_weight = LanguageModelling(recipe, materials.tokenizer), settings.lm_weight
        on_words = settings.lm_on == "words" and settings.lm_weight > 0
        self.alignment: AlignmentBatches | None = None
        self.text: RunningText | WordText | None = None
        order = None
        if on_words or (aligned and settings.alignment_weight > 0):
            order = WordOrder(materials.word_groups, settings, settings.max_steps, recipe.training_seed)
        if aligned:
            self.alignment = AlignmentBatches(materials, order)
        if order is not None and on_words:
            at_once = recipe.pretrain.per_device_train_batch_size * recipe.pretrain.block_size
            self.text = WordText(materials.word_groups, order, materials.tokenizer.eos_token_id, at_once)
        elif settings.lm_weight:
            self.text = RunningText(materials.store, recipe, rows_per_step=settings.lm_rows_per_step)

    @property
    def anything(self) -> bool:
        """Whether there is anything to train on."""
        return self.text is not None or self.alignment is not None

    def __call__(self, step: int) -> list[Task]:
        tasks: list[Task] = [] if self.alignment is None else self.alignment.tasks(step)
        if self.text is not None:
            tasks += self.lm.tasks(self.text.micro_batches(step), self.lm_weight)
        return tasks

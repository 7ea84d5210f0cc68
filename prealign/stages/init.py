"""`prealign init`: a fresh or existing model becomes an aligned start, and the control gets the same text without
alignment."""

from __future__ import annotations

import logging
from typing import Any

import torch
from transformers import PreTrainedModel

from prealign import draws, ranks
from prealign.config.init import ModelSettings
from prealign.config.settings import Recipe
from prealign.errors import PrealignError
from prealign.evaluation.word_forms import encode_words
from prealign.model.build import build_model, number_of_parameters
from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.word_alignment import WordAlignment, word_batch
from prealign.stages.running_text import RunningText
from prealign.stages.training import Materials, Training, carry_out
from prealign.train.batches import Shuffled, rows_of_step
from prealign.train.loop import Task

log = logging.getLogger(__name__)


def run_init(materials: Materials, device: torch.device) -> None:
    """Make every start that the recipe's arms need."""
    for kind in materials.layout.init_kinds:
        if not materials.layout.init(kind).is_reused():
            carry_out(_training(materials, kind), materials, device)


def _training(materials: Materials, kind: str) -> Training:
    recipe, settings = materials.recipe, materials.recipe.init
    tasks = InitTasks(materials, aligned=kind == "aligned" and settings.alignment_weight > 0)
    return Training(
        stage=materials.layout.init(kind),
        start=lambda: start(materials),
        micro_batches=tasks,
        max_steps=settings.max_steps if tasks.anything else 0,
        optimizer=settings.optimizer,
        start_tokens=0,
        card={
            "stage": f"init, {kind}",
            "steps": settings.max_steps,
            "rows of running text per step": settings.lm_rows_per_step if settings.lm_weight else 0,
            "words per step": settings.words_per_step if kind == "aligned" else 0,
            "block size": recipe.pretrain.block_size,
        },
    )


def start(materials: Materials) -> PreTrainedModel:
    """The model before stage 1: random weights keyed by the seed, or a checkpoint."""
    recipe, tokenizer = materials.recipe, materials.tokenizer
    model = build_model(
        with_paths(recipe),
        vocab_size=len(tokenizer),
        special={"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id},
        max_positions=recipe.pretrain.block_size,
        seed=recipe.seed,
    )
    size = number_of_parameters(model)
    log.info("model: %s parameters, %s without embeddings", f"{size['total']:,}", f"{size['without_embeddings']:,}")
    return model


def with_paths(recipe: Recipe) -> ModelSettings:
    """The model settings with `config` and `checkpoint` resolved against the data folder."""
    settings = recipe.model
    places = {name: getattr(settings, name) for name in ("config", "checkpoint")}
    return settings.model_copy(update={name: str(recipe.input(place)) for name, place in places.items() if place})


class InitTasks:
    """Step number in, the step's word groups and rows of running text out."""

    def __init__(self, materials: Materials, *, aligned: bool) -> None:
        recipe, settings = materials.recipe, materials.recipe.init
        self.settings = settings
        self.pad_id = materials.tokenizer.pad_token_id or 0
        self.text = (
            RunningText(materials.store, recipe, rows_per_step=settings.lm_rows_per_step)
            if settings.lm_weight
            else None
        )
        self.groups = word_groups(materials) if aligned else []
        self.order = Shuffled(len(self.groups), draws.key(recipe.seed, "words")) if aligned else None
        self.lm = CausalLM()
        self.alignment = WordAlignment(
            settings.temperature, settings.layers, settings.positives, settings.collapse_weight
        )
        if aligned:
            log.info(
                "init: %s words with translations, each seen %.1f times; about %s negatives per anchor",
                f"{len(self.groups):,}",
                settings.max_steps * settings.words_per_step / len(self.groups),
                f"{2 * settings.words_per_step - 2:,}",
            )

    @property
    def anything(self) -> bool:
        """Whether there is anything to train on."""
        return self.text is not None or self.order is not None

    def __call__(self, step: int) -> list[Task]:
        tasks: list[Task] = []
        if self.order is not None:
            places = rows_of_step(step, self.settings.words_per_step, ranks.rank(), ranks.world_size())
            _, rows = self.order(torch.arange(places.start, places.stop).numpy())
            batch: dict[str, Any] = word_batch([self.groups[row] for row in rows], rows.tolist(), self.pad_id)
            tasks.append((batch | {"examples": rows.tolist()}, self.alignment, self.settings.alignment_weight))
        if self.text is not None:
            tasks += [(batch, self.lm, self.settings.lm_weight) for batch in self.text.micro_batches(step)]
        return tasks


def word_groups(materials: Materials) -> list[list[list[int]]]:
    """Per source word of the training dictionaries: its ids, then those of its translations in all languages."""
    by_word: dict[str, list[str]] = {}
    for trained, _ in materials.dictionaries:
        for source, entries in trained.by_source().items():
            by_word.setdefault(source, []).extend(entry.target for entry in entries)
    flat = encode_words(
        materials.tokenizer, [word for source, targets in by_word.items() for word in (source, *targets)]
    )
    unknown = materials.tokenizer.unk_token_id
    groups, place = [], 0
    for targets in by_word.values():
        words = [ids for ids in flat[place : place + 1 + len(targets)] if ids and unknown not in ids]
        place += 1 + len(targets)
        if len(words) > 1:
            groups.append(words)
    if len(groups) < len(by_word):
        log.warning("init: %s words cannot be written with this tokenizer and are left out", len(by_word) - len(groups))
    if not groups:
        raise PrealignError(
            "init: no dictionary entries to align. Name dictionary pairs, or set init.alignment_weight to 0."
        )
    return groups

"""What an arm trains on translation pairs, as tasks of the loop: step number in, batches with objectives out.

Two losses stand beside that of running text, each divided by its own count: `tlm` (of sentences read one by one,
`pairs_as_text`) and `sentence_alignment`. Neither counts as LM tokens of the run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from prealign.config.arms import Pairs
from prealign.errors import PrealignError
from prealign.objectives.momentum import momentum_at
from prealign.objectives.sentence_alignment import InBatchContrast, MomentumContrast
from prealign.stages.language_model import LanguageModelling
from prealign.stages.translations import Marks, Translations
from prealign.train.loop import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from prealign.config.translations import ContrastSettings
    from prealign.stages.materials import Materials

log = logging.getLogger(__name__)


class TranslationTasks:
    """The tasks of an arm by step, without those of running text.

    Args:
        kind: what the arm's plan says of translation pairs; not "none".
    """

    def __init__(self, materials: Materials, lm: LanguageModelling, kind: Pairs) -> None:
        recipe, self.settings = materials.recipe, materials.recipe.translations
        self.seed, self.max_steps = recipe.training_seed, recipe.pretrain.max_steps
        self.translations = Translations(
            materials.translations,
            self.settings,
            block=recipe.pretrain.block_size,
            marks=marks_of(materials.tokenizer),
            masking=lm.masking,
            per_device=recipe.pretrain.per_device_train_batch_size,
            seed=self.seed,
        )
        self.apart, self.contrasts, self.mixup = kind == "as text", kind in ("contrast", "mixup"), kind == "mixup"
        self.reads = self.settings.tlm_pairs_per_step > 0
        self.lm = lm.named("pairs_as_text" if self.apart else "tlm")
        self.contrast: InBatchContrast | MomentumContrast | None = None
        if self.contrasts and self.settings.contrast.keys == "in_batch":
            self.contrast = in_batch(self.settings.contrast)
        if self.reads:
            for name, times in self.translations.repeats(self.max_steps * self.settings.tlm_pairs_per_step).items():
                log.info("pretrain: sentence pairs %s are read %.1f times", name, times)
        together = 2 if self.reads or self.mixup else 1
        longest = self.translations.marks.room(recipe.pretrain.block_size, together)
        for name, share in self.translations.beyond(longest).items():
            if share:
                log.info("pretrain: of the sentences %s %.2g %% are cut at %s tokens", name, 100 * share, longest)

    def __call__(self, step: int) -> list[Task]:
        tasks: list[Task] = []
        if self.reads:
            batches = self.translations.tlm(step, self.apart)
            tasks += [(batch, self.lm, self.settings.tlm_weight) for batch in batches]
        if self.contrasts:
            assert self.contrast is not None, "made by `stateful`"
            weight = self.settings.contrast.weight
            tasks += [(batch, self.contrast, weight) for batch in self.translations.contrast(step, self.mixup)]
        return tasks

    def stateful(self, model: PreTrainedModel) -> Iterator[nn.Module]:
        """The objective with a slow copy of the start and a queue of keys, if the arm has one; made here.

        Raises:
            PrealignError: sentences are to be contrasted at a layer that the model does not have.
        """
        if not self.contrasts:
            return
        settings = self.settings.contrast
        check_layer(settings, model)
        if self.contrast is None:
            self.contrast = MomentumContrast(
                model,
                layer=settings.layer,
                queue_size=settings.queue_size,
                momentum=partial(_momentum, settings, self.max_steps),
                first_keys=partial(self.translations.first_keys, self.mixup),
                pooling=settings.pooling,
                similarity=settings.similarity,
                temperature=settings.temperature,
                projected=settings.projection,
                seed=self.seed,
            )
        if isinstance(self.contrast, nn.Module):
            yield self.contrast


def marks_of(tokenizer: PreTrainedTokenizerFast) -> Marks:
    """The special tokens that this tokenizer has for the borders of sentences."""
    begin = tokenizer.bos_token_id if tokenizer.cls_token_id is None else tokenizer.cls_token_id
    end = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
    return Marks(begin, end, tokenizer.pad_token_id or 0)


def check_layer(settings: ContrastSettings, model: PreTrainedModel) -> None:
    """Refuse a layer that the model does not have, before anything is trained."""
    if mistake := settings.mistake_of_layer(model.config.num_hidden_layers):
        raise PrealignError(f"{mistake}.")


def in_batch(settings: ContrastSettings) -> InBatchContrast:
    """The objective without a queue, as the recipe sets it."""
    return InBatchContrast(
        layer=settings.layer,
        pooling=settings.pooling,
        similarity=settings.similarity,
        temperature=settings.temperature,
    )


def _momentum(settings: ContrastSettings, max_steps: int, step: int) -> float:
    last = settings.momentum if settings.last_momentum is None else settings.last_momentum
    return momentum_at(step, max_steps, settings.momentum, last, settings.momentum_schedule)

"""Batches of words for the training loop: batch number in, word groups out, before, during or after pretraining.

Which groups a batch holds is computed, like the order of running text. An epoch is a keyed permutation of a list in
which group i stands n_i times,

    n_i = max(1, round(c * (f_i / f_min)^a))        f_i: count of its entries; a: frequency_exponent

so over an epoch a group comes at a rate proportional to f^a, up to rounding, and every group comes at least once.
c is 1, or smaller where an epoch would not end within the stage; so every group is seen in any stage that has at least
as many places as there are groups. With a = 0 all n_i are 1: each group once per epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from prealign import draws, ranks
from prealign.config.init import InitSettings
from prealign.errors import PrealignError
from prealign.objectives.word_alignment import WordAlignment, negatives_per_anchor
from prealign.objectives.word_states import Layers, word_batch
from prealign.stages.context_words import context_words
from prealign.stages.word_groups import WordGroups
from prealign.train.batches import Shuffled, rows_of_step
from prealign.train.loop import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prealign.stages.materials import Materials

log = logging.getLogger(__name__)

ALONE, IN_CONTEXT = "alignment", "context_alignment"
"""Names of the losses in metrics.jsonl."""


def visits(counts: NDArray[np.int64], exponent: float, at_most: int) -> NDArray[np.int64]:
    """How often each group stands in an epoch; the formula at the top of this file.

    Args:
        counts: [groups], from 0; counted as at least 1.
        exponent: 0 visits all groups equally, 1 in proportion to their counts.
        at_most: places that an epoch may have; it has more only if there are more groups.
    Returns:
        [groups], each at least 1.
    """
    rate = np.maximum(counts, 1).astype(np.float64) ** exponent
    rate /= rate.min()

    def rounded(factor: float) -> NDArray[np.int64]:
        return np.maximum(1, np.rint(factor * rate)).astype(np.int64)

    if rounded(1.0).sum() <= at_most:
        return rounded(1.0)
    low, high = 0.0, 1.0
    for _ in range(40):  # halving: to 1e-12 of the largest factor that fits
        middle = (low + high) / 2
        low, high = (middle, high) if rounded(middle).sum() <= at_most else (low, middle)
    return rounded(low)


class WordOrder:
    """Batch number in, the numbers of its groups out; nothing is stored but the list of an epoch.

    Args:
        batches: batches of the whole stage, for the promise that each group is seen.
    """

    def __init__(self, groups: WordGroups, settings: InitSettings, batches: int, seed: int) -> None:
        self.per_batch = settings.words_per_step
        if self.per_batch < ranks.world_size():
            raise PrealignError(
                f"init.words_per_step is {self.per_batch} for {ranks.world_size()} ranks; give each rank one."
            )
        times = visits(groups.counts, settings.frequency_exponent, batches * self.per_batch)
        self._places = np.repeat(np.arange(len(groups)), times)
        self._shuffled = Shuffled(len(self._places), draws.key(seed, "words"))
        self.epochs = batches * self.per_batch / len(self._places)
        log.info(
            "words: %s groups, the most frequent %s times per epoch of %s batches, %.1f epochs",
            f"{len(groups):,}", f"{times.max():,}", f"{len(self._places) / self.per_batch:,.1f}", self.epochs,
        )  # fmt: skip
        if 0 < self.epochs < 1:
            log.warning(
                "only %.0f %% of the words will be seen: %s batches of %s groups for %s groups; raise init.max_steps "
                "or init.words_per_step",
                100 * self.epochs, f"{batches:,}", f"{self.per_batch:,}", f"{len(groups):,}",
            )  # fmt: skip

    def __call__(self, number: int) -> list[int]:
        """This rank's groups of a batch."""
        rows = rows_of_step(number, self.per_batch, ranks.rank(), ranks.world_size())
        _, places = self._shuffled(np.arange(rows.start, rows.stop))
        found: list[int] = self._places[places].tolist()
        return found


class AlignmentBatches:
    """The alignment tasks of a batch number, for `init` and for `pretrain`: words alone, words in sentences, or both.

    Args:
        order: the words alone; None where only words in sentences are aligned.
    """

    def __init__(self, materials: Materials, order: WordOrder | None) -> None:
        settings = materials.recipe.init
        self.groups, self.pad_id = materials.word_groups, materials.tokenizer.pad_token_id or 0
        self.learns_temperature = settings.learn_temperature
        self._alike = settings.compatibility == "reference"
        self._kinds: list[tuple[Callable[[int], dict[str, Any]], WordAlignment, float]] = []
        if order is not None and settings.alignment_weight > 0:
            alone = partial(self._words_alone, order)
            self._kinds.append((alone, objective(settings), settings.alignment_weight))
        if settings.reads_sentences:
            in_context = objective_in_context(settings)
            self._kinds.append((context_words(materials), in_context, settings.context_weight))
        for batches, of_batch, _ in self._kinds:
            batch = batches(0)
            negatives = f"{negatives_per_anchor(batch, of_batch.compatibility):,.0f}"
            log.info("%s: %s words, negatives per anchor: %s", of_batch.name, f"{batch['n_words']:,}", negatives)

    def tasks(self, number: int) -> list[Task]:
        """This rank's part of a batch of each kind, with its objective and weight."""
        return [(batch(number), of_batch, weight) for batch, of_batch, weight in self._kinds]

    def _words_alone(self, order: WordOrder, number: int) -> dict[str, Any]:
        rows = order(number)
        return word_batch([self.groups.ids[row] for row in rows], rows, self.pad_id, self._alike) | {"examples": rows}

    @property
    def stateful(self) -> list[nn.Module]:
        """The objectives, if they learn their temperatures."""
        return [of_batch for _, of_batch, _ in self._kinds] if self.learns_temperature else []

    def learnt(self) -> dict[str, float]:
        """The temperatures of this moment, if they are learnt."""
        if not self.learns_temperature:
            return {}
        names = {ALONE: "temperature", IN_CONTEXT: "context_temperature"}
        return {names[of_batch.name]: float(of_batch.temperature()) for _, of_batch, _ in self._kinds}


def objective(settings: InitSettings) -> WordAlignment:
    """The alignment loss as the recipe sets it."""
    return _loss(
        settings,
        settings.layers,
        layer_weights=settings.layer_weights,
        compatibility=settings.compatibility,
        name=ALONE,
    )


def objective_in_context(settings: InitSettings) -> WordAlignment:
    """The same loss for words in sentences, at layers that know of the sentence; neither layer weights nor the
    reference's comparisons, both made for words alone, hold here."""
    return _loss(settings, settings.context_layers, name=IN_CONTEXT)


def _loss(settings: InitSettings, layers: Layers, **of_its_own: Any) -> WordAlignment:
    """The alignment loss at some layers, with what both kinds of words share."""
    return WordAlignment(
        settings.temperature,
        layers,
        settings.positives,
        settings.collapse_weight,
        pooling=settings.pooling,
        learn_temperature=settings.learn_temperature,
        words_per_forward=settings.words_per_forward,
        **of_its_own,
    )


def check_model(settings: InitSettings, model: PreTrainedModel) -> None:
    """Refuse a model that the recipe's layers and weights do not fit, before anything is trained or measured."""
    if settings.alignment_weight > 0:
        objective(settings).check(model)
    if settings.reads_sentences:
        objective_in_context(settings).check(model)


def batch_of_step(step: int, steps: int, batches: int, when: Literal["during", "after"]) -> int | None:
    """Which batch of words a step of pretraining brings, or none; all numbers from 0.

    Over `steps` steps (no fewer than `batches`) each batch comes once, in order: `during` spreads them evenly, the last
    one at the last step; `after` gives them to the last steps.
    """
    if when == "after":
        return step - (steps - batches) if step >= steps - batches else None
    number = step * batches // steps
    return number if (step + 1) * batches // steps > number else None

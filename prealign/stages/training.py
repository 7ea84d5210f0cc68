"""What `init` and `pretrain` share: one training carried from its start to the finished stage."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel

from prealign import ranks
from prealign.config.engine import OptimizerSettings
from prealign.config.settings import Recipe
from prealign.model.build import number_of_parameters
from prealign.stages.materials import Materials
from prealign.stages.model_card import model_card
from prealign.stages.stage import Stage
from prealign.stages.watch import Watch
from prealign.stages.word_groups import write_split
from prealign.train.loop import Task, train
from prealign.train.metrics import read_rows
from prealign.train.saver import export

if TYPE_CHECKING:
    from prealign.stages.alignment import AlignmentBatches

log = logging.getLogger(__name__)

MODEL = "model"
"""Folder of the finished model inside a training stage's folder."""
SPLIT = "split"
"""Folder beside it with the entries that were trained and those held out, per language pair."""
METRICS = "metrics.jsonl"


class Stopped(Exception):  # noqa: N818, not an error
    """A training was asked to stop, has saved, and goes on with the same command."""


@dataclass(frozen=True)
class Training:
    """One training stage: everything that `train` needs besides the settings of the engine."""

    stage: Stage
    start: Callable[[], PreTrainedModel]
    """Makes or loads the model that training starts from."""
    micro_batches: Callable[[int], list[Task]]
    max_steps: int
    optimizer: OptimizerSettings
    start_tokens: int
    """LM tokens that the start has already seen."""
    card: dict[str, Any]
    """What the model card tells of this stage."""
    start_words: int = 0
    """Words that the start has been aligned on."""
    alignment: AlignmentBatches | None = None
    """The batches of words that are among the tasks, if there are any."""
    stateful: Callable[[PreTrainedModel], Iterable[nn.Module]] | None = None
    """Makes objectives that learn something themselves or keep a copy of the model, from the start."""
    guard: Mapping[str, float] = field(default_factory=dict)
    """Language -> share by which its bits per byte may rise over the start."""
    enough: Callable[[Mapping[str, Any]], bool] | None = None
    """Asked after each measurement; True ends the stage there."""


def of_seed(recipe: Recipe) -> str:
    """Which of the recipe's seeds a training has, to begin a message with; nothing in a recipe without `seeds`."""
    return f"seed {recipe.training_seed}, " if recipe.seeds else ""


def about_vocabulary(start: str) -> dict[str, str]:
    """For the card of a model that reads two languages as one."""
    if start != "one_vocabulary":
        return {}
    return {
        "vocabulary": "a piece and its clone have one id: the tokenizer in this folder reads clone text as the English "
        "that it is the clone of, and writes English"
    }


def carry_out(training: Training, materials: Materials, device: torch.device) -> None:
    """Train, or go on with an interrupted training, and give the stage's folder its name.

    Raises:
        Stopped: a signal asked to stop; everything is saved.
        PrealignError: another process works on the stage.
    """
    with (
        _stopped_by_sigterm(training.stage),
        training.stage.locked() if ranks.rank() == 0 else contextlib.nullcontext(),
    ):
        _carry_out(training, materials, device)


@contextlib.contextmanager
def _stopped_by_sigterm(stage: Stage) -> Iterator[None]:
    """Inside, but outside of `train`, which takes the signal itself, SIGTERM ends what is being loaded or exported."""

    def stop(*_: Any) -> None:
        raise Stopped(
            f"{stage.name} was asked to stop while no step was at work; what is saved in {stage.working_folder} stays"
        )

    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _carry_out(training: Training, materials: Materials, device: torch.device) -> None:
    stage, recipe, words = training.stage, materials.recipe, training.alignment
    began = time.monotonic()
    folder = stage.begin_or_resume() if ranks.rank() == 0 else stage.working_folder
    ranks.barrier()
    log.info("%s: %s steps, writing %s", stage.name, f"{training.max_steps:,}", folder)
    model = training.start()
    stateful = [*(words.stateful if words else ()), *(training.stateful(model) if training.stateful else ())]
    parameters = number_of_parameters(model)["total"]

    def save_extra(place: Path, state: Mapping[str, Any]) -> None:
        materials.tokenizer.save_pretrained(str(place))
        (place / "README.md").write_text(model_card(materials, training.card, seen(state, training)), encoding="utf-8")

    if ranks.rank() == 0:
        write_split(folder / SPLIT, materials.dictionaries)
    measured = [row for row in read_rows(folder / METRICS)[0] if row["kind"] == "eval" and row["stage"] == stage.name]
    watch = Watch(measured, materials.suite.chance_of_held_out(), training.guard, aligns=words is not None)

    def measure(model: PreTrainedModel) -> Mapping[str, Any]:
        return materials.suite.quick(model, recipe.engine.eval_tokens) | (words.learnt() if words else {})

    def enough(row: Mapping[str, Any]) -> bool:
        watch(row)
        return training.enough is not None and training.enough(row)

    outcome = train(
        model,
        max_steps=training.max_steps,
        micro_batches=training.micro_batches,
        optimizer=training.optimizer,
        engine=recipe.engine,
        folder=folder,
        stage=stage.name,
        facts={"identity": stage.fingerprint_of_work, "store": materials.store.fingerprint},
        seed=recipe.training_seed,
        stateful=stateful,
        enough=enough,
        measure=measure,
        save_extra=save_extra,
        start_tokens=training.start_tokens,
        device=device,
    )
    if not outcome.finished:
        raise Stopped(
            f"{stage.name} was stopped at step {outcome.step:,} of {training.max_steps:,} and saved in {folder}"
        )
    end = {"step": outcome.step, "lm_tokens": outcome.lm_tokens, "sums": outcome.sums}
    export(model, folder / MODEL, lambda place: save_extra(place, end))
    if ranks.rank() == 0:
        summary = {
            "steps": outcome.step,
            "lm_tokens": outcome.lm_tokens,
            "lm_tokens_of_start": training.start_tokens,
            "alignment_words": seen(end, training)["alignment words"],
            "alignment_words_of_start": training.start_words,
            "pair_tokens": {name: int(outcome.sums.get(f"n_{name}_tokens", 0)) for name in ("pair", "contrast")},
            "cut_sentences": seen(end, training)["sentences of pairs cut"],
            "flops": outcome.sums.get("flops", 0.0),
            "parameters": parameters,
        }
        stage.finish(summary, time.monotonic() - began)
    ranks.barrier()


def seen(state: Mapping[str, Any], training: Training) -> dict[str, Any]:
    """What a checkpoint has seen, told from its state: the step, LM tokens and alignment words (those of the start
    included), sentence pairs, and the share of eligible words that was switched."""
    sums = state["sums"]
    return {
        "steps": state["step"],
        "LM tokens": state["lm_tokens"],
        "alignment words": training.start_words + int(sums.get("n_words", 0)),
        "sentence pairs": int(sums.get("n_pairs_read", 0)),
        "sentence pairs contrasted": int(sums.get("n_contrast_pairs", 0)),
        "sentences of pairs cut": int(sums.get("n_cut_sentences", 0)),
        "switched share": sums["n_switched"] / sums["n_eligible"] if sums.get("n_eligible") else None,
    }

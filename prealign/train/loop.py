"""The training loop of both stages: for each step a list of (micro-batch, objective, weight), one update, one row.

The loop knows no language and no dictionary. `init` gives it word batches and text, `pretrain` switched text; other
methods give it other objectives. Killed at any moment, the same call goes on from the last whole checkpoint and, on
the CPU, ends with the same rows and weights bit for bit: batches are computed from the step number, dropout is keyed
by it, and everything else is in the checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from prealign import draws, ranks
from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.errors import PrealignError
from prealign.train import checkpoint, optim
from prealign.train.batches import prefetch
from prealign.train.metrics import Clock, Display, Journal, Meter, Tracker
from prealign.train.step import Numbers, Step, Task, each_tensor

__all__ = ["LM", "Measure", "MicroBatches", "Outcome", "Task", "autocast_dtype", "train"]

log = logging.getLogger(__name__)

MicroBatches = Callable[[int], list[Task]]
Measure = Callable[[PreTrainedModel], Mapping[str, Any]]
LM = "lm"
"""Name of the objective whose counts are the LM tokens of a run."""


class Outcome(NamedTuple):
    """How a call of `train` ended."""

    finished: bool
    """False: it was asked to stop, has saved, and goes on with the same call."""
    step: int
    """Updates made so far."""
    lm_tokens: int
    """LM labels predicted so far, over all ranks."""
    checkpoint: Path
    """The checkpoint of that step."""


def train(
    model: PreTrainedModel,
    *,
    max_steps: int,
    micro_batches: MicroBatches,
    optimizer: OptimizerSettings,
    engine: EngineSettings,
    folder: Path,
    stage: str,
    facts: Mapping[str, Any],
    seed: int,
    measure: Measure | None = None,
    save_extra: Callable[[Path], None] | None = None,
    start_tokens: int = 0,
    device: torch.device | None = None,
) -> Outcome:
    """Train to `max_steps` updates, from the newest whole checkpoint in `folder` if there is one.

    Args:
        model: the start; trained in place, moved to the device.
        micro_batches: this rank's share of the update at a step, counted from 0. Called in a thread, steps in order.
            Every rank brings at least one, and as many as the others of objectives that gather over ranks.
        folder: gets `metrics.jsonl` and `checkpoints/`.
        stage: names the rows and the bar.
        facts: fingerprints of data, dictionary and tokenizer; a resumed run must come with the same ones.
        seed: key of dropout, where the model has any.
        measure: validation of the bare model in evaluation mode, without gradients; called on every rank.
        save_extra: puts more files into a checkpoint folder, such as the tokenizer.
        start_tokens: LM labels that the start has seen in an earlier stage.
        device: None takes the GPU if there is one.
    Raises:
        PrealignError: a loss that is not finite (before its update), a checkpoint with other facts, no room to save.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    if engine.gradient_checkpointing:
        _recompute_activations(model)
    if engine.torch_compile:
        model.base_model.compile()
    facts = {**facts, "stage": stage, "max_steps": max_steps, "optimizer": optimizer.model_dump()}
    run = _Run(model, optim.build_optimizer(model, optimizer), engine, folder, stage, facts, start_tokens)
    run.resume(max_steps)
    if run.step == max_steps:
        return Outcome(True, run.step, run.lm_tokens, checkpoint.place(folder, run.step))
    dtype = autocast_dtype(engine.precision, device)
    step = Step(model, run.optimizer, optimizer, max_steps=max_steps, device=device, autocast=dtype)
    speak = ranks.rank() == 0
    display = Display(stage, run.step, max_steps, speak)
    batches = prefetch(lambda: _made_ahead(micro_batches, range(run.step, max_steps), device))
    model.train()
    with contextlib.ExitStack() as closing:
        stop = closing.enter_context(_stop_signals())
        closing.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        closing.callback(display.close)
        closing.callback(batches.close)
        if speak:
            run.journal = Journal(folder, stage, run.step, [Tracker(kind, folder) for kind in engine.report_to])
            closing.callback(run.journal.close)
        if measure and run.step == 0:
            run.write_measurement(measure)  # what the start can do, the first point of every curve
        for tasks in batches:
            start = time.perf_counter()
            torch.manual_seed(draws.key(seed, "dropout", stage, run.step, ranks.rank()))
            numbers = step(run.step, tasks, stop.is_set())
            run.take_in(numbers, time.perf_counter() - start, batches.waited_s)
            display.show(run.step, numbers.mean_losses())
            last = run.step == max_steps
            if last or run.step % engine.logging_steps == 0:
                run.write_row(numbers)
            if measure and (last or run.step % engine.eval_steps == 0):
                run.write_measurement(measure)
            if last or numbers.asked_to_stop or run.step % engine.save_steps == 0:
                run.save(save_extra)
            if numbers.asked_to_stop and not last:
                log.info("%s stopped at step %s and saved; the same command goes on.", stage, run.step)
                break
    return Outcome(run.step == max_steps, run.step, run.lm_tokens, checkpoint.place(folder, run.step))


class _Run:
    """What a checkpoint holds of a run, and the rows and checkpoints made from it."""

    def __init__(
        self,
        model: PreTrainedModel,
        optimizer: torch.optim.Optimizer,
        engine: EngineSettings,
        folder: Path,
        stage: str,
        facts: Mapping[str, Any],
        lm_tokens: int,
    ) -> None:
        self.model, self.optimizer, self.engine = model, optimizer, engine
        self.folder, self.stage, self.facts = folder, stage, facts
        self.step, self.lm_tokens = 0, lm_tokens
        self.meter, self.clock = Meter(), Clock(0.0, lm_tokens)
        self.journal: Journal | None = None

    def resume(self, max_steps: int) -> None:
        """Go on from the newest whole checkpoint, if there is one and it belongs to this run."""
        steps = checkpoint.steps_on_disk(self.folder)
        if not steps:
            return
        place = checkpoint.place(self.folder, steps[-1])
        state = checkpoint.load(place, self.model, self.optimizer, self._check_facts)
        self.step, self.lm_tokens = state["step"], state["lm_tokens"]
        self.meter, self.clock = Meter(state["meter"]), Clock(state["seconds"], self.lm_tokens)
        log.info("%s: resuming at step %s of %s (%s)", self.stage, self.step, max_steps, place)

    def _check_facts(self, place: Path, theirs: Mapping[str, Any]) -> None:
        """Refuse a checkpoint that was made from something else."""
        names = sorted({*self.facts, *theirs})
        differing = [name for name in names if self.facts.get(name) != theirs.get(name)]
        if differing:
            raise PrealignError.of_several(
                f"{place} was made under other conditions, so it cannot be resumed. Restore them, or move the folder "
                "away to start anew. Different are:",
                [f"{name}: {theirs.get(name)} in the checkpoint, {self.facts.get(name)} now" for name in differing],
            )

    def take_in(self, numbers: Numbers, worked_s: float, waited_s: float) -> None:
        """Count an update that was made."""
        self.step += 1
        self.lm_tokens += int(numbers.counts.get(LM, 0))
        self.meter.add(numbers.losses, numbers.counts, numbers.extra)
        self.clock.add(worked_s, waited_s)

    def write_row(self, numbers: Numbers) -> None:
        """The row of the steps since the last one; learning rate and gradient norm are those of this step."""
        values = {**self.meter.take(), "lr": numbers.learning_rate, "grad_norm": numbers.grad_norm}
        values["timing"] = self.clock.take(self.lm_tokens)
        if self.journal:
            self.journal.write("train", self.step, self.lm_tokens, values)

    def write_measurement(self, measure: Measure) -> None:
        """The row of what `measure` finds, with the model in evaluation mode."""
        self.model.eval()
        try:
            with torch.no_grad():
                values = measure(self.model)
        finally:
            self.model.train()
        if self.journal:
            self.journal.write("eval", self.step, self.lm_tokens, values)

    def save(self, save_extra: Callable[[Path], None] | None) -> None:
        """Write a checkpoint of this moment."""
        if self.journal:
            self.journal.sync()
        state = {
            "step": self.step,
            "lm_tokens": self.lm_tokens,
            "seconds": self.clock.seconds,
            "meter": self.meter.state(),
            "facts": self.facts,
        }
        keep = self.engine.save_total_limit
        checkpoint.save(self.folder, self.model, self.optimizer, state, save_extra=save_extra, keep=keep)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """bfloat16 where it is asked for or faster, None for float32.

    On CPUs without AMX or AVX512-BF16 bfloat16 is ten times slower than float32 (measured on AVX2).
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bf16" else None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported() else None


def _recompute_activations(model: PreTrainedModel) -> None:
    """Let every block be computed again in the backward pass instead of kept."""
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the newer name; the older one warns where both are
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)


def _made_ahead(micro_batches: MicroBatches, steps: range, device: torch.device) -> Iterator[list[Task]]:
    """The tasks of the steps to come, in pinned memory for a GPU; runs in the prefetching thread."""
    for step in steps:
        tasks = micro_batches(step)
        if not tasks:
            raise PrealignError(f"Step {step + 1} has no rows for rank {ranks.rank()}; take a larger global batch.")
        if device.type == "cuda":
            tasks = [(each_tensor(batch, Tensor.pin_memory), objective, weight) for batch, objective, weight in tasks]
        yield tasks


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM or the first Ctrl-C sets; a second Ctrl-C interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python delivers signals to the main thread only
        return

    def ask(number: int, _: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()
        log.warning("%s: finishing this step, then saving", signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

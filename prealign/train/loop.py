"""The training loop of both stages: for each step a list of (micro-batch, objective, weight), one update, one row.

The loop knows no language and no dictionary. `init` gives it word batches and text, `pretrain` switched text; other
methods give it other objectives. Killed at any moment, the same call goes on from the last whole checkpoint and, on
the CPU, ends with the same rows and weights bit for bit: batches are computed from the step number, dropout is keyed
by it, and everything else is in the checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from prealign import draws, ranks
from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.errors import PrealignError
from prealign.log import Display
from prealign.objectives.packing import float32_attention
from prealign.train import checkpoint, flops, optim, saving, trackers
from prealign.train.batches import prefetch
from prealign.train.compute import autocast_dtype, recompute_activations, set_attention
from prealign.train.metrics import LM, Clock, Journal, Meter, NormWatch
from prealign.train.saver import SaveExtra, Saver
from prealign.train.spread import Spread, spread
from prealign.train.step import Numbers, Step, Task, each_tensor

__all__ = ["LM", "Enough", "Measure", "MicroBatches", "Outcome", "Task", "autocast_dtype", "train"]

log = logging.getLogger(__name__)

MicroBatches = Callable[[int], list[Task]]
Measure = Callable[[PreTrainedModel], Mapping[str, Any]]
Enough = Callable[[Mapping[str, Any]], bool]
TOLD_EXAMPLES = 32
"""A batch whose gradient stands out is told by so many of its rows; all follow from the step's number."""


class Outcome(NamedTuple):
    """How a call of `train` ended."""

    finished: bool
    """False: it was asked to stop, has saved, and goes on with the same call."""
    step: int
    """Updates made so far; fewer than `max_steps` in a finished training when a measurement was enough."""
    lm_tokens: int
    """LM labels predicted so far, over all ranks."""
    checkpoint: Path
    """The checkpoint of that step."""
    sums: dict[str, float]
    """What the rows of training count beside LM tokens (such as n_words), over the whole stage, and `flops`, the
    operations of train/flops.py over all ranks."""


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
    stateful: Sequence[nn.Module] = (),
    measure: Measure | None = None,
    enough: Enough | None = None,
    save_extra: SaveExtra | None = None,
    start_tokens: int = 0,
    device: torch.device | None = None,
) -> Outcome:
    """Train to `max_steps` updates, from the newest whole checkpoint in `folder` if there is one.

    Args:
        model: the start, the same on every rank; trained in place, on the device, under FSDP2 as shards.
        micro_batches: this rank's share of the update at a step, counted from 0. Called in a thread, steps in order.
            Every rank brings at least one, and as many as the others of objectives that gather over ranks.
        folder: gets `metrics.jsonl` and `checkpoints/`.
        stage: names the rows and the bar.
        facts: fingerprints of data, dictionary and tokenizer; a resumed run must come with the same ones.
        seed: key of dropout, where the model has any.
        stateful: objectives among those of the micro-batches that learn something themselves, in a fixed order; they
            are trained, saved and restored with the model.
        measure: validation of the bare model in evaluation mode, without gradients; called on every rank.
        enough: asked after every measurement with its row, once that is written; True ends the training there, saved
            and finished, and a PrealignError stops it. What it says on rank 0 counts.
        save_extra: puts more files into a checkpoint folder, such as the tokenizer; gets the folder and the state of
            its moment with step, lm_tokens and sums.
        start_tokens: LM labels that the start has seen in an earlier stage.
        device: None takes the GPU if there is one.
    Raises:
        PrealignError: a loss that is not finite (before its update), a checkpoint with other facts, no room to save,
            settings of the engine that name something which is not there.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = autocast_dtype(engine.precision, device)
    set_attention(model, engine.attn_implementation, device, dtype)
    if engine.gradient_checkpointing:
        recompute_activations(model)
    cost = flops.Cost.of(model)
    held = spread(model, stateful, engine.parallel, device=device, dtype=dtype, compiled=engine.torch_compile)
    facts = {**facts, "stage": stage, "max_steps": max_steps, "optimizer": optimizer.model_dump()}
    run = _Run(held, optim.build_optimizer(model, optimizer, stateful), engine, folder, stage, facts, start_tokens)
    run.precision = "fp32" if dtype is None else "bf16"
    if engine.keep_best and measure is None:
        raise PrealignError(f"engine.keep_best is {engine.keep_best!r}, but nothing is measured in this training.")
    run.resume(max_steps)
    if run.ended or run.step == max_steps:
        return run.outcome(finished=True)
    run.saver = Saver(folder, save_extra, beside=engine.async_save, timeout_s=engine.timeout_s)
    run.cost, run.peak_flops = cost, engine.peak_flops or flops.peak_flops(device)
    step = Step(held, run.optimizer, optimizer, max_steps=max_steps, device=device, autocast=dtype)
    display = Display(stage, max_steps, "steps", run.step) if ranks.rank() == 0 else None
    model.train()
    with contextlib.ExitStack() as closing:
        stop = closing.enter_context(_stop_signals())
        batches = prefetch(lambda: _made_ahead(micro_batches, range(run.step, max_steps), device))
        closing.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        closing.callback(run.saver.close)
        closing.callback(batches.close)
        if display:
            closing.callback(display.close)
            kinds = [trackers.KINDS[kind] for kind in engine.report_to]
            run.journal = Journal(folder, stage, run.step, [kind(folder, run.step) for kind in kinds])
            closing.callback(run.journal.close)
        if measure and run.step == 0:
            run.measure(measure, enough)  # what the start can do, the first point of every curve
            if run.ended:
                run.save()
        while not run.ended:
            tasks = next(batches)
            start = time.perf_counter()
            _seed(draws.key(seed, "dropout", stage, run.step, ranks.rank()), device)
            numbers = step(run.step, tasks, stop.is_set() or run.saver.failed)
            run.take_in(tasks, numbers, time.perf_counter() - start, batches.waited_s)
            if display:
                losses = ", ".join(f"{name} {value:.3f}" for name, value in numbers.mean_losses().items())
                display.show(run.step, losses)
            run.ended = last = run.step == max_steps
            row_due, improved = last or run.step % engine.logging_steps == 0, False
            if row_due:
                run.write_row(numbers)
            if measure and (last or run.step % engine.eval_steps == 0):
                improved = run.measure(measure, enough)
                if run.ended and not row_due:
                    run.write_row(numbers)  # the last one, of the steps since the one before
            if run.ended or improved or numbers.asked_to_stop or saving.is_due(run.step, max_steps, engine):
                run.save()
            if numbers.asked_to_stop and not run.ended:
                log.info("%s stopped at step %s and saved; the same command goes on.", stage, run.step)
                break
        run.saver.wait()
    return run.outcome(finished=run.ended)


class _Run:
    """What a checkpoint holds of a run, and the rows and checkpoints made from it."""

    def __init__(
        self,
        held: Spread,
        optimizer: torch.optim.Optimizer,
        engine: EngineSettings,
        folder: Path,
        stage: str,
        facts: Mapping[str, Any],
        lm_tokens: int,
    ) -> None:
        self.held, self.optimizer, self.engine = held, optimizer, engine
        self.folder, self.stage, self.facts = folder, stage, facts
        self.step, self.lm_tokens = 0, lm_tokens
        self.sums: dict[str, float] = {}
        self.ended = False
        self.meter, self.clock, self.norms = Meter(), Clock(), NormWatch()
        self.best = saving.Best(engine.keep_best)
        self.work = 0.0  # operations of this rank since the last checkpoint
        self.cost: flops.Cost
        self.peak_flops: float | None = None
        self.precision = "fp32"
        self.journal: Journal | None = None
        self.saver: Saver

    def resume(self, max_steps: int) -> None:
        """Go on from the newest whole checkpoint, if there is one and it belongs to this run."""
        newest = self._newest()
        if newest is None:
            return
        place = checkpoint.place(self.folder, newest)
        state = checkpoint.load(place, self.held, self.optimizer, self._check_facts)
        self.step, self.lm_tokens, self.ended = state["step"], state["lm_tokens"], state["ended"]
        self.sums = state["sums"]
        self.meter, self.clock = Meter(state["meter"]), Clock(state["seconds"])
        self.norms, self.best = NormWatch(state["norms"]), saving.Best(self.engine.keep_best, state["best"])
        log.info("%s: resuming at step %s of %s (%s)", self.stage, self.step, max_steps, place)
        if self.precision != state["precision"]:
            log.warning(
                "%s: the steps so far were computed in %s, those to come in %s (engine.precision; auto follows the "
                "machine). The curve goes on within that rounding.",
                *(self.stage, state["precision"], self.precision),
            )

    def _newest(self) -> int | None:
        """Step of the newest whole checkpoint; all processes must see the same one."""
        if ranks.rank() == 0:
            checkpoint.tidy(self.folder)
        steps = checkpoint.steps_on_disk(self.folder)
        found = ranks.gather_objects(steps[-1] if steps else None)
        if len({*found}) > 1:
            seen = ", ".join(f"rank {rank} {'none' if step is None else step}" for rank, step in enumerate(found))
            raise PrealignError(
                f"The processes see different newest checkpoints in {self.folder / 'checkpoints'} (steps: {seen}). "
                "--output must lie on a file system that all nodes share."
            )
        newest: int | None = found[0]
        return newest

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

    def take_in(self, tasks: list[Task], numbers: Numbers, worked_s: float, waited_s: float) -> None:
        """Count an update that was made, and tell of a gradient that stands out."""
        self.step += 1
        self.lm_tokens += int(numbers.counts.get(LM, 0))
        for name, value in numbers.extra.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        usual = self.norms.usual_beside(numbers.grad_norm)
        spike = {} if usual is None else {"n_grad_spikes": 1.0}
        self.meter.add(numbers.losses, numbers.counts, {**numbers.extra, **spike}, numbers.parts)
        work = self.cost.of_step(tasks, numbers.counts, ranks.world_size())
        self.work += work
        self.clock.add(worked_s, waited_s, numbers.counts, work)
        if usual is not None:
            examples = [str(name) for batch, _, _ in tasks for name in batch.get("examples", ["not named"])]
            more = f" and {len(examples) - TOLD_EXAMPLES:,} more" if len(examples) > TOLD_EXAMPLES else ""
            log.warning(
                "%s: the gradient of step %s has norm %.3g, usual are %.3g; scaled down to the maximum as always. "
                "Examples on rank %s: %s%s",
                *(self.stage, self.step, numbers.grad_norm, usual, ranks.rank()),
                *(", ".join(examples[:TOLD_EXAMPLES]), more),
            )

    def write_row(self, numbers: Numbers) -> None:
        """The row of the steps since the last one; learning rate and gradient norm are those of this step."""
        values = {**self.meter.take(), "lr": numbers.learning_rate, "grad_norm": numbers.grad_norm}
        timing = self.clock.take(self.peak_flops)
        if self.held.model.device.type == "cuda":
            timing["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 3)
        self._write("train", {**values, "timing": timing})

    def measure(self, measure: Measure, enough: Enough | None) -> bool:
        """Write the row of what `measure` finds, with the model in evaluation mode, and ask whether it is enough;
        True when it is the best so far."""
        self.held.model.eval()
        try:
            with torch.no_grad(), float32_attention(self.held.model):
                values = self.held.look(measure)
        finally:
            self.held.model.train()
        row = self._write("eval", values)
        found: tuple[bool, bool] | PrealignError
        try:
            found = (enough is not None and enough(row), self.best.improves(self.step, values))
        except PrealignError as error:
            found = error
        # What rank 0 found counts: on GPUs last bits may differ, and ranks that disagree would wait for ever.
        found = ranks.gather_objects(found)[0]
        if isinstance(found, PrealignError):
            raise found
        is_enough, improved = found
        if is_enough:
            self.ended = True
            log.info("%s: ended at step %s, where the measurement was enough", self.stage, self.step)
        return bool(improved)

    def _write(self, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
        row = {"kind": kind, "stage": self.stage, "step": self.step, "lm_tokens": self.lm_tokens, **values}
        if self.journal:
            self.journal.write(row)
        return row

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        if self.journal:
            self.journal.sync()
        (work,) = ranks.sum_over_ranks([self.work])
        self.sums["flops"], self.work = self.sums.get("flops", 0.0) + work, 0.0
        state = {
            "step": self.step,
            "lm_tokens": self.lm_tokens,
            "sums": self.sums,
            "ended": self.ended,
            "seconds": self.clock.seconds,
            "meter": self.meter.state(),
            "norms": list(self.norms.norms),
            "best": self.best.state(),
            "precision": self.precision,
            "facts": self.facts,
        }
        stay = functools.partial(saving.keep, self.folder, self.engine, self.best.state())
        self.saver.save(self.held, self.optimizer, state, stay)

    def outcome(self, finished: bool) -> Outcome:
        """What `train` returns."""
        return Outcome(finished, self.step, self.lm_tokens, checkpoint.place(self.folder, self.step), self.sums)


def _seed(key: int, device: torch.device) -> None:
    """Seed the generators that dropout draws from; torch.manual_seed tries every kind of device there could be, which
    takes 0.16 ms."""
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        torch.cuda.manual_seed(key)


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

"""The training loop beside Hugging Face's Trainer and a bare loop: tokens per second and peak memory.

    python bench/engine.py [--presets tiny 20m] [--repeats 3] [--threads 1]

Same random weights, batches, optimiser (fused AdamW), clipping and dtype (float32) for all, on the CPU. Every run is a
process of its own and the three take turns, so that a busy machine slows all of them alike. Speeds are of the steps
after the first few and do not count starting, measuring and saving; CPU seconds are those of all threads. That all take
the same steps is tested in tests/equivalence; the last loss that each reports is printed for a look.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import SequentialSampler
from transformers import PreTrainedModel, Trainer, TrainingArguments

from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.config.init import ModelSettings
from prealign.model.build import build_model
from prealign.objectives.causal_lm import CausalLM
from prealign.train import optim
from prealign.train.loop import Task, train
from prealign.train.metrics import read_rows

Batch = dict[str, Any]
Loop = Callable[["Job", Sequence[Batch], Path], None]
SETTINGS = OptimizerSettings(learning_rate=1e-4, lr_scheduler_type="constant", warmup_steps=2)


@dataclass(frozen=True)
class Job:
    """What every loop is asked to do."""

    preset: str
    rows: int
    length: int
    steps: int
    warm: int = 3
    """First steps that are not timed."""
    vocabulary: int = 8192
    precision: str = "fp32"
    compiled: bool = False
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def model(self) -> PreTrainedModel:
        """The same weights at every call."""
        settings = ModelSettings.model_validate({"preset": self.preset, "overrides": self.overrides})
        special = {"bos": 1, "eos": 2, "pad": 3}
        made = build_model(settings, vocab_size=self.vocabulary, special=special, max_positions=self.length, seed=1)
        return made.to(self.device)

    def batches(self) -> list[Batch]:
        """Random rows for every step."""
        draw = torch.Generator().manual_seed(1)
        ids = torch.randint(4, self.vocabulary, (self.steps, self.rows, self.length), generator=draw)
        return [{"input_ids": rows, "labels": rows} for rows in ids]


JOBS = {"tiny": Job("tiny", rows=16, length=128, steps=23), "20m": Job("20m", rows=8, length=128, steps=8)}


def own_loop(job: Job, batches: Sequence[Batch], folder: Path) -> None:
    """`prealign.train.loop.train`, as the stages call it."""
    objective = CausalLM()

    def micro_batches(step: int) -> list[Task]:
        return [(batches[step], objective, 1.0)]

    run_own_loop(job, micro_batches, folder)


def run_own_loop(job: Job, micro_batches: Callable[[int], list[Task]], folder: Path) -> None:
    """The own loop over given micro-batches; a row for the steps that are not timed and one for the others."""
    engine = {"precision": job.precision, "torch_compile": job.compiled, "save_steps": job.steps}
    train(
        job.model(),
        max_steps=job.steps,
        micro_batches=micro_batches,
        optimizer=SETTINGS,
        engine=EngineSettings.model_validate({**engine, "logging_steps": job.warm}),
        folder=folder,
        stage="bench",
        facts={},
        seed=1,
    )
    report_loss(read_rows(folder / "metrics.jsonl")[0][-1]["loss"]["lm"])


def hugging_face(job: Job, batches: Sequence[Batch], folder: Path) -> None:
    """`transformers.Trainer` with the same optimiser, its own loss and data loader."""

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    model = job.model()
    optimizer = optim.build_optimizer(model, SETTINGS)
    peak = SETTINGS.learning_rate
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: optim.learning_rate(step, job.steps, SETTINGS) / peak
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=job.steps,
        per_device_train_batch_size=job.rows,
        max_grad_norm=SETTINGS.max_grad_norm,
        bf16=job.precision == "bf16",
        torch_compile=job.compiled,
        use_cpu=job.device.type == "cpu",
        save_strategy="no",
        logging_steps=job.warm,
        report_to=[],
        disable_tqdm=True,
    )
    rows = [{key: value[row] for key, value in batch.items()} for batch in batches for row in range(job.rows)]
    trainer = InOrder(model, arguments, train_dataset=rows, optimizers=(optimizer, schedule))
    trainer.train()
    report_loss([entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1])


def bare(job: Job, batches: Sequence[Batch], folder: Path) -> None:
    """What one writes in a notebook."""
    model = job.model().train()
    if job.compiled:
        model.compile()
    optimizer = optim.build_optimizer(model, SETTINGS)
    kind = job.device.type
    loss = torch.zeros(())
    for step, batch in enumerate(batches):
        on_device = {key: value.to(kind, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=job.precision == "bf16"):
            loss = model(**on_device, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.max_grad_norm)
        optim.set_learning_rate(optimizer, optim.learning_rate(step, job.steps, SETTINGS))
        optimizer.step()
        optimizer.zero_grad()
    report_loss(loss.item())


LOOPS: dict[str, Loop] = {"prealign": own_loop, "HF Trainer": hugging_face, "bare loop": bare}


def report_loss(loss: float) -> None:
    """Say the loss at the end, for a look at whether all did the same."""
    print(f"last loss {loss:.3f}", file=sys.stderr)


class Stopwatch:
    """Clock and memory after every optimiser step, whoever makes it."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float, float]] = []
        register_optimizer_step_post_hook(self._mark)

    def _mark(self, *_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated() / 1e6
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        self.marks.append((time.perf_counter(), time.process_time(), peak))

    def result(self, job: Job) -> dict[str, float]:
        """Labels per second and per CPU second after the first steps, and the peak in MB (of GPU memory on a GPU)."""
        (began, cpu_began, _), (ended, cpu_ended, peak) = self.marks[job.warm - 1], self.marks[-1]
        labels = (len(self.marks) - job.warm) * job.rows * (job.length - 1)
        return {
            "per_s": labels / (ended - began),
            "per_cpu_s": labels / (cpu_ended - cpu_began),
            "peak_mb": peak,
        }


def in_own_process(script: str, *arguments: str, threads: int = 1) -> Any:
    """Run a script and read the last line of what it prints, which is JSON."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, script, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def interleaved(presets: Sequence[str], repeats: int, threads: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Preset, loop and medians over the repeats."""
    for preset in presets:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in LOOPS}
        for _ in range(repeats):
            for name in LOOPS:
                found[name].append(in_own_process(__file__, "--one", preset, name, threads=threads))
        for name, runs in found.items():
            yield preset, name, {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=2, metavar=("PRESET", "LOOP"), help="run one loop in this process")
    flags = parser.parse_args()
    if flags.one:
        job, watch = JOBS[flags.one[0]], Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            LOOPS[flags.one[1]](job, job.batches(), Path(folder))
        print(json.dumps(watch.result(job)))
        return
    print(f"{platform.machine()}, torch {torch.__version__}, transformers {transformers.__version__}\n")
    print("| preset | loop | labels per CPU s | of the bare loop's | labels per s | peak MB |")
    print("|---|---|---:|---:|---:|---:|")
    rows = list(interleaved(flags.presets, flags.repeats, flags.threads))
    bare_speed = {preset: values["per_cpu_s"] for preset, name, values in rows if name == "bare loop"}
    for preset, name, values in rows:
        ratio = values["per_cpu_s"] / bare_speed[preset]
        print(
            f"| {preset} | {name} | {values['per_cpu_s']:,.0f} | {ratio:.2f} | {values['per_s']:,.0f} | "
            f"{values['peak_mb']:,.0f} |"
        )


if __name__ == "__main__":
    main()

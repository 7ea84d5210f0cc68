"""The training loop on one GPU: tokens per second, MFU, peak memory, waiting for data, and what switching costs.

    python bench/gpu.py [--presets 150m 1.3b] [--repeats 3]
    python bench/gpu.py --presets 150m --profile          # top 10 kernels of the slowest of our cases
    python bench/gpu.py --cpu-smoke                       # every path at toy size, to see that it runs

bf16, compiled, random weights; text, tokenizer and dictionary as in bench/switching.py, so nothing is downloaded. The
own loop reads windows of that text as they are, or with 5 % of the eligible words switched while it trains; HF Trainer
gets the same model and the unswitched rows. Every run is a process of its own, taking turns; speeds are of the steps
after the first few, in which torch.compile works. MFU as in prealign/train/flops.py, for all alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine import Batch, Job, Stopwatch, hugging_face, in_own_process, run_own_loop
from switching import RATIO, dictionary_of, train
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import AutoTokenizer

from prealign import draws
from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.corpora.python_docs import python_documents
from prealign.dictionary.dictionary import Dictionary
from prealign.objectives.causal_lm import CausalLM
from prealign.train import flops
from prealign.train.loop import Task
from prealign.train.metrics import read_rows

JOBS = {
    "150m": Job("150m", rows=64, length=1024, steps=40, warm=10, precision="bf16", compiled=True),
    "1.3b": Job("1.3b", rows=16, length=1024, steps=30, warm=10, precision="bf16", compiled=True),
}
TOY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
CASES = ("prealign", "prealign, 5 % switched", "HF Trainer")
PROFILED_STEPS = 3


class Text:
    """Windows of the Python documentation, plain or switched; made once per benchmark and read by every process."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        self.ids = np.load(folder / "ids.npy", mmap_mode="r")
        self._dictionary = Dictionary.read(folder / "dictionary")

    @staticmethod
    def make(folder: Path, documents: int | None) -> None:
        """Tokenizer, tokens and dictionary; `documents`: at most so many."""
        texts = list(python_documents())[:documents]
        tokenizer = train(texts)
        tokenizer.save_pretrained(folder / "tokenizer")
        rows = tokenizer(texts)["input_ids"]
        np.save(folder / "ids.npy", np.concatenate([np.array([*row, 2], dtype=np.uint16) for row in rows]))
        dictionary_of(texts).write(folder / "dictionary")

    def windows(self, job: Job, step: int) -> list[Any]:
        """Rows of a step, a little longer than the block."""
        longer = job.length + job.length // 16
        places = draws.Permutation(len(self.ids) - longer, draws.key("bench rows"))
        numbers = np.arange(step * job.rows, (step + 1) * job.rows) % (len(self.ids) - longer)
        return [self.ids[start : start + longer] for start in places(numbers)]

    def plain(self, job: Job) -> Callable[[int], Batch]:
        """Makes the batch of a step as it is in the text."""

        def make(step: int) -> Batch:
            rows = np.stack([row[: job.length] for row in self.windows(job, step)]).astype(np.int64)
            return {"input_ids": torch.from_numpy(rows), "labels": torch.from_numpy(rows)}

        return make

    def switched(self, job: Job) -> Callable[[int], Batch]:
        """Makes the batch of a step with words switched in its input."""
        table = CodeSwitchTable.compile([self._dictionary], self.tokenizer)

        def make(step: int) -> Batch:
            keys = draws.bits(draws.key(1, "bench", step), job.rows)
            done = switch_rows(table, self.windows(job, step), keys=keys, ratio=RATIO, length=job.length)
            return {"input_ids": torch.from_numpy(done.input_ids), "labels": torch.from_numpy(done.labels)}

        return make


def run_case(job: Job, case: str, data: Path, folder: Path, peak: float | None) -> dict[str, float]:
    """One case in this process."""
    text, watch = Text(data), Stopwatch()
    job = replace(job, vocabulary=len(text.tokenizer))
    if case == "HF Trainer":
        make = text.plain(job)
        hugging_face(job, [make(step) for step in range(job.steps)], folder)
        waiting = {}
    else:
        make, objective = text.switched(job) if "switched" in case else text.plain(job), CausalLM()
        run_own_loop(job, lambda step: [(make(step), objective, 1.0)], folder)
        rows = read_rows(folder / "metrics.jsonl")[0]
        waiting = {"waiting": statistics.mean(row["timing"]["waiting_share"] for row in rows[1:])}
    found = watch.result(job) | waiting
    if peak is not None:
        found["mfu"] = found["per_s"] * work_per_label(job) / peak
    return found


def work_per_label(job: Job) -> float:
    """Floating-point operations per predicted label."""
    batch, objective = {"input_ids": torch.empty(job.rows, job.length, device="meta")}, CausalLM()
    labels = job.rows * (job.length - 1)
    tasks: list[Task] = [(batch, objective, 1.0)]
    return flops.Cost.of(job.model()).of_step(tasks, {objective.name: labels}, world=1) / labels


def profiled(job: Job, case: str, data: Path, folder: Path) -> str:
    """The ten kernels that take the most time over a few steps."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    plan = torch.profiler.schedule(wait=job.warm - 1, warmup=1, active=PROFILED_STEPS)
    with torch.profiler.profile(activities=kinds, schedule=plan) as profiler:
        hook = register_optimizer_step_post_hook(lambda *_: profiler.step())
        run_case(replace(job, steps=job.warm + PROFILED_STEPS), case, data, folder, None)
        hook.remove()
    order = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    return str(profiler.key_averages().table(sort_by=order, row_limit=10, max_name_column_width=70))


def toy(job: Job) -> Job:
    """The same at a size for one CPU core, not compiled."""
    return replace(
        job, rows=2, length=64, steps=6, warm=2, precision="fp32", compiled=False, overrides=TOY | job.overrides
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, help="rows per step, if the GPU has less memory than an H200")
    parser.add_argument("--peak-flops", type=float, help="of a GPU that prealign/train/flops.py does not list")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--cpu-smoke", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("PRESET", "CASE", "DATA"), help="run one case in this process")
    flags = parser.parse_args()
    jobs = {name: replace(job, rows=flags.rows or job.rows) for name, job in JOBS.items()}
    if flags.cpu_smoke:
        jobs = {name: toy(job) for name, job in jobs.items()}
        flags.repeats, flags.peak_flops = 1, flags.peak_flops or 1e12
    elif not torch.cuda.is_available():
        parser.error("there is no GPU here; --cpu-smoke runs every path at toy size")
    if flags.one:
        preset, case, data = flags.one
        with tempfile.TemporaryDirectory() as folder:
            if flags.profile:
                print(json.dumps(profiled(jobs[preset], case, Path(data), Path(folder))))
            else:
                peak = flags.peak_flops or flops.peak_flops(jobs[preset].device)
                print(json.dumps(run_case(jobs[preset], case, Path(data), Path(folder), peak)))
        return
    passed = [f"--rows={flags.rows}"] if flags.rows else []
    passed += [f"--peak-flops={flags.peak_flops}"] if flags.peak_flops else []
    passed += ["--cpu-smoke"] if flags.cpu_smoke else []
    with tempfile.TemporaryDirectory() as data:
        Text.make(Path(data), 40 if flags.cpu_smoke else None)
        compare(flags.presets, flags.repeats, data, passed, flags.profile)


def compare(presets: list[str], repeats: int, data: str, passed: list[str], profile: bool) -> None:
    """Print a table, and the profile of the slowest of our cases of each preset."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{device}, torch {torch.__version__}\n")
    print("| preset | loop | labels per s | MFU | peak MB | waiting for data |\n|---|---|---:|---:|---:|---:|")
    for preset in presets:
        found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
        for _ in range(repeats):
            for case in CASES:
                found[case].append(in_own_process(__file__, "--one", preset, case, data, *passed))
        speeds = {}
        for case, runs in found.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            speeds[case] = middle["per_s"]
            mfu = f"{middle['mfu']:.1%}" if "mfu" in middle else ""
            waiting = f"{middle['waiting']:.2%}" if "waiting" in middle else ""
            print(f"| {preset} | {case} | {middle['per_s']:,.0f} | {mfu} | {middle['peak_mb']:,.0f} | {waiting} |")
        if profile:
            slow = min(CASES[:2], key=speeds.__getitem__)
            print(
                f"\n{preset}, {slow}:\n{in_own_process(__file__, '--one', preset, slow, data, '--profile', *passed)}\n"
            )


if __name__ == "__main__":
    main()

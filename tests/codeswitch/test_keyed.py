"""The same example has the same words switched in an epoch, whoever collates it: workers, ranks, a resumed trainer."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from prealign import files
from prealign.codeswitch.collator import CodeSwitchCollator
from prealign.codeswitch.schedule import scheduled_ratio
from prealign.codeswitch.table import CodeSwitchTable

EXAMPLES = 24
Rows = list[list[int]]


@pytest.fixture(scope="module")
def tokenizer(zoo: dict[str, Any]) -> Any:
    return zoo["unigram"]


@pytest.fixture(scope="module")
def collate(tokenizer: Any, tables: dict[str, CodeSwitchTable], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Its table is mapped from disk, as in a run with workers."""
    folder = tmp_path_factory.mktemp("keyed") / "table"
    tables["unigram"].save(folder)
    return CodeSwitchCollator(tokenizer, CodeSwitchTable.load(folder), ratio=0.5, seed=4)


@pytest.fixture(autouse=True)
def fresh(collate: Any) -> None:
    collate.set_epoch(0)
    collate.ratio = 0.5


@pytest.fixture(scope="module")
def examples(tokenizer: Any, texts: list[str]) -> list[dict[str, Any]]:
    rows = tokenizer(texts[:3] * (EXAMPLES // 3), add_special_tokens=False)["input_ids"]
    return [{"input_ids": row, "example": number} for number, row in enumerate(rows)]


def switched(batches: Any) -> Rows:
    """The token ids of all rows, without their padding."""
    rows = [(batch["input_ids"], batch["attention_mask"].bool()) for batch in batches]
    return [ids[kept].tolist() for batch in rows for ids, kept in zip(*batch)]


def test_any_number_of_workers(collate: Any, examples: list[dict[str, Any]]) -> None:
    one, *others = [
        switched(DataLoader(examples, batch_size=size, collate_fn=collate, num_workers=workers))
        for workers, size in ((0, 4), (1, 4), (4, 4), (2, 5))
    ]
    assert all(other == one for other in others)
    assert len({tuple(row) for row in one}) > 15  # equal texts, but each row draws for itself


def test_rows_without_a_number_go_by_content_and_call(
    tokenizer: Any, tables: dict[str, CodeSwitchTable], examples: list[dict[str, Any]]
) -> None:
    bare = [{"input_ids": example["input_ids"]} for example in examples]
    collate, again = (CodeSwitchCollator(tokenizer, tables["unigram"], ratio=0.5) for _ in range(2))
    first, second = switched([collate(bare)]), switched([collate(bare)])
    assert len({tuple(row) for row in first}) == 3  # in one call equal rows are switched alike
    assert all(a != b for a, b in zip(first[:3], second))
    assert [switched([again(bare)]), switched([again(bare)])] == [first, second]


@pytest.mark.parametrize("persistent", [False, True])
def test_epoch_and_ratio_reach_workers(collate: Any, examples: list[dict[str, Any]], persistent: bool) -> None:
    """Also workers that live on from epoch to epoch."""
    loader = DataLoader(examples, batch_size=4, collate_fn=collate, num_workers=2, persistent_workers=persistent)
    for epoch, ratio in ((0, 0.5), (1, 0.5), (0, 0.5), (0, 0.0)):
        collate.set_epoch(epoch)
        collate.ratio = ratio
        assert switched(loader) == switched([collate(examples)])
    collate.ratio = 0.5
    assert switched([collate(examples)]) == switched([collate([e | {"epoch": 0} for e in examples])])
    collate.set_epoch(1)
    different = sum(a != b for a, b in zip(switched(loader), switched([collate([e | {"epoch": 0} for e in examples])])))
    assert different > 15


def test_workers_switch_rows_without_a_number_anew_in_each_epoch(
    tokenizer: Any, tables: dict[str, CodeSwitchTable], examples: list[dict[str, Any]]
) -> None:
    bare = [{"input_ids": example["input_ids"]} for example in examples]
    loader = DataLoader(
        bare, batch_size=4, collate_fn=CodeSwitchCollator(tokenizer, tables["unigram"], ratio=0.5), num_workers=2
    )
    first, second = switched(loader), switched(loader)
    assert sum(a != b for a, b in zip(first, second)) > 15


def test_what_a_missing_number_costs_is_said_once(
    tokenizer: Any, tables: dict[str, CodeSwitchTable], examples: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Not once for each worker and epoch; the file is where all of them write."""
    handler = logging.FileHandler(tmp_path / "log")
    logger = logging.getLogger("prealign.codeswitch.collator")
    logger.addHandler(handler)
    try:
        collate = CodeSwitchCollator(tokenizer, tables["unigram"])
        bare = [{"input_ids": example["input_ids"]} for example in examples]
        loader = DataLoader(bare, batch_size=4, collate_fn=collate, num_workers=1)
        for _ in range(2):
            list(loader)
        collate(bare)
    finally:
        logger.removeHandler(handler)
    assert (tmp_path / "log").read_text().count("no `example` column") == 1


def collate_on_a_rank(rank: int, port: int, folder: Path, collate: Any, examples: list[dict[str, Any]]) -> None:
    os.environ |= {
        "WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    AcceleratorState._reset_state(reset_partial_state=True)  # of the process that forked this one
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    loader = accelerator.prepare(DataLoader(examples, batch_size=4, collate_fn=collate, num_workers=rank))
    files.write_json(folder / f"{rank}.json", switched(loader))
    accelerator.end_training()


def test_two_ranks(collate: Any, examples: list[dict[str, Any]], tmp_path: Path) -> None:
    """Accelerate deals batches to two processes, one with a worker and one without."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=collate_on_a_rank, args=(n, port, tmp_path, collate, examples)) for n in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=60)
        process.kill()
    assert [process.exitcode for process in ranks] == [0, 0]
    first, second = (files.read_json(tmp_path / f"{rank}.json") for rank in range(2))
    alone = switched(DataLoader(examples, batch_size=4, collate_fn=collate))
    batches = [alone[start : start + 4] for start in range(0, EXAMPLES, 4)]
    assert first == list(chain(*batches[::2]))
    assert second == list(chain(*batches[1::2]))


class Recorder(Trainer):
    """Keeps the rows of every step."""

    def training_step(self, model: Any, inputs: Any, *others: Any) -> torch.Tensor:
        if not hasattr(self, "rows"):
            self.rows: list[Rows] = []
        self.rows.append(switched([inputs]))
        return super().training_step(model, inputs, *others)


class Course(TrainerCallback):
    """As in docs/collator.md."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.collate.set_epoch(int(state.epoch or 0))


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_hf_trainer(
    tokenizer: Any, collate: Any, examples: list[dict[str, Any]], tmp_path: Path, workers: int
) -> None:
    """Resumed between two epochs and in the second one, the rows of all later steps are those of the run that was never
    stopped; and each epoch has its own."""

    def run(resume: str | None = None) -> list[Rows]:
        collate.set_epoch(7)  # left over from something else
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
        trainer = Recorder(
            LlamaForCausalLM(config),
            TrainingArguments(
                output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=6, save_steps=2, seed=5,
                dataloader_num_workers=workers, dataloader_persistent_workers=workers > 0, remove_unused_columns=False,
                report_to=[], use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False,
            ),
            train_dataset=examples,  # type: ignore[arg-type]
            data_collator=collate,
            callbacks=[Course(collate)],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return trainer.rows

    whole = run()
    assert len(whole) == 8
    for step in (4, 6):
        assert run(str(tmp_path / f"checkpoint-{step}")) == whole[step:]
    epochs = [{tuple(row) for step in whole[start : start + 4] for row in step} for start in (0, 4)]
    for epoch, rows in enumerate(epochs):
        collate.set_epoch(epoch)
        assert rows == {tuple(row) for row in switched([collate(examples)])}
    assert len(epochs[0] & epochs[1]) < 8


def test_scheduled_ratio_goes_on_after_a_resume(tokenizer: Any, collate: Any, tmp_path: Path) -> None:
    """The ratio is set from the step, so a resumed run goes on where it was, as docs/collator.md says."""
    row = np.array(tokenizer("house " * 100, add_special_tokens=False)["input_ids"])
    examples = [{"input_ids": row, "example": number} for number in range(10)]

    class Schedule(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            collate.ratio = scheduled_ratio("linear", 1.0, state.global_step / state.max_steps)

        on_step_end = on_epoch_begin

    def shares(resume: str | None) -> list[float]:
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
        trainer = Recorder(
            LlamaForCausalLM(config),
            TrainingArguments(
                output_dir=str(tmp_path), max_steps=10, per_device_train_batch_size=1, save_steps=5, report_to=[],
                use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False, remove_unused_columns=False,
            ),
            train_dataset=examples,  # type: ignore[arg-type]
            data_collator=collate,
            callbacks=[Schedule()],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return [float(np.mean([token != row[0] for token in step[0][:100]])) for step in trainer.rows]

    whole, resumed = shares(None), shares(str(tmp_path / "checkpoint-5"))
    assert len(resumed) == 5
    # Accelerate collates one batch ahead, and a resumed run has none in hand: a step's lag, 0.1 of ratio, and the draw.
    assert resumed == pytest.approx(whole[5:], abs=0.25)

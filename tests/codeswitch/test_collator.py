"""The collator in the places where it will be used: a plain DataLoader with workers, HF Trainer, supervised and packed
rows."""

from __future__ import annotations

import logging
import pickle
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from prealign.codeswitch.collator import CodeSwitchCollator
from prealign.codeswitch.table import CodeSwitchTable
from prealign.errors import PrealignError

NAME = "unigram"


@pytest.fixture(scope="module")
def tokenizer(zoo: dict[str, Any]) -> Any:
    return zoo[NAME]


@pytest.fixture(scope="module")
def table(tables: dict[str, CodeSwitchTable]) -> CodeSwitchTable:
    return tables[NAME]


@pytest.fixture(scope="module")
def examples(tokenizer: Any, texts: list[str]) -> list[dict[str, Any]]:
    rows = tokenizer(texts[:3] * 4, add_special_tokens=False)["input_ids"]
    return [{"input_ids": row, "example": number} for number, row in enumerate(rows)]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_without_switching_it_is_the_usual_collator(
    tokenizer: Any, table: CodeSwitchTable, examples: list[Any]
) -> None:
    usual = DataCollatorForLanguageModeling(tokenizer, mlm=False)([{"input_ids": e["input_ids"]} for e in examples])
    ours = CodeSwitchCollator(tokenizer, table, ratio=0.0)(examples)
    assert equal(ours, {name: usual[name] for name in ours})
    assert set(ours) == set(usual)


def test_workers_give_the_same_batches(
    tokenizer: Any, table: CodeSwitchTable, examples: list[Any], tmp_path: Path
) -> None:
    table.save(tmp_path / "table")
    collate = CodeSwitchCollator(tokenizer, CodeSwitchTable.load(tmp_path / "table"), ratio=0.5, seed=4)
    plain, *others = [
        list(DataLoader(examples, batch_size=4, collate_fn=collate, num_workers=workers)) for workers in (0, 1, 2)
    ]
    for batches in others:
        assert all(equal(a, b) for a, b in zip(plain, batches, strict=True))


def test_spawned_copy(tokenizer: Any, table: CodeSwitchTable, examples: list[Any], tmp_path: Path) -> None:
    """A pickled collator stays small, since a loaded table is mapped again from its folder, and switches the same."""
    table.save(tmp_path / "table")
    collate = CodeSwitchCollator(tokenizer, CodeSwitchTable.load(tmp_path / "table"), ratio=0.5, seed=4)
    message = pickle.dumps(collate)
    assert len(message) < 20_000
    assert equal(pickle.loads(message)(examples), collate(examples))
    in_memory = CodeSwitchCollator(tokenizer, table, ratio=0.5, seed=4)
    assert equal(pickle.loads(pickle.dumps(in_memory))(examples), collate(examples))


def test_epoch_and_seed(tokenizer: Any, table: CodeSwitchTable, examples: list[Any]) -> None:
    collate = CodeSwitchCollator(tokenizer, table, ratio=0.5, seed=4)
    first = collate(examples)
    assert equal(first, collate(examples))
    collate.set_epoch(1)
    second = collate(examples)
    assert not equal(first, second)
    assert equal(second, CodeSwitchCollator(tokenizer, table, 0.5, seed=4)([e | {"epoch": 1} for e in examples]))
    assert not equal(first, CodeSwitchCollator(tokenizer, table, ratio=0.5, seed=5)(examples))
    reversed_batch = CodeSwitchCollator(tokenizer, table, ratio=0.5, seed=4)(examples[::-1])
    assert torch.equal(reversed_batch["input_ids"].flip(0), first["input_ids"])


def test_input_ids_alone_are_enough(
    tokenizer: Any, table: CodeSwitchTable, examples: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    collate = CodeSwitchCollator(tokenizer, table, ratio=0.5)
    kinds: list[Any] = [list, np.array, torch.tensor, lambda row: np.array(row, dtype=np.uint16)]
    bare = [{"input_ids": kinds[n % 4](e["input_ids"])} for n, e in enumerate(examples)]
    with caplog.at_level(logging.WARNING):
        first, second = collate(bare), collate(bare)
    assert caplog.text.count("remove_unused_columns=False") == 1
    assert not equal(first, second)
    assert equal(first, CodeSwitchCollator(tokenizer, table, ratio=0.5)(bare))


def test_length_and_mask(tokenizer: Any, table: CodeSwitchTable, examples: list[Any]) -> None:
    batch = CodeSwitchCollator(tokenizer, table, ratio=0.5, max_length=20, return_switch_mask=True)(examples)
    assert batch["input_ids"].shape[1] == 20
    assert batch["switch_mask"].any()
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()
    wide = CodeSwitchCollator(tokenizer, table, ratio=0.5, pad_to_multiple_of=64)(examples)
    assert wide["input_ids"].shape[1] % 64 == 0


def test_supervised_and_padded_rows(tokenizer: Any, table: CodeSwitchTable) -> None:
    ids = tokenizer("The dog sees the river", add_special_tokens=False)["input_ids"]
    prompt = len(tokenizer("The dog", add_special_tokens=False)["input_ids"])
    labels = [-100] * prompt + ids[prompt:]
    collate = CodeSwitchCollator(tokenizer, table, ratio=1.0, seed=1)
    expected = collate([{"input_ids": ids, "labels": labels, "example": 0}])
    assert next(label for label in expected["labels"][0].tolist() if label != -100) == ids[prompt]
    for left, right in ((3, 0), (0, 2), (2, 2)):
        padded = {
            "input_ids": [3] * left + ids + [3] * right,
            "labels": [-100] * left + labels + [-100] * right,
            "attention_mask": [0] * left + [1] * len(ids) + [0] * right,
            "example": 0,
        }
        assert equal(collate([padded]), expected)


def test_left_padding(zoo: dict[str, Any], table: CodeSwitchTable, examples: list[Any]) -> None:
    tokenizer = zoo[NAME]
    right = CodeSwitchCollator(tokenizer, table, ratio=0.5)(examples)
    tokenizer.padding_side = "left"
    try:
        left = CodeSwitchCollator(tokenizer, table, ratio=0.5)(examples)
    finally:
        tokenizer.padding_side = "right"
    for row, size in enumerate(right["attention_mask"].sum(1).tolist()):
        assert left["attention_mask"][row].tolist() == [0] * (left["input_ids"].shape[1] - size) + [1] * size
        assert torch.equal(left["input_ids"][row, -size:], right["input_ids"][row, :size])


def test_packed_rows(tokenizer: Any, table: CodeSwitchTable, texts: list[str]) -> None:
    """Documents keep their own positions, counted after switching."""
    documents = tokenizer(["A dog.", *texts[:2], "the old house"], add_special_tokens=False)["input_ids"]
    packed = {
        "input_ids": list(chain(*documents)),
        "position_ids": list(chain(*(range(len(document)) for document in documents))),
        "example": 1,
    }
    for max_length in (None, 40):
        batch = CodeSwitchCollator(tokenizer, table, ratio=1.0, max_length=max_length)([packed])
        positions, ids = batch["position_ids"][0], batch["input_ids"][0]
        borders = [*torch.nonzero(positions == 0).flatten().tolist(), len(ids)]
        parts = [tokenizer.decode(ids[start:stop]) for start, stop in pairwise(borders)]
        assert parts[0].startswith("A ")
        assert parts[0].endswith(".")
        assert parts[1].split()[1] in ("Haus", "Gebäude", "房子", "البيت", "дом")
        assert positions.tolist() == list(chain(*(range(b - a) for a, b in pairwise(borders))))
    assert len(ids) <= 40


def test_in_hf_trainer(tokenizer: Any, table: CodeSwitchTable, examples: list[Any], tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    torch.manual_seed(0)
    trainer = Trainer(
        LlamaForCausalLM(config),
        TrainingArguments(
            output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
            disable_tqdm=True, save_strategy="no", dataloader_pin_memory=False,
        ),
        train_dataset=[{"input_ids": example["input_ids"]} for example in examples],  # type: ignore[arg-type]
        data_collator=CodeSwitchCollator(tokenizer, table, ratio=0.2),
    )  # fmt: skip
    assert np.isfinite(trainer.train().training_loss)
    assert trainer.state.global_step == 2


def test_mistakes_are_told(zoo: dict[str, Any], tokenizer: Any, table: CodeSwitchTable) -> None:
    collate = CodeSwitchCollator(tokenizer, table)
    with pytest.raises(PrealignError, match="needs examples with `input_ids`"):
        collate([{"text": "a dog"}])
    with pytest.raises(PrealignError, match="one row of integers"):
        collate([{"input_ids": [[1, 2], [3, 4]]}])
    with pytest.raises(PrealignError, match="compiled for another tokenizer"):
        CodeSwitchCollator(zoo["byte-level"], table)
    with pytest.raises(PrealignError, match="ratio"):
        CodeSwitchCollator(tokenizer, table, ratio=5)([{"input_ids": [4, 5], "example": 1}])

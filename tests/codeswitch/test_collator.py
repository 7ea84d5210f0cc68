"""What the collator takes and returns: beside the usual collator, with supervised, padded and packed rows."""

from __future__ import annotations

import copy
import logging
import math
import pickle
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorWithFlattening,
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
)

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


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("multiple", [None, 16])
def test_without_switching_it_is_the_usual_collator(
    zoo: dict[str, Any], table: CodeSwitchTable, texts: list[str], side: str, multiple: int | None
) -> None:
    """Same keys, types and values, whatever the examples come as."""
    tokenizer = copy.deepcopy(zoo[NAME])
    tokenizer.padding_side = side
    usual = DataCollatorForLanguageModeling(tokenizer, mlm=False, pad_to_multiple_of=multiple)
    ours = CodeSwitchCollator(tokenizer, table, ratio=0.0, pad_to_multiple_of=multiple)
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    for examples in (
        [{"input_ids": row} for row in rows],
        [{"input_ids": torch.tensor(row)} for row in rows],
        [{"input_ids": np.array(row)} for row in rows],
        [tokenizer(text, add_special_tokens=False) for text in texts],  # BatchEncoding with an attention mask
        [tokenizer(text, padding="max_length", max_length=120) for text in texts],
        [{"input_ids": row, "special_tokens_mask": [0] * len(row)} for row in rows],
    ):
        expected, found = usual(examples), ours(examples)
        widths = {batch["input_ids"].shape[1] for batch in (expected, found)}
        if len(widths) == 2:  # rows padded beforehand: only the usual collator keeps columns of nothing but padding
            kept = slice(-min(widths), None) if side == "left" else slice(min(widths))
            expected = {name: value[:, kept] for name, value in expected.items()}
        assert equal(found, dict(expected))
        assert {name: value.dtype for name, value in found.items()} == {n: v.dtype for n, v in expected.items()}
    for bare in (rows, [torch.tensor(row) for row in rows], [np.array(row) for row in rows]):
        expected, found = usual(bare), ours(bare)
        assert torch.equal(found["input_ids"], expected["input_ids"])
        assert torch.equal(found["labels"], expected["labels"])
        assert found["attention_mask"].sum().item() == sum(map(len, rows))  # the usual one makes none here


def test_padding_without_a_mask_is_ignored_and_a_real_end_is_not(zoo: dict[str, Any], table: CodeSwitchTable) -> None:
    tokenizer = copy.deepcopy(zoo[NAME])
    row = [{"input_ids": [260, 354, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.pad_token_id]}]
    assert CodeSwitchCollator(tokenizer, table, ratio=0.0)(row)["labels"].tolist() == [[260, 354, 2, -100, -100]]
    tokenizer.pad_token = tokenizer.eos_token
    assert CodeSwitchCollator(tokenizer, table, ratio=0.0)(row)["labels"].tolist() == [[260, 354, 2, 3, 3]]


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
    collate, again = (CodeSwitchCollator(tokenizer, table, ratio=0.5) for _ in range(2))
    kinds: list[Any] = [list, np.array, torch.tensor, lambda row: np.array(row, dtype=np.uint16)]
    bare = [{"input_ids": kinds[n % 4](e["input_ids"])} for n, e in enumerate(examples)]
    with caplog.at_level(logging.WARNING):
        first, second = collate(bare), collate(bare)
    assert caplog.text.count("remove_unused_columns=False") == 1
    assert not equal(first, second)
    assert equal(first, again([{"input_ids": list(row["input_ids"])} for row in bare]))  # whatever holds the ids
    assert torch.equal(first["input_ids"][0], first["input_ids"][3])  # equal texts


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


@pytest.fixture(scope="module")
def documents(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(["A dog.", *texts[:2], "the old house"], add_special_tokens=False)["input_ids"]


def packed(documents: list[list[int]], number: int, first: int = 0) -> dict[str, Any]:
    """Documents one after the other; the first one begins at position `first`."""
    starts = [first] + [0] * len(documents)
    return {
        "input_ids": list(chain(*documents)),
        "position_ids": list(
            chain(*(range(start, start + len(document)) for start, document in zip(starts, documents)))
        ),
        "example": number,
    }


@pytest.mark.parametrize("max_length", [None, 40])
def test_packed_rows(tokenizer: Any, table: CodeSwitchTable, documents: list[list[int]], max_length: int) -> None:
    """Documents keep their own positions, counted after switching, and no document predicts the next."""
    batch = CodeSwitchCollator(tokenizer, table, ratio=1.0, max_length=max_length)([packed(documents, 1)])
    assert set(batch) == {"input_ids", "labels", "position_ids"}
    positions, ids, labels = (batch[name][0] for name in ("position_ids", "input_ids", "labels"))
    starts = torch.nonzero(positions == 0).flatten().tolist()
    borders = [*starts, len(ids)]
    parts = [tokenizer.decode(ids[start:stop]) for start, stop in pairwise(borders)]
    assert parts[0].startswith("A ")
    assert parts[0].endswith(".")
    assert parts[1].split()[1] in ("Haus", "Gebäude", "房子", "البيت", "дом")
    assert positions.tolist() == list(chain(*(range(b - a) for a, b in pairwise(borders))))
    assert (labels[starts] == -100).all()
    assert len(ids) <= (max_length or len(ids))


def test_packed_documents_stay_apart_in_a_model(
    zoo: dict[str, Any], table: CodeSwitchTable, documents: list[list[int]]
) -> None:
    """Each document of a padded batch of packed rows gets the logits that it gets alone."""
    tokenizer = copy.deepcopy(zoo[NAME])
    for tokenizer.padding_side in ("right", "left"):
        model = tiny_model(tokenizer)
        collate = CodeSwitchCollator(tokenizer, table, ratio=0.7, seed=3, pad_to_multiple_of=8)
        batch = collate([packed(documents, 1), packed(documents[:2], 2, first=5)])
        with torch.no_grad():
            logits = model(**batch, use_cache=False).logits  # a cache stops transformers from finding documents
        for row, n_documents in enumerate((4, 2)):
            ids, positions = batch["input_ids"][row], batch["position_ids"][row]
            tokens = torch.nonzero(ids != tokenizer.pad_token_id).flatten()
            breaks = torch.nonzero(torch.diff(positions[tokens]) != 1).flatten() + 1
            pieces = torch.tensor_split(tokens, breaks)
            assert len(pieces) == n_documents
            assert positions[pieces[0][0]] == (0, 5)[row]
            for piece in pieces:
                with torch.no_grad():
                    alone = model(ids[piece][None], position_ids=positions[piece][None]).logits[0]
                assert torch.allclose(logits[row, piece], alone, atol=1e-5)  # float32, other order of sums


def test_padding_free_batches(tokenizer: Any, table: CodeSwitchTable, examples: list[Any]) -> None:
    """Switched rows go on into transformers' flattening collator, as docs/collator.md shows."""
    batch = CodeSwitchCollator(tokenizer, table, ratio=0.5)(examples)
    kept = batch["attention_mask"].bool()
    rows = [{"input_ids": i[k], "labels": x[k]} for i, x, k in zip(batch["input_ids"], batch["labels"], kept)]
    flat = DataCollatorWithFlattening(return_flash_attn_kwargs=True)(rows)
    assert torch.equal(flat["input_ids"][0], batch["input_ids"][kept])
    assert flat["cu_seq_lens_q"].tolist() == [0, *batch["attention_mask"].sum(1).cumsum(0).tolist()]
    flattened = CodeSwitchCollator(tokenizer, table, ratio=0.0)(
        [{"input_ids": flat["input_ids"][0], "labels": flat["labels"][0], "position_ids": flat["position_ids"][0]}]
    )
    assert equal(flattened, {name: flat[name] for name in flattened})


def tiny_model(tokenizer: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    return LlamaForCausalLM(config).eval()


def test_hf_trainer_divides_by_the_labels_that_count(
    tokenizer: Any, table: CodeSwitchTable, examples: list[Any], tmp_path: Path
) -> None:
    """`num_items_in_batch` is the number of labels after the shift, over all micro-batches of a step."""
    counts = []

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        counts.append((int((labels[:, 1:] != -100).sum()), int(num_items_in_batch)))
        return outputs.logits.sum()

    Trainer(
        tiny_model(tokenizer),
        TrainingArguments(
            output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=3,
            report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no", dataloader_pin_memory=False,
        ),
        train_dataset=[{"input_ids": example["input_ids"]} for example in examples],  # type: ignore[arg-type]
        data_collator=CodeSwitchCollator(tokenizer, table, ratio=0.5),
        compute_loss_func=loss,
    ).train()  # fmt: skip
    assert [total for _, total in counts] == [sum(own for own, _ in counts)] * 3


def test_ratio_is_kept_and_checked(tokenizer: Any, table: CodeSwitchTable, examples: list[Any]) -> None:
    collate = CodeSwitchCollator(tokenizer, table, {"de": 0.4, "zh": 0.2}, return_switch_mask=True)
    assert collate.ratio == {"de": 0.4, "zh": 0.2, "ar": 0.0, "ru": 0.0}
    assert collate(examples)["switch_mask"].any()
    collate.ratio = 0.25
    assert collate.ratio == 0.25
    of_rows = collate([example | {"ratio": n % 2} for n, example in enumerate(examples)])["switch_mask"]
    assert not of_rows[::2].any()
    assert of_rows[1::2].any(dim=1).all()


def test_mistakes_are_told(zoo: dict[str, Any], tokenizer: Any, table: CodeSwitchTable) -> None:
    collate = CodeSwitchCollator(tokenizer, table)
    for message, examples in {
        "needs examples with `input_ids`": [{"text": "a dog"}],
        "one row of integers": [{"input_ids": [[1, 2], [3, 4]]}],
    }.items():
        with pytest.raises(PrealignError, match=message):
            collate(examples)
    with pytest.raises(PrealignError, match="compiled for another tokenizer"):
        CodeSwitchCollator(zoo["byte-level"], table)
    with pytest.raises(PrealignError, match="`ratio` must lie between 0 and 1; got 5"):
        CodeSwitchCollator(tokenizer, table, ratio=5)
    with pytest.raises(PrealignError, match="`ratio` names fr, but the switching table translates into de, zh, ar, ru"):
        CodeSwitchCollator(tokenizer, table, ratio={"fr": 0.1})
    collate.ratio = {"de": 0.1}
    with pytest.raises(PrealignError, match="column `ratio` of an example can only be 0"):
        collate([{"input_ids": [4, 5, 6], "ratio": 0.5}])


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        ({"labels": [5, 6]}, "`labels` of an example must be as long as its input_ids; got 2 for 3 tokens"),
        ({"attention_mask": np.array([1, 1, 0]), "labels": [1, 2, 3, 4]}, "`labels` of an example .* got 4 for 3"),
        ({"position_ids": [0, 1, 2, 0]}, "`position_ids` of an example .* got 4 for 3"),
        ({"attention_mask": [1, 1]}, "`attention_mask` of an example .* got 2 for 3"),
        ({"attention_mask": [1, 0, 1]}, "zeros at its ends only"),
        ({"example": 1.7}, "column `example` must hold whole numbers"),
        ({"ratio": "much"}, "column `ratio` must hold numbers between 0 and 1; got 'much'"),
        ({"ratio": 1.5}, "`ratio` must lie between 0 and 1"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tokenizer: Any, table: CodeSwitchTable, example: dict[str, Any], sentence: str
) -> None:
    collate = CodeSwitchCollator(tokenizer, table)
    with pytest.raises(PrealignError, match=sentence):
        collate([{"input_ids": [5, 6, 7]} | example])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": "inputonly"}, "labels must be one of"),
        ({"max_length": 0}, "max_length must be at least 1"),
        ({"pad_to_multiple_of": -8}, "pad_to_multiple_of must be at least 1"),
        ({"ratio": math.nan}, "`ratio` must lie between 0 and 1; got nan"),
        ({"ratio": {"de": 0.7, "zh": 0.6}}, "must sum to at most 1"),
    ],
)
def test_options_are_checked_at_once(
    tokenizer: Any, table: CodeSwitchTable, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PrealignError, match=sentence):
        CodeSwitchCollator(tokenizer, table, **options)


def test_rows_stay_as_they_are_beside_ratios_per_language(
    tokenizer: Any, table: CodeSwitchTable, examples: list[Any]
) -> None:
    collate = CodeSwitchCollator(tokenizer, table, ratio={"de": 1.0}, return_switch_mask=True)
    mask = collate([example | ({"ratio": 0.0} if n % 2 else {}) for n, example in enumerate(examples)])["switch_mask"]
    assert mask[::2].any(dim=1).all()
    assert not mask[1::2].any()

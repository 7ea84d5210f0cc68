"""Properties of switching: rates, keys, shapes of the output, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prealign import draws
from prealign.codeswitch import kernel
from prealign.codeswitch.coverage import coverage
from prealign.codeswitch.schedule import scheduled_ratio
from prealign.codeswitch.switch import Switched, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.errors import PrealignError

KEYS = draws.bits(3, 4)


@pytest.fixture(scope="module")
def table(tables: dict[str, CodeSwitchTable]) -> CodeSwitchTable:
    return tables["unigram"]


@pytest.fixture(scope="module")
def rows(zoo: dict[str, Any], texts: list[str]) -> list[np.ndarray]:
    return [np.array(row, dtype=np.uint16) for row in zoo["unigram"](texts[:4], add_special_tokens=False)["input_ids"]]


def same(one: Switched, other: Switched) -> bool:
    return np.array_equal(one.input_ids, other.input_ids) and np.array_equal(one.labels, other.labels)


def test_draws_are_those_of_the_draws_module() -> None:
    for key in (0, 1, draws.key(5), draws.MASK):
        places = np.array([0, 1, 17, 1 << 40, 1 << 63], dtype=np.uint64)
        mine = [int(kernel.bits(np.uint64(key), place)) for place in places]
        assert mine == draws.bits(key, places).tolist()


def test_the_key_alone_decides(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    together = switch_rows(table, rows, keys=KEYS, ratio=0.5, length=24)
    order = [2, 0, 3, 1]
    shuffled = switch_rows(table, [rows[i] for i in order], keys=KEYS[order], ratio=0.5, length=24)
    assert np.array_equal(together.input_ids[order], shuffled.input_ids)
    alone = switch_rows(table, rows[2:3], keys=KEYS[2:3], ratio=0.5, length=24)
    assert np.array_equal(together.labels[2:3], alone.labels)
    assert not same(together, switch_rows(table, rows, keys=draws.bits(4, 4), ratio=0.5, length=24))


def test_any_integer_type_and_form(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    width = min(map(len, rows))
    square = np.stack([row[:width] for row in rows])
    expected = switch_rows(table, list(square), keys=KEYS, ratio=0.5)
    for dtype in (np.uint16, np.uint32, np.int32, np.int64, np.uint8):
        if int(square.max()) <= np.iinfo(dtype).max:
            assert same(expected, switch_rows(table, square.astype(dtype), keys=KEYS, ratio=0.5))
    out = (np.empty((4, width), dtype=np.int32), np.empty((4, width), dtype=np.int32))
    done = switch_rows(table, square, keys=KEYS, ratio=0.5, length=width, out=out)
    assert done.input_ids is out[0]
    assert same(done, switch_rows(table, square, keys=KEYS, ratio=0.5, length=width))


def test_nothing_and_empty(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    done = switch_rows(table, rows, keys=KEYS, ratio=0.0)
    for number, row in enumerate(rows):
        assert done.input_ids[number, : len(row)].tolist() == done.labels[number, : len(row)].tolist() == row.tolist()
    assert done.n_switched == 0
    assert done.n_eligible > 20
    empty = switch_rows(table, [rows[0][:0], rows[0]], keys=KEYS[:2], ratio=1.0)
    assert empty.lengths.tolist()[0] == 0
    assert same(switch_rows(table, [], keys=KEYS[:0], ratio=1.0), switch_rows(table, [], keys=KEYS[:0], ratio=0.0))


def test_counts(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    done = switch_rows(table, rows, keys=KEYS, ratio=1.0, length=20, with_events=True, with_mask=True)
    assert done.n_tokens == sum(map(len, rows))
    assert done.events is not None
    assert done.mask is not None
    grown = sum(event.out_stop - event.out_start - (event.stop - event.start) for event in done.events)
    assert done.n_tokens - done.n_cut + grown == done.lengths.sum()
    assert sum(done.by_language.values()) == done.n_switched == len(done.events)
    marked = np.zeros_like(done.mask)
    for event in done.events:
        marked[event.row, event.out_start : event.out_stop] = True
    assert np.array_equal(marked, done.mask)


def test_ratio_per_row(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    done = switch_rows(table, rows, keys=KEYS, ratio=np.array([0.0, 1.0, 0.0, 1.0]), with_events=True)
    assert {event.row for event in done.events or []} <= {1, 3}
    assert done.n_switched > 5


def test_padding(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    right = switch_rows(table, rows, keys=KEYS, ratio=0.5, pad=3, multiple_of=16, with_mask=True)
    left = switch_rows(table, rows, keys=KEYS, ratio=0.5, pad=3, multiple_of=16, pad_left=True, with_mask=True)
    assert right.input_ids.shape[1] % 16 == 0
    assert right.mask is not None
    assert left.mask is not None
    for row, size in enumerate(right.lengths):
        for one, other in ((right.input_ids, left.input_ids), (right.labels, left.labels), (right.mask, left.mask)):
            assert one[row, :size].tolist() == other[row, len(other[row]) - size :].tolist()
        assert set(left.labels[row, : left.labels.shape[1] - size].tolist()) <= {-100}


def test_no_match_over_a_document_border(zoo: dict[str, Any], table: CodeSwitchTable) -> None:
    encode = zoo["unigram"]
    first, second = (np.array(encode(text, add_special_tokens=False)["input_ids"]) for text in ("in New", "York is"))
    row = [np.concatenate([first, second])]
    joined = switch_rows(table, row, keys=KEYS[:1], ratio=1.0)
    apart = switch_rows(table, row, keys=KEYS[:1], ratio=1.0, documents=[np.array([0, len(first)])])
    assert encode.decode(joined.input_ids[0]) in ("in Neu-York is", "in 纽约 is")
    assert encode.decode(apart.input_ids[0]) == "in Neu York is"


def test_mistakes_are_told(table: CodeSwitchTable, rows: list[np.ndarray]) -> None:
    for message, options in {
        "`ratio` must lie between 0 and 1": {"ratio": 1.5},
        "one number or one per row: 4 rows": {"ratio": np.zeros(3)},
        "labels must be one of input_only": {"labels": "input-only"},
        "candidates must be one of": {"candidates": "first"},
        "document_share must lie": {"document_share": -0.1},
        "run must be at least 1": {"run": 0},
        "length must be at least 1": {"length": 0},
        "`out` needs `length`": {"out": (np.zeros((4, 4)), np.zeros((4, 4)))},
        "Every row needs one key: 4 rows": {"keys": KEYS[:2]},
        "Rows and their labels differ in length": {"given_labels": [row[1:] for row in rows]},
        "the first at its first token": {"documents": [np.array([1])] * 4},
    }.items():
        with pytest.raises(PrealignError, match=message):
            switch_rows(table, rows, **{"keys": KEYS, "ratio": 0.5, **options})  # type: ignore[arg-type]
    with pytest.raises(PrealignError, match="the switching table knows ids 0 to"):
        switch_rows(table, [np.array([table.vocab_size])], keys=KEYS[:1], ratio=0.5)


def test_schedule() -> None:
    assert [scheduled_ratio("constant", 0.1, p) for p in (0.0, 0.5, 1.0)] == [0.1, 0.1, 0.1]
    assert [scheduled_ratio("linear", 0.1, p) for p in (0.0, 0.5, 1.0)] == [0.1, 0.05, 0.0]
    assert [scheduled_ratio("steps", 0.1, p) for p in (0.0, 0.3, 0.4, 0.7, 1.0)] == [0.1, 0.1, 0.05, 0.025, 0.025]


@pytest.mark.parametrize("name", ["unigram", "byte-level", "wordpiece"])
def test_coverage(name: str, zoo: dict[str, Any], dictionaries: dict[str, Any]) -> None:
    table = CodeSwitchTable.compile([dictionaries["ru"]], zoo[name])
    found = coverage(
        table, zoo[name], ["The dog, the old dog and the house: a book about dogs.", "“Water” and the 😀 dog"]
    )
    assert found.running_words == 16
    assert found.covered == 6  # dog three times, house, book, Water
    assert found.missing[:2] == [("the", 4), ("and", 2)]
    assert found.by_band == {"1-10": found.share}

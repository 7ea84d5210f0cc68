"""Operations counted by hand, and the table of GPUs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from prealign.objectives.causal_lm import CausalLM
from prealign.objectives.word_alignment import WordAlignment
from prealign.train.flops import Cost, peak_of
from prealign.train.loop import Outcome


def test_a_llama_counted_by_hand(small_model: Callable[[], PreTrainedModel]) -> None:
    """2 blocks of width 16: attention 4 * 16 * 16, feed-forward 3 * 16 * 24, two norms of 16; one norm at the end."""
    assert Cost.of(small_model()) == Cost(body=2 * (1024 + 1152 + 32) + 16, head=61 * 16, attention=2 * 16)


def test_tied_rows_count_once_as_output_and_tables_do_not() -> None:
    """GPT-2 ties its embeddings and has a table of positions; its block is 12 w^2 + 13 w."""
    config = GPT2Config(n_embd=8, n_layer=3, n_head=2, n_positions=32, vocab_size=50)
    assert Cost.of(GPT2LMHeadModel(config)) == Cost(body=3 * (12 * 64 + 13 * 8) + 16, head=50 * 8, attention=3 * 8)


def test_work_of_a_step_is_6n_plus_attention() -> None:
    cost = Cost(body=100, head=10, attention=7)
    text = {"input_ids": torch.zeros(2, 5, dtype=torch.long)}
    words = {"input_ids": torch.zeros(3, 4, dtype=torch.long)}
    tasks = [(text, CausalLM(), 1.0), (text, CausalLM(), 1.0), (words, WordAlignment(), 1.0)]
    # Two ranks with 2 * 2 rows of 4 predicted labels each; no label is predicted for words.
    done = cost.of_step(tasks, {"lm": 32.0, "alignment": 9.0}, world=2)
    assert done == 20 * (600 + 84 * 5) + 12 * (600 + 84 * 4) + 60 * 16


class _Contrast(WordAlignment):
    """Stands for an objective that reads keys without gradient."""

    without_gradient = ("key_input_ids",)


def test_keys_that_are_only_read_cost_a_third() -> None:
    cost = Cost(body=100, head=10, attention=7)
    batch = {"input_ids": torch.zeros(2, 5, dtype=torch.long), "key_input_ids": torch.zeros(3, 4, dtype=torch.long)}
    queries, keys = 10 * (600 + 84 * 5), 12 * (600 + 84 * 4)
    assert cost.of_step([(batch, WordAlignment(), 1.0)], {}, world=1) == queries + keys
    assert cost.of_step([(batch, _Contrast(), 1.0)], {}, world=1) == queries + keys / 3


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989.4),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA L40S", 362),
    ],
)
def test_known_gpus(name: str, teraflops: float) -> None:
    assert peak_of(name) == pytest.approx(teraflops * 1e12)


@pytest.mark.parametrize("name", ["NVIDIA A10G", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "Some GPU"])
def test_a_gpu_that_is_not_listed_has_no_mfu(name: str) -> None:
    assert peak_of(name) is None


def test_an_outcome_tells_the_work_of_the_whole_stage_also_after_a_kill(
    run: Callable[..., Outcome], tasks_of: Callable[[int], list[Any]], tmp_path: Path
) -> None:
    def killed(step: int) -> list[Any]:
        if step == 6:
            raise KeyboardInterrupt
        return tasks_of(step)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, micro_batches=killed)
    cost = Cost(body=2 * (1024 + 1152 + 32) + 16, head=61 * 16, attention=2 * 16)
    # Ten steps of 72 positions in rows of 12 with 66 labels, and 8 words of 2 tokens in one row.
    step = 72 * (6 * cost.body + 12 * cost.attention * 12) + 6 * cost.head * 66
    step += 16 * (6 * cost.body + 12 * cost.attention * 16)
    assert run(tmp_path).sums["flops"] == 10 * step


def test_rows_tell_the_mfu_where_a_peak_is_known(run: Callable[..., Outcome], tmp_path: Path) -> None:
    def timings(folder: Path) -> list[dict[str, Any]]:
        rows = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return [row["timing"] for row in rows]

    run(tmp_path / "cpu")
    run(tmp_path / "given", engine={"peak_flops": 1e9})
    assert all("mfu" not in timing for timing in timings(tmp_path / "cpu"))
    cost = Cost(body=2 * (1024 + 1152 + 32) + 16, head=61 * 16, attention=2 * 16)
    for timing in timings(tmp_path / "given"):
        # 66 labels a step from 72 positions in rows of 12, and 16 positions of words of 2 tokens, 8 anchors.
        per_label = (72 * (6 * cost.body + 12 * cost.attention * 12) + 6 * cost.head * 66) / 66
        least = timing["tokens_per_s"] * per_label / 1e9
        assert least < timing["mfu"] < 1.4 * least
        assert timing["alignment_per_s"] == pytest.approx(timing["tokens_per_s"] * 8 / 66, rel=0.01, abs=0.1)

"""The attention that the engine's setting asks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM, PreTrainedModel

from prealign.errors import PrealignError
from prealign.objectives.packing import float32_attention
from prealign.train.compute import set_attention
from prealign.train.metrics import read_rows

CPU = torch.device("cpu")


def test_eager_attention_is_what_the_setting_says_and_trains_alike(
    run: Callable[..., Any], small_model: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    """Without dropout, whose draws differ; float32 rounding grown by ten updates."""
    ends = {}
    for name in ("auto", "eager"):
        model = small_model()
        model.config.attention_dropout = 0.0
        for block in model.model.layers:
            block.self_attn.attention_dropout = 0.0
        run(tmp_path / name, model=model, engine={"attn_implementation": name, "precision": "fp32"})
        assert model.config._attn_implementation == {"auto": "sdpa"}.get(name, name)
        ends[name] = read_rows(tmp_path / name / "metrics.jsonl")[0][-1]["loss"]
    assert ends["auto"] == pytest.approx(ends["eager"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_model_trains_alike(
    run: Callable[..., Any], small_model: Callable[[], PreTrainedModel], tasks_of: Callable[[int], Any], tmp_path: Path
) -> None:
    """Running text of two steps; float32 rounding in another order. A compiler that is not there would be an error."""
    ends = []
    for compiled in (False, True):
        model = small_model().eval()
        for module in model.modules():
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.0
        run(
            tmp_path / str(compiled),
            model=model,
            max_steps=2,
            micro_batches=lambda step: tasks_of(step)[:2],
            engine={"torch_compile": compiled, "precision": "fp32", "logging_steps": 1},
        )
        ends.append([row["loss"]["lm"] for row in read_rows(tmp_path / str(compiled) / "metrics.jsonl")[0]])
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)
    assert ends[0][0] != ends[0][1]


def test_flash_attention_that_cannot_be_is_refused_with_all_that_it_lacks(
    small_model: Callable[[], PreTrainedModel],
) -> None:
    with pytest.raises(PrealignError, match=r"needs a GPU; bf16 \(engine.precision\).*Leave it at auto"):
        set_attention(small_model(), "flash_attention_2", CPU, None)


def test_an_architecture_without_a_choice_is_refused() -> None:
    model = BloomForCausalLM(BloomConfig(hidden_size=8, n_layer=1, n_head=2, vocab_size=20))
    with pytest.raises(PrealignError, match=r"engine.attn_implementation"):
        set_attention(model, "sdpa", CPU, None)


def test_float32_is_computed_without_flash_attention(
    small_model: Callable[[], PreTrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = small_model(), []
    monkeypatch.setattr(model, "set_attn_implementation", seen.append)
    with float32_attention(model):
        assert seen == []
    model.config._attn_implementation_internal = "flash_attention_2"
    with float32_attention(model):
        assert seen == ["sdpa"]
    assert seen == ["sdpa", "flash_attention_2"]

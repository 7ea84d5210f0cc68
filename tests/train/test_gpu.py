"""What only a GPU can show: bf16 steps, a compiled model, the chunked head on CUDA, resuming. Skipped elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from prealign.objectives.causal_lm import head_loss
from prealign.train.loop import Outcome
from prealign.train.step import Task

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
Run = Callable[..., Outcome]
CUDA = torch.device("cuda")


def losses(folder: Path) -> list[float]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [row["loss"]["lm"] for row in rows]


def timings(folder: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [row["timing"] for row in rows]


@pytest.fixture
def model(small_model: Callable[[], PreTrainedModel]) -> Callable[[], PreTrainedModel]:
    """Without dropout, which every kernel draws in its own way."""

    def make() -> PreTrainedModel:
        made = small_model()
        made.config.attention_dropout = 0.0
        for block in made.model.layers:
            block.self_attn.attention_dropout = 0.0
        return made

    return make


Make = Callable[[], PreTrainedModel]


def test_gpu_and_cpu_take_the_same_steps_in_float32(run: Run, model: Make, tmp_path: Path) -> None:
    for name, device in (("cpu", torch.device("cpu")), ("gpu", CUDA)):
        run(tmp_path / name, engine={"precision": "fp32"}, device=device, model=model())
    assert losses(tmp_path / "gpu") == pytest.approx(losses(tmp_path / "cpu"), rel=1e-4)


def test_bf16_follows_float32_and_rows_tell_memory(run: Run, model: Make, tmp_path: Path) -> None:
    run(tmp_path / "fp32", engine={"precision": "fp32"}, device=CUDA, model=model())
    run(tmp_path / "bf16", engine={"precision": "auto"}, device=CUDA, model=model())
    assert losses(tmp_path / "bf16") != losses(tmp_path / "fp32")
    assert losses(tmp_path / "bf16") == pytest.approx(losses(tmp_path / "fp32"), rel=0.02)
    assert all(timing["peak_memory_gb"] > 0 for timing in timings(tmp_path / "bf16"))


def test_a_compiled_model_learns_the_same(run: Run, model: Make, tmp_path: Path) -> None:
    for name, on in (("plain", False), ("compiled", True)):
        run(tmp_path / name, engine={"precision": "fp32", "torch_compile": on}, device=CUDA, model=model())
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_the_chunked_head_equals_the_full_one(dtype: torch.dtype, tolerance: float) -> None:
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(100, 32, generator=draw).to(CUDA, dtype)
    weight = torch.randn(501, 32, generator=draw).to(CUDA, dtype)
    labels = torch.randint(0, 501, (100,), generator=draw).to(CUDA)
    labels[::7] = -100

    def gradients(loss: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        leaves = [tensor.clone().requires_grad_() for tensor in (hidden, weight)]
        value = loss(*leaves)
        return [value.detach().float(), *(grad.float() for grad in torch.autograd.grad(value, leaves))]

    chunked = gradients(lambda h, w: head_loss(h, w, labels, chunk=13)[0])
    full = gradients(lambda h, w: F.cross_entropy((h @ w.T).float(), labels, ignore_index=-100, reduction="sum"))
    for ours, theirs in zip(chunked, full, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.abs().max()))


def test_a_resumed_run_continues_the_curve(run: Run, tasks_of: Any, tmp_path: Path) -> None:
    def interrupted(step: int) -> list[Task]:
        if step == 7:
            raise KeyboardInterrupt
        return tasks_of(step)  # type: ignore[no-any-return]

    run(tmp_path / "straight", engine={"logging_steps": 1}, device=CUDA)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", engine={"logging_steps": 1}, device=CUDA, micro_batches=interrupted)
    run(tmp_path / "broken", engine={"logging_steps": 1}, device=CUDA)
    # Kernels that add in any order keep this from being bit for bit.
    assert losses(tmp_path / "broken") == pytest.approx(losses(tmp_path / "straight"), rel=1e-4)

"""Settings of how training runs: the optimiser, and what the engine does beside the updates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prealign.config.fields import Count, Positive, Settings, Share


class OptimizerSettings(Settings):
    """The optimiser, the same in both training stages."""

    learning_rate: Positive = 5e-4
    """Peak learning rate."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """Course of the learning rate after the warm-up; cosine ends at a tenth of the peak, linear at zero."""
    warmup_steps: Annotated[float, Field(ge=0.0)] = 0.05
    """Steps of linear warm-up; a number below 1 is a share of max_steps."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    """Decoupled weight decay on matrices; vectors (norms, biases) get none."""
    adam_beta1: Share = 0.9
    """Decay of AdamW's first moment."""
    adam_beta2: Share = 0.95
    """Decay of AdamW's second moment."""
    max_grad_norm: Positive = 1.0
    """Gradients are scaled down to this global norm."""


class EngineSettings(Settings):
    """How both training stages run; nothing here changes what is learnt."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 autocast or fp32; auto takes bf16 on GPUs and on CPUs with AMX or AVX512-BF16, where it is faster, and
    fp32 elsewhere."""
    torch_compile: bool = False
    """Compile the model; worth its start-up time (a minute) for long runs on a GPU."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass to save memory."""
    logging_steps: Count = 10
    """Write a row of metrics.jsonl every so many steps."""
    eval_steps: Count = 200
    """Measure validation bits per byte every so many steps, and at the end."""
    eval_tokens: Count = 20_000
    """Validation tokens per language in those measurements; the final evaluation reads all."""
    save_steps: Count = 200
    """Save a checkpoint every so many steps, and at the end."""
    save_total_limit: Count = 2
    """Keep this many checkpoints; older ones are removed."""
    report_to: list[Literal["tensorboard", "wandb"]] = []
    """Trackers that also get the metrics."""

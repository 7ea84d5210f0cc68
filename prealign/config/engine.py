"""Settings of how training runs: the optimiser, and what the engine does beside the updates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prealign.config.fields import Count, Positive, Settings, Share


class OptimizerSettings(Settings):
    """The optimiser, the same in both training stages."""

    learning_rate: Positive = 5e-4
    """Peak learning rate."""
    lr_scheduler_type: Literal["cosine", "linear", "constant", "warmup_stable_decay"] = "cosine"
    """Course of the learning rate after the warm-up; cosine ends at a tenth of the peak, linear at zero,
    warmup_stable_decay (WSD) stays at the peak and falls to zero at the end."""
    warmup_steps: Annotated[float, Field(ge=0.0)] = 0.05
    """Steps of linear warm-up; a number below 1 is a share of max_steps."""
    decay_steps: Annotated[float, Field(ge=0.0)] = 0.2
    """Steps of the fall at the end of warmup_stable_decay; a number below 1 is a share of max_steps."""
    decay_type: Literal["1-sqrt", "linear"] = "1-sqrt"
    """Form of that fall: one minus the square root of the way done, or a straight line."""
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
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """What several processes hold: ddp, each the whole model; fsdp, each a shard of parameters, gradients and
    moments (FSDP2), for models that do not fit otherwise."""
    timeout_s: Positive = 1800.0
    """Seconds that a process waits for the others before it ends with an error."""
    attn_implementation: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    """How attention is computed, by the names of Hugging Face; auto: sdpa where the architecture has it, else eager.
    flash_attention_2 needs a GPU, bf16 and the package flash-attn; measurements, in float32, then take sdpa."""
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
    """Keep this many checkpoints, the newest ones; older ones are removed."""
    keep_steps: Literal["log"] | list[Count] = []
    """Steps whose checkpoints are saved besides and never removed: a list such as [100, 500, 1000], or log for steps
    1, 2, 4, 8 and so on, for studies of early training."""
    keep_best: str | None = None
    """Measurement of metrics.jsonl by which the best checkpoint is kept as well, the lowest value being the best, such
    as bits_per_byte.de; each measurement that improves on it is saved, and best.json names the checkpoint."""
    peak_flops: Positive | None = None
    """Floating-point operations per second that one device can do at best, for the MFU in metrics.jsonl; none: the
    bf16 figure of the GPU's data sheet where it is known (docs/training.md), and no MFU elsewhere."""
    async_save: bool = False
    """Write checkpoints beside the training, from a copy in the CPU's memory; one at a time."""
    report_to: list[Literal["tensorboard", "wandb"]] = []
    """Trackers that also get the metrics."""

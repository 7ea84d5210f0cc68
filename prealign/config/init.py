"""Settings of `init`: the model that is started from, and stage 1, which aligns it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prealign.config.engine import OptimizerSettings
from prealign.config.fields import Count, InputPath, Positive, Settings


class ModelSettings(Settings):
    """What is trained: a preset with random weights, an HF config, or an HF checkpoint."""

    preset: Literal["tiny", "20m", "150m", "400m", "1.3b"] = "tiny"
    """Llama shapes by size; `tiny` has about one million parameters without embeddings. Ignored when `config` or
    `checkpoint` is given."""
    config: InputPath | None = None
    """Folder with a Hugging Face config.json: that architecture with random weights."""
    checkpoint: InputPath | None = None
    """Folder (or hub name) of an existing Hugging Face model to start from."""
    overrides: dict[str, int | float | str | bool] = {}
    """Fields of the HF config to change, for example {num_hidden_layers: 6}."""


class InitSettings(Settings):
    """Stage 1: pull the representations of translations together at every layer (docs/method.md, 2)."""

    max_steps: Annotated[int, Field(ge=0)] = 300
    """Optimiser steps; 0 leaves the start as it is."""
    words_per_step: Annotated[int, Field(ge=2)] = 256
    """Dictionary source words per step, over all ranks; each comes with one translation or more."""
    temperature: Positive = 0.1
    """Temperature of the contrast."""
    layers: Literal["all"] | list[int] = "all"
    """Layers that are aligned: 0 is the embeddings, then the blocks, the last is the output rows; all is the
    paper's choice."""
    positives: Literal["log_sum", "sum_log"] = "log_sum"
    """Form of the loss with several translations: log of the sum, or (SupCon) mean of the logs."""
    alignment_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the alignment loss."""
    collapse_weight: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of max(0, mean pairwise cosine), which keeps all words from becoming one."""
    lm_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the language-model loss on running text; 0: no running text in this stage."""
    lm_rows_per_step: Count = 16
    """Blocks of running text per step, over all ranks."""
    optimizer: OptimizerSettings = OptimizerSettings()

"""Settings of `init`: the model that is started from, and stage 1, which aligns it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from prealign.config.engine import OptimizerSettings
from prealign.config.fields import Count, ModelPath, Positive, Settings, Share, refuse

PRESETS_OF_KIND = {
    "causal_lm": {"tiny": 4, "20m": 6, "150m": 12, "400m": 20, "1.3b": 24},
    "masked_lm": {"tiny": 4, "base": 12},
}
"""Kind of model -> preset -> its number of blocks; model/build.py has the whole shapes."""
LEARNT_TEMPERATURES = (0.01, 1.0)
"""A learnt temperature stays in this range. Below it a float32 softmax over cosines is an argmax, above it the loss can
hardly tell words apart."""


class ModelSettings(Settings):
    """What is trained: a preset with random weights, an HF config, or an HF checkpoint (docs/models.md)."""

    kind: Literal["causal_lm", "masked_lm"] = "causal_lm"
    """causal_lm predicts the next token; masked_lm is an encoder that predicts hidden tokens."""
    preset: Literal["tiny", "20m", "150m", "400m", "1.3b", "base"] = "tiny"
    """Shape by size, `tiny` has about one million parameters without embeddings. Causal models are Llamas: tiny, 20m,
    150m, 400m, 1.3b; masked ones XLM-Rs: tiny, base. Ignored when `config` or `checkpoint` is given."""
    config: ModelPath | None = None
    """Folder (or hub name) with a Hugging Face config.json: that architecture with random weights."""
    checkpoint: ModelPath | None = None
    """Folder (or hub name) of an existing Hugging Face model to start from; `tokenizer.path` names its tokenizer."""
    overrides: dict[str, int | float | str | bool] = {}
    """Fields of the HF config to change, for example {num_hidden_layers: 6}."""

    @model_validator(mode="after")
    def _preset_of_this_kind(self) -> Self:
        known = PRESETS_OF_KIND[self.kind]
        if self.config is None and self.checkpoint is None and self.preset not in known:
            raise ValueError(f"there is no preset {self.preset} of kind {self.kind}; there are {', '.join(known)}")
        return self

    @property
    def blocks(self) -> int | None:
        """Number of the model's blocks where the recipe tells it; None where a `config` or `checkpoint` does."""
        if self.config is not None or self.checkpoint is not None:
            return None
        blocks = self.overrides.get("num_hidden_layers", PRESETS_OF_KIND[self.kind][self.preset])
        return blocks if isinstance(blocks, int) else None


class InitSettings(Settings):
    """Stage 1: pull the representations of translations together at every layer (docs/method.md, 2)."""

    max_steps: Annotated[int, Field(ge=0)] = 300
    """Optimiser steps; 0 leaves the start as it is."""
    words_per_step: Annotated[int, Field(ge=2)] = 256
    """Dictionary source words per step, over all ranks; each comes with one translation or more."""
    frequency_exponent: Share = 0.0
    """Words are visited at a rate of their count in the dictionary to this power: 0 visits all equally often, 1 as
    often as they occur in the parallel text; every word is visited in each epoch at any exponent."""
    temperature: Positive = 0.1
    """Temperature of the contrast; where it is learnt, its start."""
    learn_temperature: bool = False
    """Learn the temperature, within 0.01 to 1."""
    layers: (
        Literal["all"]
        | Annotated[str, Field(pattern=r"^\d+(-\d+)?$")]
        | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    ) = "all"
    """Layers that are aligned: 0 is the input embeddings, then the blocks, the last is the output rows; all (the
    paper's choice), one such as 4, a range such as 2-5 with both ends, or a list."""
    layer_weights: list[Annotated[float, Field(ge=0.0)]] | None = None
    """Weight of each aligned layer, in their order; none: all alike."""
    pooling: Literal["mean", "last"] = "mean"
    """State of a word of several tokens: the mean over them (the paper's choice), or the last one's."""
    words_per_forward: Annotated[int, Field(ge=0)] = 0
    """Encode about so many words at a time and keep their pooled states only, so that memory holds batches of any
    size, at the price of a second forward pass; 0 encodes all at once."""
    compatibility: Literal["none", "reference"] = "none"
    """reference compares words as the paper's published code does, its masking mistakes included; to compare with only
    (docs/method.md, 2)."""
    positives: Literal["log_sum", "sum_log"] = "log_sum"
    """Form of the loss with several translations: log of the sum, or (SupCon) mean of the logs."""
    alignment_weight: Annotated[float, Field(ge=0.0)] = 0.3
    """Weight of the alignment loss. At 1.0 the clipped gradient of a small model is nearly all alignment, and its
    language model ends worse (docs/log.md); the paper's published codes have 0.1 and 0.5."""
    context_sentences_per_step: Annotated[int, Field(ge=0)] = 0
    """Sentence pairs per step, over all ranks, in which linked words are aligned as they stand, beside the words alone;
    0: none. Needs `dictionary.keep_links` (docs/method.md, 2)."""
    context_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the alignment loss of words in sentences; that of words alone is `alignment_weight`, and may be 0."""
    context_layers: Literal["blocks", "all"] = "blocks"
    """Layers at which words in sentences are aligned: the blocks only, or also the input embeddings and output rows,
    which know nothing of the sentence."""
    collapse_weight: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of max(0, mean pairwise cosine), which keeps all words from becoming one."""
    lm_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the language-model loss; 0: none in this stage."""
    lm_on: Literal["text", "words"] = "text"
    """What the language-model loss reads: running text, or the words of the step, each alone."""
    lm_rows_per_step: Count = 16
    """Blocks of running text per step, over all ranks; with an existing model this is the replay that keeps its
    languages."""
    stop_at: Share | None = None
    """End the stage at the first measurement with this P@1 of held-out words, mean over all layers and both directions,
    in every language pair; the control then ends at the same step. None: all steps are made."""
    guard: dict[str, Annotated[float, Field(ge=0.0)]] = {}
    """Language -> share by which its bits per byte (of a masked LM: its loss) may rise over the start; the stage stops
    when a measurement finds more. For an existing model whose languages must not suffer."""
    optimizer: OptimizerSettings = OptimizerSettings()

    @model_validator(mode="after")
    def _loss_of_a_recipe(self, info: ValidationInfo) -> Self:
        if info.context is not None:  # a recipe is read, and the mistakes are told with those of other sections
            refuse(self.mistakes_of_loss())
        return self

    def mistakes_of_loss(self) -> Iterator[str]:
        """What can be told of the alignment loss without the model: choices of layers, weights or temperature that make
        no sense.

        Asked where a recipe is read, and by a recipe that is made in Python.
        """
        low, high = LEARNT_TEMPERATURES
        if self.learn_temperature and not low <= self.temperature <= high:
            stays = f"one that is learnt starts and stays between {low} and {high}"
            yield f"init.temperature is {self.temperature}; {stays}"
        layers, weights = self.layers, self.layer_weights
        if isinstance(layers, str) and "-" in layers and int.__gt__(*map(int, layers.split("-"))):
            yield f"init.layers is {layers}; a range begins with its lower end"
        if isinstance(layers, list) and len(set(layers)) < len(layers):
            yield f"init.layers names a layer twice: {layers}; init.layer_weights counts one more"
        if weights is not None and not any(weights):
            yield f"init.layer_weights is {weights}; some must be more than 0"
        if isinstance(layers, list) and weights is not None and len(layers) != len(weights):
            yield f"init.layer_weights has {len(weights)} numbers for {len(layers)} layers"
        if self.compatibility == "reference" and self.reads_sentences:
            yield (
                "init.compatibility is reference, but the published code has no words in sentences; set "
                "init.context_sentences_per_step to 0"
            )

    @property
    def reads_sentences(self) -> bool:
        """Whether words are aligned in sentences."""
        return self.context_sentences_per_step > 0 and self.context_weight > 0

    @property
    def aligns_words(self) -> bool:
        """Whether words are aligned at all, alone or in sentences."""
        return self.alignment_weight > 0 or self.reads_sentences

"""Settings of `pretrain`: stage 2, training on running text, and how its input is code-switched."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from prealign.config.engine import OptimizerSettings
from prealign.config.fields import Count, Settings, Share


class SwitchingSettings(Settings):
    """Code-switching of the input (docs/method.md, 3)."""

    ratio: Share = 0.05
    """Share of eligible words replaced by a translation; 0 switches nothing."""
    language_ratios: dict[str, Share] = {}
    """Target language -> share of the words with a translation into it that are replaced by one; given, these take the
    place of `ratio`, and languages left out are not switched into."""
    run: Count = 1
    """Neighbouring eligible words that are switched or left together; more than 1 switches phrases."""
    labels: Literal["input_only", "both", "none"] = "input_only"
    """What the model is asked to predict where a word was switched: the original (the method), the switched text (a
    control), or nothing."""
    candidates: Literal["probability", "uniform", "best"] = "probability"
    """How one of several translations is chosen."""
    document_share: Share = 1.0
    """Share of the rows in which words are switched at all; the others stay untouched."""
    schedule: Literal["constant", "linear", "steps"] = "constant"
    """Course of the ratio over training: constant; linear to zero; or halved at each third."""

    @field_validator("language_ratios")
    @classmethod
    def _sum_to_a_share(cls, value: dict[str, float]) -> dict[str, float]:
        if sum(value.values()) > 1.0:
            raise ValueError(f"the ratios sum to {sum(value.values()):g}, and no more than every word can be switched")
        return value

    @property
    def total_ratio(self) -> float:
        """Share of the words switched, of those that every target language translates."""
        return sum(self.language_ratios.values()) if self.language_ratios else self.ratio


class PretrainSettings(Settings):
    """Stage 2: language-model pretraining with input-only code-switching."""

    max_steps: Count = 1000
    """Optimiser steps."""
    block_size: Annotated[int, Field(ge=8)] = 128
    """Tokens per row; used in stage 1's running text as well."""
    global_batch_rows: Count = 16
    """Rows per optimiser step over all ranks; the order of the data depends on it and on nothing else of the
    machine."""
    per_device_train_batch_size: Count = 16
    """Rows per forward pass on one device; the rest of the global batch is accumulated."""
    sampling_alpha: Share | None = None
    """Languages are read in proportion to their tokens to this power (XLM-R: 0.3; 1: as they are, 0: all alike); none:
    in proportion to `share`. Counts in stage 1's running text as well."""
    document_masking: bool = False
    """Documents in one row do not see each other: attention and positions begin anew at every end-of-document token.
    Counts in stage 1's running text as well."""
    whole_word_masking: bool = False
    """Masked language models hide all tokens of a word or none; in scripts without spaces every token counts as a word.
    Counts in stage 1's running text as well; validation hides single tokens in any case."""
    skip_steps: list[tuple[Count, Count]] = []
    """First and last step of stretches whose data is passed over, [[4901, 5100]]: these steps and all later ones read
    what comes after. An interrupted training takes new stretches that begin after the step it has reached."""
    switching: SwitchingSettings = SwitchingSettings()
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=3e-4)

    @field_validator("skip_steps")
    @classmethod
    def _stretches(cls, value: list[tuple[int, int]]) -> list[tuple[int, int]]:
        value = sorted(value)
        if faulty := [[first, last] for first, last in value if last < first]:
            raise ValueError(f"{faulty[0]} ends before it begins; a stretch is [first step, last step]")
        if touching := [[*a, *b] for a, b in pairwise(value) if b[0] <= a[1]]:
            raise ValueError("[{}, {}] and [{}, {}] overlap; name every step once".format(*touching[0]))
        return value

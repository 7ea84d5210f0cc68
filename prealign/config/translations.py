"""Settings of objectives over translation pairs: translation language modelling, sentence contrast (InfoXLM, AFP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from prealign.config.arms import PLANS, Arm
from prealign.config.dictionary import ParallelText
from prealign.config.fields import Count, Positive, Settings, Share, check_code

Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]


class TranslationPair(Settings):
    """Sentence pairs of two languages to train on."""

    source: str
    """BCP 47 code of the first column."""
    target: str
    """BCP 47 code of the second column."""
    parallel: list[ParallelText] = []
    """Parallel text: paths, or {path: ..., licence: ...}; formats as in `dictionary.pairs`. Not needed where the target
    is a clone."""

    @field_validator("source", "target")
    @classmethod
    def _code(cls, value: str) -> str:
        return check_code(value)


class ContrastSettings(Settings):
    """Contrast of sentences with their translations."""

    pairs_per_step: Annotated[int, Field(ge=0)] = 32
    """Pairs per optimiser step over all ranks; with keys: in_batch all of a rank's go through the device at once."""
    weight: Positive = 1.0
    """Weight of the loss beside that of running text."""
    keys: Literal["momentum", "in_batch"] = "momentum"
    """Where keys and negatives come from: a slow copy of the encoder and a queue (InfoXLM), or the batch (AFP)."""
    layer: Count = 8
    """Layer whose states are compared; 1 is the first block. InfoXLM takes 8 of 12, AFP an early one."""
    pooling: Literal["first", "mean", "last"] = "first"
    """The state of a sentence: that of its first token, of its last, or the mean over its tokens."""
    similarity: Literal["dot", "cosine"] = "dot"
    """How states are compared: as they are (InfoXLM's published code), or by cosine."""
    temperature: Positive = 0.25
    """Similarities are divided by it: 0.25 in InfoXLM's published code, 0.05 in AFP."""
    queue_size: Count = 131_072
    """Keys of earlier steps that are kept as negatives; filled before the first step."""
    momentum: Momentum = 0.9999
    """Share of itself that the slow copy keeps in a step: 0.9999 for InfoXLM's base model, 0.999 for the large one."""
    last_momentum: Momentum | None = None
    """That share at the last step; none: as at the first."""
    momentum_schedule: Literal["constant", "linear", "exponential"] = "constant"
    """The way from the first to the last momentum."""
    projection: bool = False
    """Compare a learnt linear map of the states instead of the states."""
    masked: bool = True
    """Hide tokens of the sentences as in masked language modelling; causal models read them as they are."""
    mixup: Share = 0.5
    """Share of the examples that join two pairs, in arms with mixup."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.last_momentum is None) != (self.momentum_schedule == "constant"):
            raise ValueError("last_momentum and a momentum_schedule other than constant go together")
        if self.keys == "in_batch" and self.projection:
            raise ValueError("projection belongs to keys: momentum")
        return self

    def mistakes(self, arms: Sequence[Arm]) -> Iterator[str]:
        """What does not fit together for arms that contrast sentences, a sentence each."""
        per_step, section = self.pairs_per_step, "translations.contrast"
        if not per_step:
            yield f"arm {arms[0]} contrasts sentences, but {section}.pairs_per_step is 0"
        if self.keys == "in_batch" and per_step == 1:
            yield f"{section}.keys is in_batch, but a step of one pair has nothing to tell a translation from"
        if self.keys == "in_batch" and "infoxlm" in arms:
            yield f"arm infoxlm joins pairs for a queue of keys, but {section}.keys is in_batch; take arm xlco"
        if self.keys == "momentum" and self.queue_size < per_step:
            yield (
                f"{section}.queue_size is {self.queue_size:,}, less than the {per_step:,} keys of a step "
                f"({section}.pairs_per_step)"
            )


class TranslationSettings(Settings):
    """Translation pairs that the arms tlm, xlco, infoxlm and pairs_as_text are trained on beside running text."""

    pairs: list[TranslationPair] = []
    """Language pairs with their parallel text."""
    max_sentence_pairs: Count | None = None
    """At most so many pairs of each language pair, chosen by hash; none: all."""
    sampling_alpha: Share = 0.7
    """Language pairs are read in proportion to their number of sentence pairs to this power."""
    tlm_pairs_per_step: Annotated[int, Field(ge=0)] = 16
    """Pairs per optimiser step, over all ranks, that are read as one sequence each, with the loss of the language model
    (in pairs_as_text: as two); 0: none."""
    tlm_weight: Positive = 1.0
    """Weight of that loss beside that of running text."""
    contrast: ContrastSettings = ContrastSettings()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [(pair.source, pair.target) for pair in self.pairs]
        if len(set(names)) < len(names):
            raise ValueError("a language pair is named twice; list its corpora under one `parallel`")
        return self

    def mistakes(self, arms: Sequence[Arm], clones: Mapping[str, str | None]) -> Iterator[str]:
        """What does not fit together, a sentence each.

        Args:
            arms: the recipe's arms.
            clones: the recipe's languages, each with the one that it is a clone of.
        """
        for pair in self.pairs:
            name = f"translations.pairs, {pair.source}-{pair.target}"
            if unknown := [code for code in (pair.source, pair.target) if code not in clones]:
                yield f"{name}: {', '.join(unknown)} is not among the languages"
            elif not pair.parallel and clones[pair.target] != pair.source:
                yield f"{name}: needs `parallel` text, since {pair.target} is no clone of {pair.source}"
        plans = {arm: PLANS[arm].translations for arm in arms if PLANS[arm].translations != "none"}
        if plans and not self.pairs:
            yield f"arm {next(iter(plans))} is trained on translation pairs, but translations.pairs names none"
        reading = [arm for arm, kind in plans.items() if kind in ("as text", "tlm")]
        if reading and not self.tlm_pairs_per_step:
            yield f"arm {reading[0]} reads translation pairs, but translations.tlm_pairs_per_step is 0"
        contrasting = [arm for arm, kind in plans.items() if kind in ("contrast", "mixup")]
        if contrasting:
            yield from self.contrast.mistakes(contrasting)

"""Settings of objectives over translation pairs: translation language modelling, sentence contrast (InfoXLM, AFP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from prealign.config.arms import PLANS, Arm
from prealign.config.dictionary import ParallelText
from prealign.config.fields import Count, Positive, Settings, Share, check_code
from prealign.config.init import ModelSettings

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
    """Compare a learnt linear map of the states, and tanh, instead of the states; for keys: momentum."""
    masked: bool = True
    """Hide tokens of the sentences as in masked language modelling; causal models read them as they are."""
    mixup: Share = 0.5
    """Share of the examples that join two pairs, in arms with mixup; all in InfoXLM's published code. The others are
    single sentences, as in tests of retrieval."""

    def mistake_of_layer(self, blocks: int) -> str | None:
        """What is wrong with the layer for a model of so many blocks, as a sentence."""
        if self.layer <= blocks:
            return None
        return (
            f"translations.contrast.layer is {self.layer}, but this model has blocks 1 to {blocks}. InfoXLM takes the "
            f"one two thirds of the way up, which is {max(1, round(blocks * 2 / 3))} here"
        )

    def mistakes(self, arms: Sequence[Arm], model: ModelSettings) -> Iterator[str]:
        """What does not fit together for arms that contrast sentences with this model, a sentence each."""
        per_step, section = self.pairs_per_step, "translations.contrast"
        if not per_step:
            yield f"arm {arms[0]} contrasts sentences, but {section}.pairs_per_step is 0"
        if (self.last_momentum is None) != (self.momentum_schedule == "constant"):
            yield f"{section}.last_momentum and a momentum_schedule other than constant go together"
        if self.keys == "in_batch" and self.projection:
            yield f"{section}.projection belongs to keys: momentum"
        if self.keys == "in_batch" and per_step == 1:
            yield f"{section}.keys is in_batch, but a step of one pair has nothing to tell a translation from"
        if "infoxlm" in arms:
            if self.keys == "in_batch":
                yield f"arm infoxlm joins pairs for a queue of keys, but {section}.keys is in_batch; take arm xlco"
            if not self.mixup:
                yield f"arm infoxlm joins pairs, but {section}.mixup is 0, which makes it arm xlco"
        if model.blocks is not None and (mistake := self.mistake_of_layer(model.blocks)):
            yield mistake
        if model.kind == "causal_lm" and self.pooling == "first":
            yield (
                f"{section}.pooling is first, but the first token of a causal LM knows nothing of the sentence behind "
                "it; take mean or last"
            )
        if self.keys == "momentum" and self.queue_size < per_step:
            yield (
                f"{section}.queue_size is {self.queue_size:,}, less than the {per_step:,} keys of a step "
                f"({section}.pairs_per_step)"
            )


class TranslationSettings(Settings):
    """Translation pairs that arms are trained on beside running text: tlm, xlco, infoxlm, pairs_as_text and
    words_and_sentences."""

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

    def mistakes(self, arms: Sequence[Arm], clones: Mapping[str, str | None], model: ModelSettings) -> Iterator[str]:
        """What does not fit together, a sentence each.

        Args:
            arms: the recipe's arms.
            clones: the recipe's languages, each with the one that it is a clone of.
            model: the recipe's.
        """
        for place, pair in enumerate(self.pairs):
            name = f"translations.pairs, {pair.source}-{pair.target}"
            if (pair.source, pair.target) in [(other.source, other.target) for other in self.pairs[:place]]:
                yield f"{name} is named twice; list its corpora under one `parallel`"
            if pair.source == pair.target:
                yield f"{name}: a pair has two languages"
            elif unknown := [code for code in (pair.source, pair.target) if code not in clones]:
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
            yield from self.contrast.mistakes(contrasting, model)

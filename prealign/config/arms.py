"""The arms of an experiment as a table: which start, which input, when words are aligned, which sentence pairs.

All arms read the same running text for the same number of steps; those that are aligned get the same batches of
words, and those with sentence pairs the same pairs. So two rows of this table differ in what their columns say and in
nothing else.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Arm = Literal[
    "joint", "prealign", "init_only", "switching_only", "during", "after", "both_sides", "full_alignment",
    "pairs_as_text", "tlm", "xlco", "infoxlm", "words_and_sentences",
]  # fmt: skip
Pairs = Literal["none", "as text", "tlm", "contrast", "mixup"]


class Plan(NamedTuple):
    """What happens to one arm."""

    start: Literal["aligned", "control", "one_vocabulary"]
    """Its start: stage 1 with the alignment loss, or the same running text without it; `one_vocabulary` reads that text
    with one id for a piece and its clone, and so does the arm."""
    switching: Literal["none", "as set", "both"]
    """Code-switched pretraining: none, as `pretrain.switching` says, or with switched labels as well as inputs."""
    alignment: Literal["none", "during", "after"] = "none"
    """Whether `pretrain` brings the batches of words that the start went without: spread evenly over its steps, or in
    its last steps."""
    translations: Pairs = "none"
    """What `pretrain` does with translation pairs beside its text: reads each sentence alone; reads both sentences of a
    pair as one sequence (tlm); also contrasts sentences with their translations; and joins two pairs there (mixup)."""


PLANS: dict[Arm, Plan] = {
    "joint": Plan("control", "none"),
    "prealign": Plan("aligned", "as set"),
    "init_only": Plan("aligned", "none"),
    "switching_only": Plan("control", "as set"),
    "during": Plan("control", "none", "during"),
    "after": Plan("control", "none", "after"),
    "both_sides": Plan("aligned", "both"),
    "full_alignment": Plan("one_vocabulary", "none"),
    "pairs_as_text": Plan("control", "none", translations="as text"),
    "tlm": Plan("control", "none", translations="tlm"),
    "xlco": Plan("control", "none", translations="contrast"),
    "infoxlm": Plan("control", "none", translations="mixup"),
    "words_and_sentences": Plan("control", "none", "during", "contrast"),
}
"""`init_only`, `during` and `after` are the study of when to align: before, while or after the language is learnt.
`both_sides` is `prealign` with a model that is asked to predict mixed text. `full_alignment` is `joint` with a perfect
alignment given for nothing, which only a cloned language can have: the upper bound. `tlm`, `xlco` and `infoxlm` add one
objective over translation pairs each; `pairs_as_text` reads the sentences of `tlm` and does not know which belong
together, so that it is its control where `joint` is that of all. `words_and_sentences` is `xlco` and `during` in
one."""

FOUR_ARMS: tuple[Arm, ...] = ("joint", "prealign", "init_only", "switching_only")
"""What `--arms all` means: the method, its two halves, and neither."""

"""How arms look: one colour and one dash for each, the same on every page.

On a page that compares runs an arm is named "run/arm"; its colour then says which arm it is, its dash which run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Look(NamedTuple):
    """Colour and dash of a line."""

    colour: int
    """Number of a colour: `--c0`, `--c1`, ... in the page's style sheet, `COLOURS` in the PNG files."""
    dash: str
    """Lengths of strokes and gaps as in SVG; empty for a solid line."""


ARM_COLOURS = {
    "joint": 0,
    "prealign": 1,
    "init_only": 2,
    "switching_only": 3,
    "during": 4,
    "after": 5,
    "both_sides": 6,
    "full_alignment": 7,
    "pairs_as_text": 12,
    "tlm": 13,
    "xlco": 14,
    "infoxlm": 15,
    "words_and_sentences": 16,
}
OTHER_COLOURS = (8, 9, 10, 11)
"""For names that are not in the table of arms, in turn: models from elsewhere, such as a/model and b/model."""
ARM_DASHES = (
    "7 4", "", "2 4", "9 3 2 3", "4 2", "2.5 1.5", "12 3", "5 2 1 2", "3 3", "10 4", "6 2", "2 2", "8 2 2 2", "3 2",
    "14 4", "10 2 2 2 2 2", "6 3 1 3",
)  # fmt: skip
"""Dash of each colour, for readers who do not tell the colours apart."""
RUN_DASHES = ("", "7 4", "2 4", "9 3 2 3", "4 2", "12 3", "5 2 1 2")
"""Dash of each run where several are compared."""
COLOURS = (
    "#6b6b76",
    "#0062b8",
    "#e86e00",
    "#009a72",
    "#c45bb0",
    "#7a6a00",
    "#7c0f22",
    "#16242e",
    "#7d5fd0",
    "#3f93b8",
    "#9b7653",
    "#5f7f2f",
    "#682c00",
    "#a66c4e",
    "#9016fa",
    "#d1680a",
    "#05011d",
)
"""The light colours of the style sheet. Chosen so that the eight arms of words stay apart with protanopia, deuteranopia
and tritanopia as well (simulated after Machado et al. 2009: the nearest two are 13 apart in CIE Lab, dark colours 16).
So do the arms of sentence pairs with joint and prealign (26 apart, dark colours 26); beside other arms of words their
dashes tell them."""


def looks(arms: Sequence[str]) -> dict[str, Look]:
    """Colour and dash of every arm of a page."""
    runs = list(dict.fromkeys(run_of(arm) for arm in arms))
    others = [arm for arm in dict.fromkeys(arms) if plan_of(arm) not in ARM_COLOURS]
    found = {}
    for arm in arms:
        plan = plan_of(arm)
        colour = ARM_COLOURS[plan] if plan in ARM_COLOURS else OTHER_COLOURS[others.index(arm) % len(OTHER_COLOURS)]
        dash = RUN_DASHES[runs.index(run_of(arm)) % len(RUN_DASHES)] if len(runs) > 1 else ARM_DASHES[colour]
        found[arm] = Look(colour, dash)
    return found


def plan_of(arm: str) -> str:
    """The arm itself: joint of quickstart/joint."""
    return arm.rpartition("/")[2]


def run_of(arm: str) -> str:
    """The run of an arm: quickstart of quickstart/joint, nothing where there is one run."""
    return arm.rpartition("/")[0]


def arm_name(arm: str) -> str:
    """An arm's name in a sentence."""
    return arm.replace("_", " ")

"""Arms keep their look on every page."""

from __future__ import annotations

from prealign.config.arms import PLANS
from prealign.report.arms import ARM_COLOURS, ARM_DASHES, COLOURS, OTHER_COLOURS, RUN_DASHES, looks


def test_every_arm_of_the_recipe_has_a_colour_of_its_own():
    assert set(PLANS) <= set(ARM_COLOURS)
    numbers = [*ARM_COLOURS.values(), *OTHER_COLOURS]
    assert sorted(numbers) == list(range(len(COLOURS)))
    assert len(set(COLOURS)) == len(COLOURS) == len(ARM_DASHES)


def test_arms_look_the_same_whoever_stands_beside_them():
    assert looks(["prealign", "joint"])["joint"] == looks(["joint", "mine"])["joint"] == (0, "7 4")


def test_other_names_take_the_other_colours_in_turn():
    found = looks(["mine", "joint", "other"])
    assert [found[arm].colour for arm in found] == [8, 0, 9]


def test_of_several_runs_the_colour_tells_the_arm_and_the_dash_the_run():
    found = looks(["a/joint", "a/prealign", "b/joint", "b/mine"])
    assert [look.colour for look in found.values()] == [0, 1, 0, 8]
    assert [look.dash for look in found.values()] == [RUN_DASHES[0], RUN_DASHES[0], RUN_DASHES[1], RUN_DASHES[1]]


def test_models_trained_elsewhere_have_colours_of_their_own():
    found = looks(["a/model", "b/model", "b/joint"])
    assert [look.colour for look in found.values()] == [8, 9, 0]

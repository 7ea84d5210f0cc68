"""From rows to charts."""

from __future__ import annotations

import pytest

from prealign.config.arms import PLANS
from prealign.report import curves
from prealign.report.figures import DASHES
from prealign.report.png import COLOURS


def test_bits_charts(metrics):
    en, clone = curves.bits_charts(metrics)
    assert (en.title, clone.title) == ("en", "en-x-clone")
    assert [one.name for one in en.series] == ["joint", "prealign"]
    assert en.series[0].points == [(1000, 4.0), (3000, 3.0), (5000, 2.5)]
    assert clone.series[1].points == [(1000, 5.0), (3000, 4.0), (5000, 3.5)]
    assert en.border == ("end of stage 1", 1000)


def test_course_of_retrieval_is_the_mean_over_layers(metrics, arms):
    (chart,) = curves.retrieval_course_charts(metrics, arms)
    assert chart.title == "en–en-x-clone"
    assert [y for _, y in chart.series[1].points] == pytest.approx([0.6 + 0.1 / 3] * 3)
    assert chart.level == ("chance", 0.01)


def test_course_of_cosines(metrics):
    for row in metrics["prealign"]:
        row["word_cosine"] = {"en--en-x-clone": {"held_out": [0.2, 0.4, 0.3], "trained": [0.9, 0.9, 0.9]}}
    (chart,) = curves.cosine_charts(metrics)
    joint, prealign = chart.series
    assert joint.points == []
    assert [y for _, y in prealign.points] == pytest.approx([0.3] * 3)


def test_heat_maps_have_a_column_per_measurement_a_row_per_layer_and_one_scale(metrics):
    joint, prealign = curves.heat_maps(metrics)
    assert joint.title == "joint, en–en-x-clone"
    assert joint.columns == ["1k", "3k", "5k"]
    assert joint.rows == ["in", "1", "out"]
    assert joint.values == [[0.2] * 3, [pytest.approx(0.3)] * 3, [0.2] * 3]
    assert joint.top == prealign.top == pytest.approx(0.7)
    assert joint.border == ("end of stage 1", 1)


def test_heat_maps_of_long_runs_are_thinned_and_single_measurements_left_out(metrics):
    found = [row for row in metrics["joint"] if row["kind"] == "eval"]
    many = [{**found[-1], "lm_tokens": 1000 * number} for number in range(500)]
    (heat,) = curves.heat_maps({"joint": many, "prealign": found[:1]})
    assert len(heat.columns) == len(heat.values[0]) == curves.MOST_COLUMNS
    assert (heat.columns[0], heat.columns[-1]) == ("0", "499k")


def test_layers_at_three_moments_with_one_scale(metrics, arms):
    start = {"kind": "eval", "stage": "init", "step": 0, "lm_tokens": 0}
    metrics["prealign"].insert(0, start | {"word_retrieval": {"en--en-x-clone": {"held_out": [0.01, 0.02, 0.01]}}})
    joint, prealign = curves.layer_charts(metrics, arms, "held_out")
    assert [one.name for one in joint.series] == ["after stage 1", "at the end"]
    assert [one.name for one in prealign.series] == ["at the start", "after stage 1", "at the end"]
    assert prealign.series[2].points == list(
        enumerate(arms["prealign"]["word_retrieval"]["en--en-x-clone"]["held_out"]["p_at_1"])
    )
    assert joint.y_range() == prealign.y_range()
    assert prealign.x_names == {0.0: "in", 2.0: "out"}


def test_nothing_measured_is_nothing_drawn(arms):
    rows = {"joint": [{"kind": "train", "stage": "init", "step": 1, "lm_tokens": 5}], "prealign": []}
    assert curves.bits_charts(rows) == []
    assert curves.retrieval_course_charts(rows, arms) == []
    assert curves.layer_charts(rows, {"joint": {}}, "held_out") == []
    assert curves.sentence_charts(arms) == []


def test_sentences():
    (chart,) = curves.sentence_charts(
        {"joint": {"sentence_retrieval": {"tatoeba en--de": {"mexa": [0.1, 0.5]}}}, "prealign": {}}
    )
    assert chart.title == "tatoeba en–de"
    assert chart.series[0].points == [(0, 0.1), (1, 0.5)]


def test_arms_keep_their_colours_and_unknown_ones_get_others():
    arms = ["mine", "joint", "prealign", "other"]
    assert [curves.arm_style(arm, arms) for arm in arms] == [10, 0, 1, 11]


def test_every_arm_of_the_recipe_has_a_colour_of_its_own():
    assert set(curves.ARM_STYLES) == set(PLANS)
    assert len({*curves.ARM_STYLES.values(), *curves.OTHER_STYLES, *curves.MOMENT_STYLES.values()}) == 12
    assert len(DASHES) == len(COLOURS) == 12

"""From rows to charts over training."""

from __future__ import annotations

import pytest

from prealign.report import curves


def test_bits_per_byte_is_a_mean_over_seeds_with_a_band(metrics):
    en, de = curves.text_charts(metrics, "bits_per_byte", "bits per byte")
    assert (en.title, de.title) == ("en", "de")
    assert [one.name for one in en.series] == ["joint", "init_only", "prealign"]
    assert en.series[0].points == [(1000, 4.0), (3000, 3.0), (5000, 2.5)]
    assert en.series[0].band == [(1000, 3.875, 4.125), (3000, 2.875, 3.125), (5000, 2.375, 2.625)]
    assert de.series[1].points == [(1000, 5.0), (3000, 4.0), (5000, 3.5)]
    assert en.border == ("end of stage 1", 1000)


def test_course_of_retrieval_is_the_mean_over_layers(metrics):
    (chart,) = curves.retrieval_charts(metrics, {"en--de": 0.01})
    assert chart.title == "en–de"
    assert [y for _, y in chart.series[2].points] == pytest.approx([0.6 + 0.1 / 3] * 3)
    assert chart.level == ("chance", 0.01)
    (without,) = curves.retrieval_charts(metrics, {})
    assert without.level is None


def test_course_of_cosines(metrics):
    for rows in metrics["prealign"].values():
        for row in rows:
            row["word_cosine"] = {"en--de": {"held_out": [0.2, 0.4, 0.3], "trained": [0.9, 0.9, 0.9]}}
    (chart,) = curves.held_out_charts(metrics, "word_cosine", "mean cosine")
    joint, _, prealign = chart.series
    assert joint.points == []
    assert [y for _, y in prealign.points] == pytest.approx([0.3] * 3)


def test_heat_maps_have_a_column_per_measurement_a_row_per_layer_and_one_scale(metrics):
    metrics["joint"][3][1]["word_retrieval"]["en--de"]["held_out"] = [0.8, 0.3, 0.2]
    joint, _, prealign = curves.heat_maps(metrics)
    assert joint.title == "joint, en–de"
    assert joint.columns == ["1k", "3k", "5k"]
    assert joint.rows == ["in", "1", "out"]
    assert joint.values[0] == pytest.approx([0.4, 0.2, 0.2])  # the mean of 0.2, 0.2 and 0.8
    assert joint.values[1:] == [pytest.approx([0.3] * 3), pytest.approx([0.2] * 3)]
    assert joint.top == prealign.top == pytest.approx(0.7)
    assert joint.border == ("end of stage 1", 1)


def test_heat_maps_of_long_runs_are_thinned_and_single_measurements_left_out(metrics):
    found = [row for row in metrics["joint"][1] if row["kind"] == "eval"]
    many = [{**found[-1], "step": number, "lm_tokens": 1000 * number} for number in range(500)]
    (heat,) = curves.heat_maps({"joint": {1: many}, "prealign": {1: found[:1]}})
    assert len(heat.columns) == len(heat.values[0]) == curves.MOST_COLUMNS
    assert (heat.columns[0], heat.columns[-1]) == ("0", "499k")


def test_nothing_measured_is_nothing_drawn():
    metrics = {"joint": {1: [{"kind": "train", "stage": "init", "step": 1, "lm_tokens": 5}]}, "prealign": {}}
    assert curves.text_charts(metrics, "bits_per_byte", "bits per byte") == []
    assert curves.retrieval_charts(metrics, {}) == curves.heat_maps(metrics) == []
    assert curves.held_out_charts(metrics, "word_cosine", "mean cosine") == []

"""Measures by layer at the end."""

from __future__ import annotations

import pytest

from prealign.report.layers import sentence_charts, word_charts


def words(*layers: float, chance: float = 0.01):
    return {"summary": {"chance": chance}, "p_at_1": list(layers)}


def test_words_by_layer():
    scores = {
        "joint": [{"en--de": {"held_out": words(0.1, 0.2, 0.1), "muse": words(0.0, 0.1, 0.0, chance=0.5)}}],
        "prealign": [{"en--de": {"held_out": words(0.1, 0.8, 0.4)}}, {"en--de": {"held_out": words(0.3, 0.6, 0.4)}}],
    }
    held_out, muse = word_charts(scores)
    assert (held_out.title, muse.title) == ("en–de, held out", "en–de, muse")
    assert (held_out.level, muse.level) == (("chance", 0.01), ("chance", 0.5))
    joint, prealign = held_out.series
    assert joint.points == [(0, 0.1), (1, 0.2), (2, 0.1)]
    assert joint.band == []
    assert [y for _, y in prealign.points] == pytest.approx([0.2, 0.7, 0.4])
    assert prealign.band == [(0, 0.1, 0.3), (1, 0.6, 0.8), (2, 0.4, 0.4)]
    assert [one.name for one in muse.series] == ["joint"]
    assert held_out.x_names == {0.0: "in", 2.0: "out"}
    assert held_out.top == muse.top == 0.8


def test_sentences_by_layer_and_way_of_pooling():
    def pooled(*layers: float):
        return {"summary": {"mexa_chance": 0.02}, "mexa": list(layers)}

    tatoeba = pooled(0.1, 0.5) | {"poolings": {"last": pooled(0, 0)}}
    mean, last = sentence_charts({"joint": [{"tatoeba en--de": tatoeba}]})
    assert (mean.title, last.title) == ("tatoeba en–de, mean", "tatoeba en–de, last")
    assert mean.series[0].points == [(0, 0.1), (1, 0.5)]
    assert mean.level == ("chance", 0.02)


def test_nothing_measured_is_nothing_drawn():
    assert word_charts({"joint": [{}], "prealign": []}) == sentence_charts({}) == []


def test_models_of_other_depth_and_tests_with_other_chances_are_not_drawn_as_one():
    scores = {
        "a/joint": [{"en--de": {"held_out": words(0.1, 0.2, 0.1)}}],
        "b/joint": [{"en--de": {"held_out": words(0.1, 0.2, 0.3, 0.1, chance=0.02)}}],
    }
    (chart,) = word_charts(scores)
    assert chart.level is None
    assert chart.x_names == {0.0: "in"}
    assert chart.x_label == "layer; each line ends with the output rows"

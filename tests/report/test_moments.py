"""Several seeds as one line."""

from __future__ import annotations

from prealign.report.arms import Look
from prealign.report.moments import line, mean_of_lists, moments

LOOK = Look(1, "")


def row(step: int, value: float | None, lm_tokens: float | None = None, stage: str = "pretrain"):
    seen = 100 * step if lm_tokens is None else lm_tokens
    return {"kind": "eval", "stage": stage, "step": step, "lm_tokens": seen, "value": value}


def pick(found):
    return found["value"]


def test_a_line_is_the_mean_and_its_band_goes_from_the_lowest_to_the_highest_seed():
    seeds = {1: [row(0, 5.0), row(10, 2.0)], 2: [row(0, 5.0), row(10, 4.0)], 3: [row(0, 5.0), row(10, 3.0)]}
    found = line("joint", LOOK, moments(seeds), pick)
    assert found.points == [(0, 5.0), (1000, 3.0)]
    assert found.band == [(0, 5.0, 5.0), (1000, 2.0, 4.0)]


def test_one_seed_has_no_band():
    assert line("joint", LOOK, moments({1: [row(0, 5.0), row(10, 2.0)]}), pick).band == []


def test_only_what_all_seeds_measured_is_drawn():
    """A seed whose stage 1 stopped early lacks a step of it, one that was not trained lacks all."""
    seeds = {
        1: [row(0, 9.0, stage="init"), row(10, 8.0, stage="init"), row(0, 5.0)],
        2: [row(0, 7.0, stage="init"), row(0, 3.0)],
        3: [],
    }
    course = moments(seeds)
    assert [(moment.stage, moment.step) for moment in course] == [("init", 0), ("pretrain", 0)]
    assert line("joint", LOOK, course, pick).points == [(0, 8.0), (0, 4.0)]


def test_a_measure_that_one_seed_lacks_or_that_is_no_number_is_not_drawn_there():
    seeds = {1: [row(0, 5.0), row(10, None), row(20, 1.0)], 2: [row(0, 3.0), row(10, 4.0), row(20, float("nan"))]}
    assert line("joint", LOOK, moments(seeds), pick).points == [(0, 4.0)]


def test_tokens_are_means_too_and_training_rows_are_no_measurements():
    seeds = {1: [row(10, 5.0, 990)], 2: [row(10, 3.0, 1010), {"kind": "train", "stage": "pretrain", "step": 20}]}
    assert [moment.lm_tokens for moment in moments(seeds)] == [1000]
    assert moments({}) == moments({1: []}) == []


def test_means_by_layer():
    assert mean_of_lists([[0.0, 1.0], [0.5, 0.0]]) == [0.25, 0.5]

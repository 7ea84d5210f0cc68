"""A small run in numbers: two arms, one pair of languages, rows as the training loop writes them."""

from __future__ import annotations

from typing import Any

import pytest

PAIR = "en--en-x-clone"


def summary(p_at_1: float) -> dict[str, Any]:
    best = {"best_layer": 1, "best_layer_p_at_1": p_at_1 + 0.1}
    return {"p_at_1": p_at_1, "chance": 0.01, "n_source": 100, "n_target": 100, **best}


def arm(en: float, clone: float, p_at_1: float) -> dict[str, Any]:
    test = {"summary": summary(p_at_1), "p_at_1": [p_at_1 - 0.1, p_at_1 + 0.1, p_at_1]}
    return {
        "bits_per_byte": {"en": {"value": en}, "en-x-clone": {"value": clone}},
        "word_retrieval": {PAIR: {"held_out": test}},
        "sentence_retrieval": {},
        "lm_tokens": {"init": 1000, "pretrain": 4000},
        "seconds": {"init": 2.0, "pretrain": 8.0},
    }


def rows(p_at_1: float, switched: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for stage, step, seen, bits in (("init", 10, 1000, 4.0), ("pretrain", 20, 3000, 3.0), ("pretrain", 40, 5000, 2.5)):
        counts = {"n_eligible": 400, "n_switched": 19, "n_cut": 8} if switched and stage == "pretrain" else {}
        common = {"stage": stage, "step": step, "lm_tokens": seen}
        found.append({"kind": "train", **common, "loss": {"lm": bits}, **counts, "timing": {"seconds": step / 5}})
        words = {PAIR: {"held_out": [p_at_1, p_at_1 + 0.1, p_at_1]}}
        found.append(
            {"kind": "eval", **common, "bits_per_byte": {"en": bits, "en-x-clone": bits + 1}, "word_retrieval": words}
        )
    return found


@pytest.fixture
def arms() -> dict[str, dict[str, Any]]:
    return {"joint": arm(2.0, 3.0, 0.2), "prealign": arm(2.004, 2.7, 0.6)}


@pytest.fixture
def metrics() -> dict[str, list[dict[str, Any]]]:
    return {"joint": rows(0.2, switched=False), "prealign": rows(0.6, switched=True)}

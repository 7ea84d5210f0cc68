"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prealign.evaluation.statistics import compare, models_of

SHARED_DATA = Path(os.environ.get("PREALIGN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands send the package's messages to stderr; that ends with the test that ran one."""
    logger = logging.getLogger("prealign")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], level, logger.propagate = before
    logger.setLevel(level)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real corpora and gold sets; tests that want it are skipped where it is absent."""
    if not (SHARED_DATA / "MANIFEST.tsv").is_file():
        pytest.skip(f"the real corpora are not at {SHARED_DATA} (set PREALIGN_TEST_DATA to their folder)")
    return SHARED_DATA


# task, name, of, better, form, chance, headline, then the values of joint, init_only and prealign with seeds 1, 2, 3
MEASURED = [
    ("bits_per_byte", "bits/byte", "de", "lower", "number", None, True,
     [2.575, 2.581, 2.570], [2.560, 2.567, 2.557], [2.531, 2.535, 2.526]),
    ("bits_per_byte", "bits/byte", "en", "lower", "number", None, True,
     [2.355, 2.351, 2.358], [2.352, 2.357, 2.355], [2.357, 2.349, 2.359]),
    ("word_retrieval", "P@1 words", "en–de held out", "higher", "share", 0.0014, True,
     [0.032, 0.030, 0.035], [0.152, 0.149, 0.153], [0.291, 0.288, 0.295]),
    ("word_retrieval", "P@5 words", "en–de held out", "higher", "share", 0.0068, False,
     [0.052, 0.050, 0.054], [0.252, 0.249, 0.253], [0.391, 0.388, 0.395]),
    ("transfer topics", "accuracy", "de", "higher", "share", 0.25, True,
     [0.262, 0.241, 0.255], [0.258, 0.246, 0.262], [0.270, 0.244, 0.251]),
]  # fmt: skip


@pytest.fixture
def results() -> dict[str, Any]:
    """A results.json of three arms and three seeds: German and word retrieval gain, English and transfer do not."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for place, arm in enumerate(("joint", "init_only", "prealign")):
        arms[arm] = []
        for seed in (1, 2, 3):
            tasks: dict[str, dict[str, Any]] = {}
            for task, name, of, better, form, chance, headline, *values in MEASURED:
                value = values[place][seed - 1]
                part = tasks.setdefault(task, {"scores": {}, "measures": []})
                part["scores"][of] = {"value": value}
                part["measures"].append(
                    {
                        "task": task, "name": name, "of": of, "value": value, "better": better, "form": form,
                        "test": of, "chance": chance, "headline": headline, "note": f"how {name} was measured.",
                        "signature": f"{of}|n:400",
                    }
                )  # fmt: skip
            arms[arm].append(
                {
                    "seed": seed,
                    "lm_tokens": {"init": 204_800, "pretrain": 819_200},
                    "seconds": {"init": 76.0, "pretrain": 266.0, "eval": 31.0},
                    "flops": {"init": 1.2e12, "pretrain": 4.1e12},
                    "parameters": 2_400_000,
                    "tasks": tasks,
                }
            )
    found = {"format": 2, "seeds": [1, 2, 3], "baseline": "joint", "arms": arms}
    rows = compare(models_of(found), "joint")
    return found | {"comparison": [row.as_dict() for row in rows], "dictionaries": {}, "store": "a359", "versions": {}}

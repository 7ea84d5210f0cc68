"""Rows for the loop: computed, switched in the source language only, full blocks, the same for any split over ranks."""

from __future__ import annotations

import numpy as np
import pytest

from prealign.config.recipe import read_recipe
from prealign.stages.running_text import RunningText
from prealign.stages.training import Materials

STEPS = 40


@pytest.fixture(scope="module")
def materials(finished_run) -> Materials:
    folder, _ = finished_run
    return Materials(read_recipe(folder))


def text(materials: Materials, **options) -> RunningText:
    return RunningText(materials.store, materials.recipe, rows_per_step=4, **options)


@pytest.mark.slow
def test_only_rows_of_the_source_language_are_switched_and_blocks_stay_full(materials):
    plain, switching = text(materials), text(materials, table=materials.table)
    changed = {"en": 0, "en-x-clone": 0}
    for step in range(STEPS):
        for before, after in zip(plain.micro_batches(step), switching.micro_batches(step)):
            assert before["examples"] == after["examples"]
            assert after["input_ids"].shape == before["input_ids"].shape
            for place, sample in enumerate(after["examples"]):
                changed[sample.stream] += int((before["input_ids"][place] != after["input_ids"][place]).any())
    assert changed["en"] > STEPS
    assert changed["en-x-clone"] == 0


@pytest.mark.slow
def test_a_step_is_the_same_whenever_it_is_asked_for(materials):
    one, other = text(materials, table=materials.table), text(materials, table=materials.table)
    one.micro_batches(0)
    for a, b in zip(one.micro_batches(7), other.micro_batches(7)):
        assert (a["input_ids"] == b["input_ids"]).all()
        assert (a["labels"] == b["labels"]).all()


@pytest.mark.slow
def test_the_second_stage_reads_on_where_the_first_stopped(materials):
    first, second = text(materials), text(materials, first_sample=4 * 5)
    assert [b["examples"] for b in first.micro_batches(5)] == [b["examples"] for b in second.micro_batches(0)]


@pytest.mark.slow
def test_labels_at_switched_words_are_original_tokens_or_nothing(materials):
    batches = [b for step in range(STEPS) for b in text(materials, table=materials.table).micro_batches(step)]
    ids, labels = (np.concatenate([b[name].numpy() for b in batches]) for name in ("input_ids", "labels"))
    english = [sample.stream == "en" for batch in batches for sample in batch["examples"]]
    differing = (ids != labels) & np.array(english)[:, None]
    clone = materials.tokenizer.convert_ids_to_tokens(ids[differing].tolist())
    original = materials.tokenizer.convert_ids_to_tokens([token for token in labels[differing].tolist() if token >= 0])
    assert any("Ա" <= letter <= "և" for letter in "".join(clone))  # Armenian letters write the clone
    assert not any("Ա" <= letter <= "և" for letter in "".join(original))

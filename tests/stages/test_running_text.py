"""Rows for the loop: computed, switched in the source language only, full blocks, the same for any split over ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from prealign import ranks
from prealign.config.recipe import read_recipe
from prealign.errors import PrealignError
from prealign.objectives.causal_lm import CausalLM
from prealign.stages.materials import Materials
from prealign.stages.running_text import RunningText, document_positions

STEPS = 40
END = 2


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
def test_fewer_rows_than_processes_are_refused(materials, monkeypatch):
    monkeypatch.setattr(ranks, "world_size", lambda: 5)
    with pytest.raises(PrealignError, match="A step of 4 rows has none for some of the 5 processes"):
        text(materials)


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


def test_positions_begin_anew_at_the_end_token_of_the_document_before():
    ids = np.array([[5, 6, END, 7, 8, END, END, 9], [END, 5, 6, 7, 8, 9, 5, END], [5, 5, 5, 5, 5, 5, 5, 5]])
    found = document_positions(ids, END)
    assert found.tolist() == [[0, 1, 0, 1, 2, 0, 0, 1], [0, 1, 2, 3, 4, 5, 6, 0], [0, 1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_masked_documents_count_as_they_do_apart(architecture):
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 40}
    config = {"llama": LlamaConfig(**sizes, intermediate_size=24), "gpt2": GPT2Config(**sizes)}[architecture]
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval()
    for parameter in model.parameters():
        parameter.data *= 5.0  # at initial size, attention is a small share of the states
    rows = np.array([[5, 6, END, 7, 8, 9, END, 11, 12, 13], [END, 14, 15, 16, END, 17, END, 18, 19, 20]])
    apart = [[5, 6, END], [END, 7, 8, 9, END], [END, 11, 12, 13], [END, 14, 15, 16, END], [END, 17, END],
             [END, 18, 19, 20]]  # fmt: skip
    ids, positions = torch.from_numpy(rows), torch.from_numpy(document_positions(rows, END))
    together = {"input_ids": ids, "labels": ids, "position_ids": positions}
    alone = [{"input_ids": torch.tensor([one]), "labels": torch.tensor([one])} for one in apart]
    objective = CausalLM()
    assert objective.count(together) == sum(map(objective.count, alone))

    def gradients(batches):
        loss = sum(objective.loss_sum(model, batch) for batch in batches)
        return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    for one, other in zip(gradients([together]), gradients(alone), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
    plain = objective.loss_sum(model, {"input_ids": ids, "labels": ids})
    assert abs(plain - gradients(alone)[0]) > 0.1, "without masking documents do see each other"


@pytest.mark.slow
def test_positions_follow_the_ids_that_were_switched(materials):
    recipe = materials.recipe
    masked = recipe.model_copy(update={"pretrain": recipe.pretrain.model_copy(update={"document_masking": True})})
    masking = RunningText(materials.store, masked, rows_per_step=4, table=materials.table)
    ends = 0
    for step in range(STEPS):
        for plain, batch in zip(
            text(materials, table=materials.table).micro_batches(step), masking.micro_batches(step)
        ):
            ids = batch["input_ids"]
            assert (ids == plain["input_ids"]).all()
            is_end = ids[:, 1:] == materials.tokenizer.eos_token_id
            assert (batch["position_ids"][:, 0] == 0).all()
            assert ((batch["position_ids"][:, 1:] == 0) == is_end).all()
            ends += int(is_end.sum())
    assert ends > STEPS


@pytest.mark.slow
def test_skipped_data_is_never_read_and_all_else_in_order(materials):
    plain, skipping = text(materials), text(materials, skip_steps=[(3, 4), (6, 6)])
    read = [[b["examples"] for b in skipping.micro_batches(step)] for step in range(6)]
    assert read == [[b["examples"] for b in plain.micro_batches(step)] for step in (0, 1, 4, 5, 6, 8)]


@pytest.mark.slow
def test_shares_come_from_sizes_where_alpha_is_given(materials):
    recipe = materials.recipe
    languages = {code: language.model_copy(update={"share": 1.0}) for code, language in recipe.languages.items()}
    shares = []
    for alpha in (1.0, 0.0):
        pretrain = recipe.pretrain.model_copy(update={"sampling_alpha": alpha})
        changed = recipe.model_copy(update={"pretrain": pretrain, "languages": languages})
        shares.append(RunningText(materials.store, changed, rows_per_step=4).mixture.shares)
    sizes = [len(materials.store.stream(code, "train")) for code in ("en", "en-x-clone")]
    assert list(shares[0].values()) == pytest.approx([size / sum(sizes) for size in sizes])
    assert list(shares[1].values()) == [0.5, 0.5]

"""The alignment loss against values worked out by hand and against loops over pairs of words."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedModel

from prealign.errors import PrealignError
from prealign.objectives.word_alignment import (
    Positives,
    WordAlignment,
    anchors,
    mean_cosine,
    word_alignment_loss,
    word_batch,
    word_states,
)

X, Y, Z = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def loops(states: Tensor, groups: list[int], forms: list[int], temperature: float, positives: str) -> float:
    """The formula of the module's head, word by word, in float64."""
    unit = torch.nn.functional.normalize(states.double(), dim=-1)
    total = 0.0
    for layer in unit:
        for i in range(len(groups)):
            members = {forms[k] for k in range(len(groups)) if groups[k] == groups[i]}
            good = [k for k in range(len(groups)) if groups[k] == groups[i] and forms[k] != forms[i]]
            bad = [k for k in range(len(groups)) if groups[k] != groups[i] and forms[k] not in members]
            if not good:
                continue
            score = {k: math.exp(float(layer[i] @ layer[k]) / temperature) for k in good + bad}
            everyone = sum(score.values())
            if positives == "log_sum":
                total -= math.log(sum(score[k] for k in good) / everyone)
            else:
                total -= sum(math.log(score[k] / everyone) for k in good) / len(good)
    return total / len(unit)


# states of the words at one layer, groups, forms, temperature 1, loss worked out by hand
BY_HAND = [
    # Two pairs, translations equal, others orthogonal: four anchors with e / (e + 1 + 1).
    ([X, X, Y, Y], [0, 0, 1, 1], [1, 2, 3, 4], 4 * math.log(1 + 2 / math.e)),
    # One pair alone: no negative, no loss. A self pair left in the sum would give ln 2 here.
    ([X, Y], [0, 0], [1, 2], 0.0),
    # "taxi" and "taxi": written alike, nothing to learn; neither is an anchor. The other pair sees both as negatives.
    ([X, X, Y, Y], [0, 0, 1, 1], [1, 1, 3, 4], 2 * math.log(1 + 2 / math.e)),
    # "good" -> "gut", "well" -> "gut": neither "gut" is a negative of the other group. "good" and its "gut" meet only
    # "well", "well" and its "gut" only "good": four anchors with e / (e + 1).
    ([X, X, Y, Y], [0, 0, 1, 1], [1, 2, 3, 2], 4 * math.log(1 + 1 / math.e)),
    # A word without a translation in the batch is no anchor, yet a negative of the two others.
    ([X, X, Z], [0, 0, 1], [1, 2, 3], 2 * math.log(1 + 1 / math.e)),
]


@pytest.mark.parametrize(("words", "groups", "forms", "loss"), BY_HAND)
def test_by_hand(words: list[list[float]], groups: list[int], forms: list[int], loss: float) -> None:
    states = torch.tensor([words]) * 7.0  # lengths do not count
    found = word_alignment_loss(states, torch.tensor(groups), 1.0, forms=torch.tensor(forms))
    assert found.item() == pytest.approx(loss, abs=1e-6)
    assert loops(states, groups, forms, 1.0, "log_sum") == pytest.approx(loss, abs=1e-6)


def test_several_translations_in_both_forms() -> None:
    # One group of three words at 0, 0 and 90 degrees, no negatives: the log of the sum is satisfied, the mean of logs
    # is not.
    states, groups = torch.tensor([[X, X, Y]]), torch.tensor([0, 0, 0])
    assert word_alignment_loss(states, groups, 1.0).item() == pytest.approx(0.0, abs=1e-6)
    near = -(math.log(math.e / (math.e + 1)) + math.log(1 / (math.e + 1))) / 2  # anchors at 0 degrees
    far = math.log(2)  # the anchor at 90 degrees sees two equal ones
    assert word_alignment_loss(states, groups, 1.0, positives="sum_log").item() == pytest.approx(
        2 * near + far, abs=1e-6
    )


@given(
    words=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=9),
    positives=st.sampled_from(["log_sum", "sum_log"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_equals_loops_over_pairs(words: list[tuple[int, int]], positives: Positives, seed: int) -> None:
    groups, forms = [group for group, _ in words], [form for _, form in words]
    states = torch.randn(2, len(words), 5, generator=torch.Generator().manual_seed(seed))
    found = word_alignment_loss(states, torch.tensor(groups), 0.3, forms=torch.tensor(forms), positives=positives)
    assert found.item() == pytest.approx(loops(states, groups, forms, 0.3, positives), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("positives", ["log_sum", "sum_log"])
def test_layer_by_layer_equals_all_layers_at_once(positives: Positives) -> None:
    """Values and gradients; nothing but the order of float32 sums differs."""
    groups = torch.arange(6).repeat(2)
    states = torch.randn(4, 12, 8, generator=torch.Generator().manual_seed(3), requires_grad=True)
    loss = word_alignment_loss(states, groups, 0.1, positives=positives)
    (found,) = torch.autograd.grad(loss, states)
    unit = torch.nn.functional.normalize(states, dim=-1)
    scores = (unit @ unit.mT / 0.1).masked_fill(torch.eye(12, dtype=torch.bool), -torch.inf)  # [layers, words, words]
    # With one translation each, both forms are the same: cross-entropy towards the word half a batch away.
    plain = torch.nn.functional.cross_entropy(scores.flatten(0, 1), (torch.arange(12) + 6).remainder(12).repeat(4))
    (expected,) = torch.autograd.grad(plain * 12, states)
    assert loss.item() == pytest.approx(plain.item() * 12, rel=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_collapse_is_seen_and_priced() -> None:
    unit = torch.nn.functional.normalize(torch.randn(7, 4, generator=torch.Generator().manual_seed(4)), dim=-1)
    pairs = [float(unit[i] @ unit[k]) for i in range(7) for k in range(7) if i != k]
    assert mean_cosine(unit).item() == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    collapsed, groups = torch.tensor([[X, X, X, X]]), torch.tensor([0, 0, 1, 1])
    free = word_alignment_loss(collapsed, groups, 0.1)
    assert (word_alignment_loss(collapsed, groups, 0.1, collapse_weight=0.5) - free).item() == pytest.approx(4 * 0.5)
    apart = torch.tensor([[X, [-1.0, 0.0, 0.0]]])  # mean cosine -1: nothing to pay
    assert word_alignment_loss(apart, torch.tensor([0, 0]), 0.1, collapse_weight=9.0).item() == pytest.approx(
        0.0, abs=1e-6
    )


def small_model(kind: str) -> PreTrainedModel:
    ids = {"vocab_size": 40, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2}
    configs = {
        "llama": LlamaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, **ids),
        "gpt2": GPT2Config(n_embd=16, n_layer=2, n_head=2, **ids),
    }
    with torch.random.fork_rng():
        torch.manual_seed(6)
        return AutoModelForCausalLM.from_config(configs[kind], dtype=torch.float32).eval()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_states_are_means_over_sub_words_and_padding_does_not_matter(kind: str) -> None:
    model = small_model(kind)
    batch = word_batch([[[7], [8, 9, 10]], [[11, 12]]], numbers=[0, 1], pad_id=3)
    states = word_states(model, batch["input_ids"], batch["attention_mask"])
    assert states.shape == (4, 3, 16)  # embeddings, two blocks, output rows
    alone = model(torch.tensor([[8, 9, 10]]), output_hidden_states=True).hidden_states
    for layer in (1, 2):
        torch.testing.assert_close(states[layer, 1], alone[layer][0].mean(dim=0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(states[0, 1], model.get_input_embeddings().weight[8:11].mean(dim=0))
    torch.testing.assert_close(states[3, 1], model.get_output_embeddings().weight[8:11].mean(dim=0))


def test_batch_numbers_words_and_forms() -> None:
    batch = word_batch([[[7], [8, 9]], [[10], [8, 9]]], numbers=[40, 41], pad_id=3)
    assert batch["input_ids"].tolist() == [[7, 3], [8, 9], [10, 3], [8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1], [1, 0], [1, 1]]
    assert batch["groups"].tolist() == [40, 40, 41, 41]
    forms = batch["forms"].tolist()
    assert forms[1] == forms[3]
    assert len(set(forms)) == 3


def test_a_word_written_like_its_translation_is_no_anchor() -> None:
    batch = word_batch([[[7], [7]], [[8], [9], [9]]], numbers=[0, 1], pad_id=3)
    assert anchors(batch["groups"], batch["forms"]).tolist() == [False, False, True, True, True]
    assert WordAlignment().count(batch) == 3


def test_objective_reaches_all_layers_and_no_others() -> None:
    model = small_model("llama")
    batch = word_batch([[[7], [8, 9]], [[10], [11]]], numbers=[0, 1], pad_id=3)
    WordAlignment(layers=[3]).loss_sum(model, batch).backward()
    assert torch.count_nonzero(model.get_output_embeddings().weight.grad) > 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.model.layers.parameters())


@pytest.mark.parametrize("layers", [[4], [-1, 0], []])
def test_layers_that_the_model_lacks_are_refused(layers: list[int]) -> None:
    batch = word_batch([[[7], [8]]], numbers=[0], pad_id=3)
    with pytest.raises(PrealignError, match=r"layers 0 \(embeddings\) to 3 \(output rows\)"):
        WordAlignment(layers=layers).loss_sum(small_model("llama"), batch)

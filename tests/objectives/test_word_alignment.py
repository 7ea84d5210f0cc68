"""The alignment loss against values worked out by hand and against loops over pairs of words."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from prealign.config.init import LEARNT_TEMPERATURES
from prealign.errors import PrealignError
from prealign.objectives.word_alignment import (
    Positives,
    WordAlignment,
    mean_cosine,
    negatives_per_anchor,
    word_alignment_loss,
)
from prealign.objectives.word_states import word_batch

X, Y, Z = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def loops(states: Tensor, groups: list[int], forms: list[int], temperature: float, positives: str) -> float:
    """The formula of the module's head, word by word, in float64."""
    unit = torch.nn.functional.normalize(states.double(), dim=-1)
    total = 0.0
    for layer in unit:
        for i in range(len(groups)):
            members = {forms[k] for k in range(len(groups)) if groups[k] == groups[i]}
            sharing = {groups[k] for k in range(len(groups)) if forms[k] in members}
            good = [k for k in range(len(groups)) if groups[k] == groups[i] and forms[k] != forms[i]]
            bad = [k for k in range(len(groups)) if groups[k] not in sharing]
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
    # "car" -> "Auto", "automobile" -> "Auto": no word of one group is a negative of the other, so there is no loss.
    ([X, X, Y, Y], [0, 0, 1, 1], [1, 2, 3, 2], 0.0),
    # Beside "tree" -> "Baum" they have two negatives each, e / (e + 1 + 1); "tree" and "Baum" have four, e / (e + 4).
    (
        [X, X, Y, Y, Z, Z],
        [0, 0, 1, 1, 2, 2],
        [1, 2, 3, 2, 4, 5],
        4 * math.log(1 + 2 / math.e) + 2 * math.log(1 + 4 / math.e),
    ),
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


def plain_loss(
    states: Tensor, groups: list[int], forms: list[int], temperature: Tensor, positives: str, weights: list[float]
) -> Tensor:
    """The formula with full matrices [layers, words, words], for autograd."""
    words = range(len(groups))
    good = torch.tensor([[groups[i] == groups[k] and forms[i] != forms[k] for k in words] for i in words])
    members = [{forms[k] for k in words if groups[k] == groups[i]} for i in words]
    sharing = [{groups[k] for k in words if forms[k] in members[i]} for i in words]
    bad = torch.tensor([[groups[k] not in sharing[i] for k in words] for i in words])
    unit = torch.nn.functional.normalize(states, dim=-1)
    z = unit @ unit.mT / temperature
    everyone = z.masked_fill(~(good | bad), -torch.inf).logsumexp(dim=-1)
    if positives == "log_sum":
        pull = z.masked_fill(~good, -torch.inf).logsumexp(dim=-1)
    else:
        pull = z.masked_fill(~good, 0.0).sum(dim=-1) / good.sum(dim=-1)
    layers = torch.tensor(weights, dtype=states.dtype) / sum(weights)
    return (layers @ torch.where(good.any(dim=-1), everyone - pull, 0.0)).sum()


@pytest.mark.parametrize("chunk", [1, 4, None])
@pytest.mark.parametrize("positives", ["log_sum", "sum_log"])
def test_chunked_equals_plain(positives: Positives, chunk: int | None) -> None:
    """Values and gradients, of states and temperature, in float64: nothing but the order of sums differs."""
    groups, forms = [0, 0, 0, 1, 1, 2, 2, 3, 4, 4], [0, 1, 2, 3, 1, 5, 5, 6, 7, 8]
    states = torch.randn(3, 10, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    temperature = torch.tensor([0.2], dtype=torch.float64, requires_grad=True)
    weights = [1.0, 0.0, 2.5]
    plain = plain_loss(states, groups, forms, temperature, positives, weights)
    expected = torch.autograd.grad(plain * 0.7, (states, temperature))
    loss = word_alignment_loss(
        states,
        torch.tensor(groups),
        temperature,
        forms=torch.tensor(forms),
        positives=positives,
        layer_weights=weights,
        chunk=chunk,
    )
    found = torch.autograd.grad(loss * 0.7, (states, temperature))
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradients_equal_differences() -> None:
    """With the collapse term, along three directions: central differences of 1e-6 are good to some 1e-9."""
    make = torch.Generator().manual_seed(1)
    states = torch.randn(2, 6, 4, dtype=torch.float64, generator=make) + 0.5
    groups = torch.tensor([0, 0, 1, 1, 1, 2])

    def loss(states: Tensor) -> Tensor:
        return word_alignment_loss(states, groups, 0.3, collapse_weight=0.4, chunk=2)

    (gradient,) = torch.autograd.grad(loss(states.requires_grad_()), states)
    with torch.no_grad():
        for _ in range(3):
            step = 1e-6 * torch.randn(states.shape, dtype=torch.float64, generator=make)
            difference = (loss(states + step) - loss(states - step)).item() / 2
            assert (gradient * step).sum().item() == pytest.approx(difference, rel=1e-6)


def test_a_low_temperature_stays_finite() -> None:
    """Logits of 100, where the softmax of all but one word underflows in float32."""
    states = torch.tensor([[X, [0.9, 0.1, 0.0], [-1.0, 0.0, 0.0], Y]], requires_grad=True)
    loss = word_alignment_loss(states, torch.tensor([0, 1, 0, 1]), 0.01)
    loss.backward()
    # Each anchor of the first pair is about (1 + 1) / t and (0 + 1) / t or so away; what counts is that it is a number.
    assert 100 < loss.item() < 1000
    assert torch.isfinite(states.grad).all()


# A cat and a dog, their translations, all cosines by eye: cat-Katze 1, cat-dog 0, cat-Hund 0, dog-Hund 1, dog-Katze 0.
# In the published code's way the anchors are cat and dog only, and each has exp(0) for itself in its sum.
def test_reference_masks_by_hand() -> None:
    states, groups = torch.tensor([[X, X, Y, Y]]), torch.tensor([0, 0, 1, 1])
    found = word_alignment_loss(states, groups, 1.0, compatibility="reference")
    assert found.item() == pytest.approx(2 * math.log((1 + math.e + 1 + 1) / math.e), abs=1e-6)
    # Words written alike are negatives there: "gut" of "well" pushes "good" away from its own "gut".
    states, forms = torch.tensor([[X, X, Y, X]]), torch.tensor([1, 2, 3, 2])
    found = word_alignment_loss(states, groups, 1.0, forms=forms, compatibility="reference")
    good, well = math.log((1 + math.e + 1 + math.e) / math.e), math.log(1 + 1 + 1 + 1)
    assert found.item() == pytest.approx(good + well, abs=1e-6)
    assert WordAlignment(compatibility="reference").count({"groups": groups, "forms": forms}) == 2


def test_reference_gradient_leaves_the_word_itself_alone() -> None:
    states = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    groups = torch.tensor([0, 0, 1, 1])
    loss = word_alignment_loss(states, groups, 0.5, compatibility="reference", chunk=1)
    unit = torch.nn.functional.normalize(states, dim=-1)
    z = (unit @ unit.mT / 0.5) * (1 - torch.eye(4, dtype=torch.float64))
    plain = (z.logsumexp(dim=-1)[:, [0, 2]] - z[:, [0, 2], [1, 3]]).sum() / 2
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    found, expected = (torch.autograd.grad(value, states)[0] for value in (loss, plain))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def small_model() -> PreTrainedModel:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    ids = {"vocab_size": 40, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2}
    with torch.random.fork_rng():
        torch.manual_seed(6)
        return AutoModelForCausalLM.from_config(LlamaConfig(**sizes, **ids), dtype=torch.float32).eval()


def test_reference_cuts_translations_like_their_source() -> None:
    """One sub-word of the second word is read, as its source has one; a translation shorter than its source is read
    whole."""
    cut = word_batch([[[7], [8, 9]], [[10, 11], [12]]], numbers=[0, 1], pad_id=3)
    short = word_batch([[[7], [8]], [[10, 11], [12]]], numbers=[0, 1], pad_id=3)
    objective, model = WordAlignment(compatibility="reference"), small_model()
    torch.testing.assert_close(objective.loss_sum(model, cut), objective.loss_sum(model, short))


def test_a_word_written_like_its_translation_is_no_anchor() -> None:
    batch = word_batch([[[7], [7]], [[8], [9], [9]]], numbers=[0, 1], pad_id=3)
    assert WordAlignment().count(batch) == 3


def test_negatives_per_anchor() -> None:
    batch = word_batch([[[7], [8]], [[9], [10, 11]], [[12], [8]]], numbers=[0, 1, 2], pad_id=3)
    # Four words of other groups for the middle pair; for the others that pair alone, since they share the word "8".
    assert negatives_per_anchor(batch) == pytest.approx((4 * 2 + 2 * 4) / 6)
    # As the published code compares them: every word of another group is a negative of the three source words.
    assert negatives_per_anchor(batch, "reference") == 4


def test_objective_reaches_all_layers_and_no_others() -> None:
    model = small_model()
    batch = word_batch([[[7], [8, 9]], [[10], [11]]], numbers=[0, 1], pad_id=3)
    WordAlignment(layers=[3]).loss_sum(model, batch).backward()
    assert torch.count_nonzero(model.get_output_embeddings().weight.grad) > 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.model.layers.parameters())


def test_layer_weights_single_out_layers() -> None:
    model = small_model()
    batch = word_batch([[[7], [8, 9]], [[10], [11]]], numbers=[0, 1], pad_id=3)
    only = WordAlignment(layers=[2]).loss_sum(model, batch)
    weighted = WordAlignment(layers="1-2", layer_weights=[0.0, 5.0]).loss_sum(model, batch)
    assert weighted.item() == pytest.approx(only.item(), rel=1e-6)


def test_parts_are_the_losses_of_the_layers() -> None:
    model = small_model()
    batch = word_batch([[[7], [8, 9]], [[10], [11]], [[12], [12]]], numbers=[0, 1, 2], pad_id=3)
    objective = WordAlignment(layers="1-3", layer_weights=[1.0, 0.0, 3.0], collapse_weight=0.5)
    objective.loss_sum(model, batch)
    alone = [WordAlignment(layers=[layer]).loss_sum(model, batch).item() for layer in (1, 3)]
    assert objective.parts is not None
    assert objective.parts.sums.tolist() == pytest.approx([alone[0], 0.0, alone[1]], rel=1e-6)
    assert objective.parts.counts.tolist() == [4.0, 0.0, 4.0]  # a word and its copy are no anchors
    assert not objective.parts.sums.requires_grad


def test_learnt_temperature_has_a_gradient_a_range_and_a_state() -> None:
    model = small_model()
    batch = word_batch([[[7], [8, 9]], [[10], [11]]], numbers=[0, 1], pad_id=3)
    fixed, learnt = WordAlignment(0.2), WordAlignment(0.2, learn_temperature=True)
    assert list(fixed.parameters()) == []
    loss = learnt.loss_sum(model, batch)
    assert loss.item() == pytest.approx(fixed.loss_sum(model, batch).item(), rel=1e-6)
    loss.backward()
    assert learnt.log_temperature.grad.item() != 0.0
    # Pushed out of its range it comes back to the border, and still gets a gradient there.
    with torch.no_grad():
        learnt.log_temperature.fill_(-99.0)
    learnt.zero_grad()
    learnt.loss_sum(model, batch).backward()
    assert learnt.log_temperature.item() == pytest.approx(math.log(LEARNT_TEMPERATURES[0]))
    assert learnt.log_temperature.grad.item() != 0.0
    again = WordAlignment(0.5, learn_temperature=True)
    again.load_state_dict(learnt.state_dict())
    assert again.temperature().item() == pytest.approx(LEARNT_TEMPERATURES[0])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layer_weights": [0.0, 0.0]}, "some are more than 0"),
        ({"layer_weights": [1.0, -1.0]}, "weights are 0 or more"),
        ({"temperature": 3.0, "learn_temperature": True}, "starts and stays between 0.01 and 1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(PrealignError, match=sentence):
        WordAlignment(**settings)  # type: ignore[arg-type]


def test_layer_weights_must_fit_the_layers() -> None:
    batch = word_batch([[[7], [8]]], numbers=[0], pad_id=3)
    with pytest.raises(PrealignError, match="layer_weights has 3 numbers for 2 layers"):
        WordAlignment(layers=[0, 1], layer_weights=[1.0, 1.0, 1.0]).loss_sum(small_model(), batch)


def test_a_model_that_layers_and_weights_do_not_fit_is_refused_without_a_forward_pass() -> None:
    model = small_model()
    WordAlignment(layers="0-3", layer_weights=[1.0, 0.0, 2.0, 1.0]).check(model)
    with pytest.raises(PrealignError, match="layer_weights has 2 numbers for 4 layers"):
        WordAlignment(layer_weights=[1.0, 1.0]).check(model)
    with pytest.raises(PrealignError, match=r"init\.layers names 4; this model has layers 0"):
        WordAlignment(layers=[4]).check(model)

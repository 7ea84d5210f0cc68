"""Sentence contrast against values worked out by hand and against loops over pairs of sentences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    LlamaConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)

from prealign.errors import PrealignError
from prealign.objectives import sentence_alignment
from prealign.objectives.sentence_alignment import InBatchContrast, MomentumContrast, have_in_common, sentence_states
from prealign.objectives.word_states import pack

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 60}
IDS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SENTENCES = [[0, 7, 9, 2], [0, 5, 2], [0, 11, 12, 13, 14, 2], [0, 8, 2], [0, 21, 22, 2]]
Names = list[tuple[int, int]]
TRANSLATIONS = [[0, 37, 2], [0, 35, 36, 2], [0, 41, 2], [0, 38, 39, 40, 2], [0, 51, 52, 53, 2]]


@pytest.fixture
def encoder() -> PreTrainedModel:
    torch.manual_seed(1)
    return AutoModelForMaskedLM.from_config(XLMRobertaConfig(**SIZES, **IDS, **DROPOUT, max_position_embeddings=40))


@pytest.fixture
def segmented() -> PreTrainedModel:
    """An encoder with segment ids, which are 0 throughout."""
    torch.manual_seed(1)
    return AutoModelForMaskedLM.from_config(BertConfig(**SIZES, **IDS, **DROPOUT))


@pytest.fixture
def decoder() -> PreTrainedModel:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(LlamaConfig(**SIZES, **IDS, num_key_value_heads=2))


def batch_of(
    numbers: list[int], step: int = 0, *, is_first: bool = True, is_last: bool = True, names: Names | None = None
) -> dict[str, Any]:
    """Pairs by number, laid into short rows; sentence n is named n, its translation 100 + n."""
    sides = {"": [SENTENCES[n] for n in numbers], "key_": [TRANSLATIONS[n] for n in numbers]}
    packed = {
        prefix + name: tensor
        for prefix, rows in sides.items()
        for name, tensor in pack(rows, pad_id=1, row_tokens=8).items()
    }
    return {
        **packed,
        "names": torch.tensor([(n, 100 + n) for n in numbers] if names is None else names),
        "step": step,
        "is_first": is_first,
        "is_last": is_last,
    }


def alone(model: PreTrainedModel, ids: list[int], layer: int, pooling: str) -> Tensor:
    """The representation of a sentence that is read by itself, without packing."""
    states = model.base_model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
    return {"first": states[0], "last": states[-1], "mean": states.mean(dim=0)}[pooling]


@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
@pytest.mark.parametrize("layer", [0, 2, 3])
@pytest.mark.parametrize("kind", ["encoder", "segmented", "decoder"])
def test_states_are_those_of_sentences_read_alone(kind: str, layer: int, pooling: str, request: Any) -> None:
    model: PreTrainedModel = request.getfixturevalue(kind).eval()
    found = sentence_states(model, model.base_model, batch_of([0, 1, 2, 3, 4]), "", layer, pooling)
    expected = torch.stack([alone(model, ids, layer, pooling) for ids in SENTENCES])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_not_there(encoder: PreTrainedModel) -> None:
    with pytest.raises(PrealignError, match="layers 0 to 3"):
        sentence_states(encoder, encoder.base_model, batch_of([0, 1]), "", 4, "mean")


# Representations of sentences and translations, names of both, temperature 1, both directions.
IN_BATCH_BY_HAND = [
    # Translations equal, others orthogonal: four anchors with e / (e + 1).
    ([[1.0, 0], [0, 1.0]], [[1.0, 0], [0, 1.0]], [(1, 3), (2, 4)], 4 * math.log(1 + 1 / math.e)),
    # The translations of both are written alike: none is the other's negative, so there is nothing to lose.
    ([[1.0, 0], [0, 1.0]], [[1.0, 0], [1.0, 0]], [(1, 3), (2, 3)], 0.0),
    # One sentence with two translations: "Thanks." asked for by both "Danke." and "Vielen Dank.", and asking for both.
    ([[1.0, 0], [1.0, 0]], [[1.0, 0], [0, 1.0]], [(1, 3), (1, 4)], 0.0),
    # The translation of the first is the second sentence.
    ([[1.0, 0], [0, 1.0]], [[0, 1.0], [1.0, 0]], [(1, 2), (2, 3)], 0.0),
    # Everything is one point: ln 2 per anchor.
    ([[1.0, 0], [1.0, 0]], [[1.0, 0], [1.0, 0]], [(1, 3), (2, 4)], 4 * math.log(2)),
]


@pytest.mark.parametrize(("queries", "keys", "names", "expected"), IN_BATCH_BY_HAND)
def test_in_batch_by_hand(
    queries: list[list[float]],
    keys: list[list[float]],
    names: Names,
    expected: float,
    decoder: PreTrainedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sides = {"": torch.tensor(queries), "key_": torch.tensor(keys)}
    monkeypatch.setattr(sentence_alignment, "sentence_states", lambda m, e, b, prefix, layer, pooling: sides[prefix])
    loss = InBatchContrast(layer=1, temperature=1.0).loss_sum(decoder, batch_of([0, 1], names=names))
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def plain_in_batch(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    loss = queries.new_zeros(())
    for one, other in ((queries, keys), (keys, queries)):
        for i in range(len(one)):
            scores = [torch.cosine_similarity(one[i], other[k], dim=0) / temperature for k in range(len(other))]
            loss = loss - torch.log(scores[i].exp() / torch.stack(scores).exp().sum())
    return loss


def test_in_batch_values_and_gradients_against_loops(decoder: PreTrainedModel) -> None:
    objective, batch = InBatchContrast(layer=1, pooling="mean", temperature=0.2), batch_of([0, 1, 2, 3, 4])
    assert objective.count(batch) == 10
    sides = [[alone(decoder, ids, 1, "mean") for ids in side] for side in (SENTENCES, TRANSLATIONS)]
    expected = plain_in_batch(torch.stack(sides[0]), torch.stack(sides[1]), 0.2)
    loss = objective.loss_sum(decoder, batch)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    trained = list(decoder.base_model.parameters())
    ours = torch.autograd.grad(loss, trained, allow_unused=True)
    theirs = torch.autograd.grad(expected, trained, allow_unused=True)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def momentum(model: PreTrainedModel, queue_size: int = 4, first: list[list[int]] | None = None, **options: Any) -> Any:
    options = {"layer": 2, "pooling": "first", "temperature": 0.5, **options}
    batches = [[batch_of(numbers)] for numbers in first or []]
    return MomentumContrast(
        model, queue_size=queue_size, momentum=lambda step: 0.9, first_keys=lambda: batches, **options
    )


def plain_xlco(queries: Tensor, keys: Tensor, negatives: list[Tensor], temperature: float) -> Tensor:
    loss = queries.new_zeros(())
    for query, key in zip(queries, keys, strict=True):
        right = (query @ key / temperature).exp()
        loss = loss - torch.log(right / (right + sum((query @ other / temperature).exp() for other in negatives)))
    return loss


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_xlco_values_and_gradients_against_loops(encoder: PreTrainedModel, similarity: str) -> None:
    encoder.train()
    objective = momentum(encoder, first=[[2, 3], [4]], queue_size=3, similarity=similarity)
    loss = objective.loss_sum(encoder, batch_of([0, 1]))
    keys = [alone(encoder, ids, 2, "first").detach() for ids in TRANSLATIONS]  # the copy is still equal
    queries = torch.stack([alone(encoder, SENTENCES[n], 2, "first") for n in (0, 1)])
    if similarity == "cosine":
        queries, keys = queries / queries.norm(dim=1, keepdim=True), [key / key.norm() for key in keys]
    expected = plain_xlco(queries, torch.stack(keys[:2]), keys[2:], 0.5)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    trained = list(encoder.base_model.parameters())
    for one, other in zip(
        torch.autograd.grad(loss, trained, allow_unused=True),
        torch.autograd.grad(expected, trained, allow_unused=True),
        strict=True,
    ):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_step_follows_compares_and_then_remembers(encoder: PreTrainedModel) -> None:
    objective = momentum(encoder, first=[[2, 3], [4, 0]])
    objective.loss_sum(encoder, batch_of([0], is_last=False))
    assert sorted(objective.queue.names[:, 0].tolist()) == [0, 2, 3, 4], "keys of this step are not negatives yet"
    objective.loss_sum(encoder, batch_of([1], is_first=False))
    assert sorted(objective.queue.names[:, 0].tolist()) == [0, 0, 1, 4], "the two oldest, 2 and 3, have gone"
    assert torch.equal(objective.queue.names[:, 1], objective.queue.names[:, 0] + 100)
    before = {name: weights.clone() for name, weights in objective.slow.encoder.named_parameters()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 1.0
    objective.loss_sum(encoder, batch_of([2], step=1))
    for name, now in encoder.base_model.named_parameters():
        slow = dict(objective.slow.encoder.named_parameters())[name]
        torch.testing.assert_close(slow, 0.9 * before[name] + 0.1 * now)


def test_a_sentence_does_not_meet_itself_in_the_queue(encoder: PreTrainedModel) -> None:
    objective = momentum(encoder, first=[[0, 0, 0, 0]])
    assert objective.loss_sum(encoder, batch_of([0])).item() == pytest.approx(0.0, abs=1e-6)
    assert objective.loss_sum(encoder, batch_of([1], step=1)).item() > 0.1


def test_pairs_with_a_sentence_in_common() -> None:
    ours = torch.tensor([[1, 2], [3, 4]])
    others = torch.tensor([[1, 9], [9, 2], [2, 9], [9, 1], [4, 3], [8, 9]])
    assert have_in_common(ours, others).tolist() == [
        [True, True, True, True, False, False],
        [False, False, False, False, True, False],
    ]


def test_other_translations_of_a_sentence_are_no_negatives(encoder: PreTrainedModel) -> None:
    objective = momentum(encoder)
    in_queue = [(0, 101), (102, 0), (100, 103), (4, 104)]  # another translation; itself; its translation's; a negative
    objective._first_keys = lambda: [[batch_of([1, 2, 3, 4], names=in_queue)]]
    loss = objective.loss_sum(encoder, batch_of([0]))
    query = alone(encoder, SENTENCES[0], 2, "first")[None]
    keys = [alone(encoder, ids, 2, "first") for ids in TRANSLATIONS]
    torch.testing.assert_close(loss, plain_xlco(query, torch.stack(keys[:1]), keys[4:], 0.5), rtol=1e-4, atol=1e-5)


def test_the_copy_reads_without_dropout() -> None:
    torch.manual_seed(1)
    config = XLMRobertaConfig(**SIZES, **IDS, hidden_dropout_prob=0.5, max_position_embeddings=40)
    encoder = AutoModelForMaskedLM.from_config(config).train()
    objective = momentum(encoder, first=[[0, 0, 0, 0]])
    losses = {objective.loss_sum(encoder, batch_of([1], step=step)).item() for step in (0, 1, 1)}
    assert len(losses) == 3, "the encoder drops"
    expected = alone(encoder.eval(), TRANSLATIONS[1], 2, "first")
    torch.testing.assert_close(objective.queue.keys[objective.queue.names[:, 0] == 1], expected.expand(3, -1))


def test_products_and_sums_are_float32_under_autocast(encoder: PreTrainedModel) -> None:
    objective, in_batch = momentum(encoder, first=[[2, 3, 4]], queue_size=3, projected=True), InBatchContrast(layer=2)
    batch = batch_of([0, 1])
    exact = momentum(encoder, first=[[2, 3, 4]], queue_size=3, projected=True).loss_sum(encoder, batch)
    exact_in_batch = in_batch.loss_sum(encoder, batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, rounded_in_batch = objective.loss_sum(encoder, batch), in_batch.loss_sum(encoder, batch)
    for loss, expected in ((rounded, exact), (rounded_in_batch, exact_in_batch)):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected, rtol=0.05, atol=0)  # bfloat16 has 8 bits; cosines are over 0.05
    assert objective.queue.keys.dtype == torch.float32


def test_two_batches_of_a_step_are_one(encoder: PreTrainedModel) -> None:
    first = [[3, 4, 3, 4]]
    one, two = momentum(encoder, first=first), momentum(encoder, first=first)
    whole = one.loss_sum(encoder, batch_of([0, 1, 2]))
    parts = [
        two.loss_sum(encoder, batch_of([0, 1], is_last=False)),
        two.loss_sum(encoder, batch_of([2], is_first=False)),
    ]
    torch.testing.assert_close(whole, sum(parts), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one.queue.keys, two.queue.keys, rtol=1e-5, atol=1e-5)
    assert torch.equal(one.queue.names, two.queue.names)


def test_a_projection_is_learnt_and_followed(encoder: PreTrainedModel) -> None:
    objective = momentum(encoder, first=[[2, 3, 4]], queue_size=3, projected=True, similarity="cosine")
    objective.loss_sum(encoder, batch_of([0, 1])).backward()
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in objective.projection.parameters())
    assert {name for name, parameter in objective.named_parameters() if parameter.requires_grad} == {
        "projection.0.weight",
        "projection.0.bias",
    }
    lengths = objective.queue.keys.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(3))
    before = objective.projection[0].weight.detach().clone()
    with torch.no_grad():
        objective.projection[0].weight += 1.0
    objective.loss_sum(encoder, batch_of([2], step=1))
    torch.testing.assert_close(objective.slow_projection.encoder[0].weight, before + 0.1)


def swapped(batch: dict[str, Any]) -> dict[str, Any]:
    """The other direction: translations ask for sentences."""
    names = ("input_ids", "position_ids", "words")
    sides = {f"key_{name}": batch[name] for name in names} | {name: batch[f"key_{name}"] for name in names}
    return batch | sides | {"names": batch["names"].flip(1)}


def test_training_both_ways_pulls_translations_together(encoder: PreTrainedModel) -> None:
    options: dict[str, Any] = {"pooling": "mean", "similarity": "cosine", "temperature": 0.1}
    objective = momentum(encoder, first=[[0, 1, 2, 3]], queue_size=8, **options)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=3e-3)
    batch = batch_of([0, 1, 2, 3])
    for step in range(40):
        for is_first, one in ((True, batch), (False, swapped(batch))):
            objective.loss_sum(encoder, one | {"step": step, "is_first": is_first, "is_last": not is_first}).backward()
        optimizer.step()
        optimizer.zero_grad()
    queries, keys = (
        torch.nn.functional.normalize(sentence_states(encoder, encoder.base_model, batch, prefix, 2, "mean"), dim=1)
        for prefix in ("", "key_")
    )
    assert (queries @ keys.T).argmax(dim=1).tolist() == [0, 1, 2, 3]

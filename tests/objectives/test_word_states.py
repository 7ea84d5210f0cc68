"""Packed words against the same words under each other with padding, values and gradients; parts against all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    AlbertConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    ElectraConfig,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)

from prealign.errors import PrealignError
from prealign.objectives.word_alignment import WordAlignment
from prealign.objectives.word_states import Pooling, check_layers, chosen_layers, pack, word_batch, word_states

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
IDS = {"vocab_size": 60, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2}
CONFIGS = {
    "llama": LlamaConfig(**SIZES, **IDS, attention_dropout=0.2),
    "gpt2": GPT2Config(n_embd=16, n_layer=2, n_head=2, **IDS),
    "xlm-roberta": XLMRobertaConfig(**SIZES, **IDS, max_position_embeddings=20),
}
WORDS = [[7], [8, 9, 10], [11, 12], [13], [14, 15, 16, 17], [18], [19, 20], [8, 9], [21, 22, 23, 24, 25, 26]]


def model_of(name: str) -> PreTrainedModel:
    auto = AutoModelForMaskedLM if name == "xlm-roberta" else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(6)
        return auto.from_config(CONFIGS[name], dtype=torch.float64).eval()


def padded_states(model: PreTrainedModel, words: list[list[int]], pooling: Pooling) -> Tensor:
    """The plain way: a row for each word, padded on the right."""
    longest = max(map(len, words))
    ids = torch.tensor([word + [3] * (longest - len(word)) for word in words])
    mask = torch.tensor([[1] * len(word) + [0] * (longest - len(word)) for word in words])
    hidden = model.base_model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    output_rows = F.embedding(ids, model.get_output_embeddings().weight)
    layers = torch.stack([model.get_input_embeddings()(ids), *hidden[1:], output_rows])
    if pooling == "last":
        return layers[:, torch.arange(len(words)), mask.sum(dim=1) - 1]
    return (layers * mask[:, :, None]).sum(dim=2) / mask.sum(dim=1, keepdim=True)


def gradients(model: PreTrainedModel, states: Tensor) -> list[Tensor]:
    weight = torch.linspace(-1, 1, states.numel(), dtype=states.dtype).view_as(states)
    parameters = list(model.parameters())
    found = torch.autograd.grad((states * weight).sum(), parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def check_equal(model: PreTrainedModel, found: Tensor, expected: Tensor) -> None:
    """float64: only the order of sums differs."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    ours, theirs = gradients(model, found), gradients(model, expected)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("name", CONFIGS)
def test_packed_equals_padded(name: str, pooling: Pooling) -> None:
    model = model_of(name)
    states = word_states(model, pack(WORDS, pad_id=3, row_tokens=7), pooling=pooling)
    assert states.shape == (4, len(WORDS), 16)  # input embeddings, two blocks, output rows
    check_equal(model, states, padded_states(model, WORDS, pooling))


@pytest.mark.parametrize("words_per_forward", [1, 4, 100])
def test_encoded_in_parts_equals_all_at_once(words_per_forward: int) -> None:
    model = model_of("llama")
    batch: dict[str, Any] = {**pack(WORDS, pad_id=3, row_tokens=7), "groups": torch.arange(len(WORDS))}
    parts = word_states(model, batch, words_per_forward=words_per_forward)
    check_equal(model, parts, word_states(model, batch))


def test_parts_repeat_their_dropout() -> None:
    """With dropout the backward pass must see what the forward pass saw: the difference of the loss along a direction
    is the gradient's, which is wrong by a tenth or more when dropout is drawn anew."""
    model = model_of("gpt2").train()
    batch: dict[str, Any] = {**pack(WORDS, pad_id=3, row_tokens=7), "groups": torch.arange(len(WORDS))}
    table = model.get_input_embeddings().weight
    direction = torch.randn(table.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(step: float) -> Tensor:
        torch.manual_seed(4)
        with torch.no_grad():
            table.add_(direction, alpha=step)
        states = word_states(model, batch, words_per_forward=3)
        with torch.no_grad():
            table.sub_(direction, alpha=step)
        return states[2].square().sum()

    torch.manual_seed(4)
    here = word_states(model, batch, words_per_forward=3)[2].square().sum()
    torch.manual_seed(99)
    here.backward()
    slope = (loss(1e-6) - loss(-1e-6)).item() / 2e-6
    assert (table.grad * direction).sum().item() == pytest.approx(slope, rel=1e-5)


def test_words_of_a_sentence() -> None:
    """Words read in context: each is the mean of its own tokens in the sentence, others are left out."""
    model = model_of("llama")
    batch = {
        "input_ids": torch.tensor([[7, 8, 9, 10, 11], [12, 13, 14, 15, 3]]),
        "position_ids": torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 0]]),
        "words": torch.tensor([[-1, 1, 0, 1, -1], [-1, 2, 2, -1, -1]]),
    }
    states = word_states(model, batch)
    for row, tokens, word in ((0, [2], 0), (0, [1, 3], 1), (1, [1, 2], 2)):
        length = 5 - row
        alone = model(batch["input_ids"][row : row + 1, :length], output_hidden_states=True).hidden_states[2][0]
        torch.testing.assert_close(states[2, word], alone[tokens].mean(dim=0), rtol=1e-9, atol=1e-11)


def test_rows_hold_what_fits() -> None:
    packed = pack([[7], [8, 9, 10], [11, 12], [13]], pad_id=3, row_tokens=4)
    assert packed["input_ids"].tolist() == [[7, 8, 9, 10], [11, 12, 13, 3]]
    assert packed["position_ids"].tolist() == [[0, 0, 1, 2], [0, 1, 0, 0]]
    assert packed["words"].tolist() == [[0, 1, 1, 1], [2, 2, 3, -1]]
    assert pack([[7], [8, 9]], pad_id=3)["input_ids"].tolist() == [[7, 8, 9]]  # no longer than needed
    assert pack([[7], [8, 9, 10]], pad_id=3, row_tokens=2)["input_ids"].tolist() == [[7, 3, 3], [8, 9, 10]]


def test_batch_numbers_words_and_forms() -> None:
    batch = word_batch([[[7], [8, 9]], [[10], [8, 9]]], numbers=[40, 41], pad_id=3)
    assert batch["input_ids"].tolist() == [[7, 8, 9, 10, 8, 9]]
    assert batch["words"].tolist() == [[0, 1, 1, 2, 3, 3]]
    assert batch["groups"].tolist() == [40, 40, 41, 41]
    forms = batch["forms"].tolist()
    assert forms[1] == forms[3]
    assert len(set(forms)) == 3
    # Four anchors with three others each, of which the other group's two words are no negatives: it has "8 9" too.
    assert (batch["n_words"], batch["n_pairs"], batch["n_kept_out"]) == (4, 12, 8)
    # The published code compares them all: two anchors with a translation and two negatives.
    batch = word_batch([[[7], [8, 9]], [[10], [8, 9]]], numbers=[40, 41], pad_id=3, alike=True)
    assert (batch["n_words"], batch["n_pairs"], batch["n_kept_out"]) == (4, 6, 0)


@pytest.mark.parametrize(
    ("layers", "chosen"), [("all", [0, 1, 2, 3]), ("1-2", [1, 2]), ("3-3", [3]), ([3, 0], [3, 0]), ((2,), [2])]
)
def test_layer_choices(layers: Any, chosen: list[int]) -> None:
    assert chosen_layers(layers, 4) == chosen


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([4], r"names 4; this model has layers 0 \(input embeddings\) to 3 \(output rows\)"),
        ([-1, 0], "names -1; this model"),
        ("2-5", "names 4, 5; this model"),
        ("3-2", "names no layer"),
        ([], "names no layer"),
        ("middle", "is 'middle'; write all, 4, a range such as 2-5, or a list of numbers"),
        ([1, 2, 1], "names a layer twice"),
    ],
)
def test_mistaken_layer_choices_are_refused(layers: Any, sentence: str) -> None:
    with pytest.raises(PrealignError, match=sentence):
        chosen_layers(layers, 4)


@pytest.mark.parametrize("config", [AlbertConfig, ElectraConfig])
def test_narrow_embeddings_are_filled_up_with_zeros(config: type[PretrainedConfig]) -> None:
    model = AutoModelForMaskedLM.from_config(config(**SIZES, **IDS, embedding_size=8)).eval()
    batch = word_batch([[[7], [8, 9]], [[10], [11]]], numbers=[0, 1], pad_id=3)
    states = word_states(model, batch)
    assert states.shape == (4, 4, 16)
    for layer, table in ((0, model.get_input_embeddings()), (3, model.get_output_embeddings())):
        expected = torch.stack([table.weight[7], table.weight[[8, 9]].mean(dim=0)])  # [words, 8]
        torch.testing.assert_close(states[layer, :2, :8], expected)
        assert not states[layer, :, 8:].any()
    assert states[1:3, :, 8:].all()
    loss = WordAlignment().loss_sum(model, batch)
    assert check_layers(model, "all") == 4
    loss.backward()
    assert model.get_input_embeddings().weight.grad[[7, 8, 9]].abs().sum(dim=1).all()

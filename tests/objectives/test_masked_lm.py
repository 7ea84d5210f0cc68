"""Masking on rows checked by eye and in its rates; the loss at chosen positions against the models' own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)

from prealign import draws
from prealign.objectives import masked_lm
from prealign.objectives.masked_lm import MaskedLM, Masking, head_modules, mask_tokens

VOCABULARY, MASK = 50, 4
SPECIAL = [0, 1, 2, 3, MASK]
PLAIN = Masking.of(MASK, VOCABULARY, SPECIAL)
STARTS = np.arange(VOCABULARY) % 2 == 0
"""Even ids begin a word, odd ones continue it."""
WORDS = Masking.of(MASK, VOCABULARY, SPECIAL, STARTS)

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
IDS = {"vocab_size": VOCABULARY, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
KINDS = {
    "bert": BertConfig(**SIZES, **IDS, **NO_DROPOUT),
    "xlm-roberta": XLMRobertaConfig(**SIZES, **IDS, **NO_DROPOUT),
    "electra": ElectraConfig(**SIZES, **IDS, **NO_DROPOUT, embedding_size=12),
    "modernbert": ModernBertConfig(**SIZES, **IDS, cls_token_id=1, sep_token_id=2),
    "distilbert": DistilBertConfig(
        vocab_size=VOCABULARY, dim=16, n_layers=2, n_heads=2, hidden_dim=24, dropout=0.0, attention_dropout=0.0
    ),
}


def model_of(config: PretrainedConfig) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return AutoModelForMaskedLM.from_config(config, dtype=torch.float32)


def batch() -> dict[str, torch.Tensor]:
    ids = np.arange(5, 45).reshape(4, 10)
    hidden, labels = mask_tokens(ids, range(4), PLAIN)
    assert (labels != -100).sum() > 2
    return {"input_ids": torch.from_numpy(hidden), "labels": torch.from_numpy(labels)}


@pytest.fixture(scope="module")
def million() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A thousand rows of a thousand tokens, one in ten of them special, hidden; with the originals."""
    ids = np.random.default_rng(1).integers(5, VOCABULARY, (1000, 1000))
    ids[:, ::10] = np.random.default_rng(2).integers(0, 5, (1000, 100))
    return ids, *mask_tokens(ids, (draws.key("test", row) for row in range(1000)), PLAIN)


def test_rates_over_a_million_tokens(million: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    ids, hidden, labels = million
    chosen = labels != -100
    ordinary = ids > MASK
    # 900,000 draws at 0.15: a standard deviation of 0.0004. 135,000 at 0.8 and 0.1: 0.0011 and 0.0008.
    assert chosen[ordinary].mean() == pytest.approx(0.15, abs=0.002)
    masked = hidden[chosen] == MASK
    assert masked.mean() == pytest.approx(0.8, abs=0.004)
    # One replacement in 45 draws the id that was there.
    same = hidden[chosen] == ids[chosen]
    assert same.mean() == pytest.approx(0.1 + 0.1 / 45, abs=0.004)
    put = hidden[chosen][~masked & ~same]
    assert np.bincount(put, minlength=VOCABULARY)[5:].min() > 0.8 * len(put) / 45  # every ordinary id, about equally


def test_labels_are_the_original_ids_and_special_tokens_stay(
    million: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    ids, hidden, labels = million
    chosen = labels != -100
    assert np.array_equal(labels[chosen], ids[chosen])
    assert np.array_equal(hidden[~chosen], ids[~chosen])
    assert not chosen[ids <= MASK].any()
    assert not np.isin(hidden[chosen], [0, 1, 2, 3]).any()


def test_a_row_depends_on_its_key_and_on_nothing_else() -> None:
    ids = np.arange(5, 45).reshape(2, 20)
    together = mask_tokens(ids, [7, 8], PLAIN)
    turned = mask_tokens(ids[::-1].copy(), [8, 7], PLAIN)
    for one, other in zip(together, turned, strict=True):
        assert np.array_equal(one, other[::-1])
    longer = np.concatenate([ids, ids], axis=1)
    assert np.array_equal(mask_tokens(longer, [7, 8], PLAIN)[1][:, :20], together[1])
    assert not np.array_equal(mask_tokens(ids, [9, 8], PLAIN)[1][0], together[1][0])


@given(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40), st.integers(0, 2**63))
@settings(max_examples=200, deadline=None)
def test_words_are_chosen_whole(row: list[int], a_key: int) -> None:
    _, labels = mask_tokens(np.array([row]), [a_key], WORDS)
    chosen = labels[0] != -100
    for place in range(1, len(row)):
        inside_a_word = not STARTS[row[place]] and row[place] > MASK and row[place - 1] > MASK
        if inside_a_word:
            assert chosen[place] == chosen[place - 1]


def test_whole_words_are_chosen_at_the_same_rate() -> None:
    ids = np.random.default_rng(3).integers(5, VOCABULARY, (100, 1000))
    _, labels = mask_tokens(ids, range(100), WORDS)
    assert (labels != -100).mean() == pytest.approx(0.15, abs=0.008)  # 50,000 words of two tokens: 0.0023


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("logits_at_once", [1 << 24, 2 * VOCABULARY])
def test_loss_and_gradients_equal_the_models_own(
    kind: str, logits_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(masked_lm.HEAD_ELEMENTS, "cpu", logits_at_once)
    model, objective, example = model_of(KINDS[kind]), MaskedLM(), batch()
    own = model(**example).loss * objective.count(example)
    own.backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    ours = objective.loss_sum(model, example)
    ours.backward()
    torch.testing.assert_close(ours, own, rtol=1e-6, atol=0)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-5, msg=f"{kind}: {name}")


@pytest.mark.parametrize("kind", KINDS)
def test_heads_are_taken_from_the_model(kind: str) -> None:
    model = model_of(KINDS[kind]).train()
    assert (head_modules(model) is None) == (kind == "distilbert")
    assert model.training


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert"])
def test_documents_of_a_row_are_read_as_if_alone(kind: str) -> None:
    model, objective, example = model_of(KINDS[kind]).eval(), MaskedLM(), batch()
    ids, labels = example["input_ids"], example["labels"]
    both = {
        "input_ids": ids.view(2, 20),
        "labels": labels.view(2, 20),
        "position_ids": torch.arange(10).repeat(2, 2),
    }
    apart = objective.loss_sum(model, {"input_ids": ids, "labels": labels})
    torch.testing.assert_close(objective.loss_sum(model, both), apart, rtol=1e-5, atol=0)
    together = objective.loss_sum(model, {key: both[key] for key in ("input_ids", "labels")})
    assert not torch.isclose(together, apart, rtol=1e-5)


def test_rows_without_a_label_cost_nothing() -> None:
    model, example = model_of(KINDS["bert"]), batch()
    example["labels"][:] = -100
    loss = MaskedLM().loss_sum(model, example)
    loss.backward()
    assert loss == 0.0
    assert all(torch.count_nonzero(parameter.grad) == 0 for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["xlm-roberta", "distilbert"])
def test_parts_are_the_losses_of_the_languages_rows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(masked_lm.HEAD_ELEMENTS, "cpu", 2 * VOCABULARY)
    model, objective, example = model_of(KINDS[kind]).eval(), MaskedLM(("en", "de")), batch()
    rows = len(example["labels"])
    languages = torch.tensor([0] * (rows - 1) + [1])
    loss = objective.loss_sum(model, example | {"languages": languages})
    last = {key: tensor[-1:] for key, tensor in example.items()}
    german, parts = MaskedLM().loss_sum(model, last), objective.parts
    assert parts is not None
    assert parts.counts.tolist() == [objective.count(example) - objective.count(last), objective.count(last)]
    assert parts.sums.tolist() == pytest.approx([loss.item() - german.item(), german.item()], rel=1e-5)

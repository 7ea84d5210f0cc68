"""The classifier on a copy of a language model: where its head stands, what it learns, and that the model stays."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
)

from prealign.evaluation.classifier import (
    Classifier,
    FineTuning,
    course,
    fine_tune,
    like_length_batches,
    probabilities,
    row_encoder,
    shortened,
)

ROWS = [[2, 9, 8, 7, 2], [2, 5, 2], [2, 30, 31, 32, 33, 34, 35, 2], [2, 6, 11, 2]]
HOW = FineTuning(max_steps=120, batch_size=8, learning_rate=5e-3, key=7)


def with_head(model: PreTrainedModel, n_classes: int = 3) -> Classifier:
    """A classifier whose head is not zero."""
    classifier = Classifier(model, n_classes).eval()
    generator = torch.Generator().manual_seed(5)
    torch.nn.init.normal_(classifier.head.weight, generator=generator)
    return classifier


def masked_model(kind: str) -> PreTrainedModel:
    torch.manual_seed(3)
    shape = {
        "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
        "max_position_embeddings": 64, "initializer_range": 0.5, "pad_token_id": 1, "attention_probs_dropout_prob": 0.1,
    }  # fmt: skip
    return AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **shape)).eval()


def test_agrees_with_transformers_class_for_a_causal_model(tiny_model: Callable[..., PreTrainedModel]) -> None:
    model = tiny_model("llama", pad_token_id=1)
    ours = with_head(model)
    config = copy.deepcopy(model.config)
    config.num_labels = 3
    theirs = LlamaForSequenceClassification(config).eval()
    theirs.model.load_state_dict(model.model.state_dict())
    theirs.score.weight.data = ours.head.weight.data
    padded = torch.full((len(ROWS), 8), 1)
    for line, row in zip(padded, ROWS):
        line[: len(row)] = torch.tensor(row)
    with torch.no_grad():
        expected = theirs(input_ids=padded, attention_mask=(padded != 1).long()).logits
        torch.testing.assert_close(ours(ROWS), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "bert", "roberta"])
def test_padding_changes_nothing(kind: str, tiny_model: Callable[..., PreTrainedModel]) -> None:
    model = masked_model(kind) if kind in ("bert", "roberta") else tiny_model(kind)
    classifier = with_head(model)
    with torch.no_grad():
        together = classifier(ROWS)
        alone = torch.cat([classifier([row]) for row in ROWS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert together.std(dim=0).min() > 0.01  # rows do differ


def test_a_causal_head_reads_the_last_token_and_an_encoder_s_the_first(
    tiny_model: Callable[..., PreTrainedModel],
) -> None:
    """A body whose states are the ids of its tokens shows which one is read."""

    def which(model: PreTrainedModel) -> list[float]:
        classifier = Classifier(model, 2)
        states = lambda input_ids, **_: SimpleNamespace(last_hidden_state=input_ids.unsqueeze(2).repeat(1, 1, 16))  # noqa: E731
        del classifier.body
        object.__setattr__(classifier, "body", states)
        classifier.head.weight.data[0, 0] = 1.0
        return classifier([[20, 21, 22], [30, 31]])[:, 0].tolist()

    assert which(tiny_model("llama")) == [22.0, 31.0]
    assert which(masked_model("bert")) == [20.0, 30.0]


def test_a_rule_is_learnt_and_the_model_stays_as_it_was(tiny_model: Callable[..., PreTrainedModel]) -> None:
    """The class is told by which of three tokens a row holds; rows of the test were never trained on."""
    model = tiny_model("llama", initializer_range=0.1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_before = torch.random.get_rng_state()
    generator = np.random.default_rng(0)
    rows, labels = [], []
    for label in range(3):
        for _ in range(40):
            noise = generator.integers(10, 60, size=generator.integers(2, 6)).tolist()
            rows.append([2, *noise, 4 + label, *noise[::-1], 2])
            labels.append(label)
    training = [i for i in range(120) if i % 4]
    classifier, losses = fine_tune(model, [rows[i] for i in training], [labels[i] for i in training], 3, HOW, "rule")
    asked = [i for i in range(120) if i % 4 == 0]
    found = probabilities(classifier, [rows[i] for i in asked], max_batch_tokens=32)
    assert found.argmax(axis=1).tolist() == [labels[i] for i in asked]
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert losses[0] == pytest.approx(np.log(3), abs=1e-5)  # the head starts at zero
    assert losses[-1] < 0.1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), random_before)


def test_random_labels_are_not_guessed(tiny_model: Callable[..., PreTrainedModel]) -> None:
    """What is at random in training tells nothing about the tests: within 4 standard deviations of a half."""
    generator = np.random.default_rng(1)
    rows = [[2, *generator.integers(5, 64, size=6).tolist(), 2] for _ in range(240)]
    labels = generator.integers(0, 2, size=240).tolist()
    classifier, _ = fine_tune(tiny_model("llama"), rows[:40], labels[:40], 2, replace(HOW, max_steps=40), "noise")
    right = (probabilities(classifier, rows[40:], 64).argmax(axis=1) == labels[40:]).mean()
    assert abs(right - 0.5) < 4 * 0.5 / np.sqrt(200)


def test_the_same_key_gives_the_same_classifier_with_dropout_too() -> None:
    model = masked_model("bert")
    few = FineTuning(max_steps=3, batch_size=2, learning_rate=1e-2, key=7)
    other = FineTuning(max_steps=3, batch_size=2, learning_rate=1e-2, key=8)
    first, again, different = (
        probabilities(fine_tune(model, ROWS, [0, 1, 2, 0], 3, how, "twice")[0], ROWS, 64) for how in (few, few, other)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, different)


def test_every_row_comes_once_before_one_comes_again_and_batches_are_of_like_length() -> None:
    lengths = [1 + (7 * i) % 50 for i in range(64)]
    how = FineTuning(max_steps=32, batch_size=4, learning_rate=1.0, key=1)
    batches = list(like_length_batches(lengths, how))
    assert [len(batch) for batch in batches] == [4] * 32
    for epoch in (batches[:16], batches[16:]):
        assert sorted(i for batch in epoch for i in batch) == list(range(64))
    assert batches[:16] != batches[16:]
    spread = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches]
    assert max(spread) <= 4  # 64 lengths from 1 to 50, sorted, four at a time
    assert [len(batch) for batch in like_length_batches([5, 6], how)] == [4] * 32  # fewer rows than a batch


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_zero() -> None:
    assert [round(course(step, 20), 3) for step in (0, 1, 2, 11, 19)] == [0.5, 1.0, 1.0, 0.5, 0.056]
    assert [course(step, 1) for step in range(1)] == [1.0]


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ([5], 9, [5]),
        ([12], 9, [9]),
        ([3, 4], 9, [3, 4]),
        ([100, 10], 50, [40, 10]),
        ([10, 100], 50, [10, 40]),
        ([80, 90], 50, [25, 25]),
        ([80, 90], 51, [26, 25]),
        ([26, 26], 50, [25, 25]),
    ],
)
def test_the_longer_text_gives_first(lengths: list[int], room: int, kept: list[int]) -> None:
    assert shortened(lengths, room) == kept


def test_rows_begin_and_end_like_documents_or_as_encoders_read() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"[UNK]": 0, "</s>": 1, "[CLS]": 2, "a": 3, "b": 4, "c": 5}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    causal = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    encoder = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]", cls_token="[CLS]")
    assert row_encoder(causal, 9)([("a b",), ("c",)]).rows == [[1, 3, 4, 1], [1, 5, 1]]
    pairs = row_encoder(encoder, 7)([("a b", "c"), ("a b a", "c c c")])
    assert pairs.rows == [[2, 3, 4, 1, 5, 1], [2, 3, 4, 1, 5, 5, 1]]
    assert pairs.n_cut == 1

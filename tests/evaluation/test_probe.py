"""The linear probe: its features against plain ones, its fit against scikit-learn's, and languages moved together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel

from prealign.evaluation.probe import fit_probe, text_features

ROWS = [[2, 9, 8, 7, 2], [2, 5, 2], [2, 30, 31, 32, 33, 34, 35, 2], [2, 6, 11, 2]]
TRAINED = np.array([[0, 1, 5], [1, 1, 5], [3, 0, 5], [4, 2, 5], [1, 6, 5], [0, 4, 5], [2, 3, 5]], dtype=np.float32)
CLASSES = [0, 0, 1, 1, 2, 2, 0]


def model_of(kind: str, tiny_model: Callable[..., PreTrainedModel]) -> PreTrainedModel:
    if kind not in ("bert", "roberta"):
        return tiny_model(kind)
    torch.manual_seed(3)
    shape = {
        "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
        "max_position_embeddings": 64, "initializer_range": 0.5, "pad_token_id": 1,
    }  # fmt: skip
    return AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **shape)).eval()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bert", "roberta"])
def test_a_text_is_the_mean_of_its_own_tokens_at_every_layer(
    kind: str, tiny_model: Callable[..., PreTrainedModel]
) -> None:
    """Rows of several lengths together, against the hidden states of each read alone; nothing reaches the model."""
    model = model_of(kind, tiny_model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = text_features(model, ROWS, max_batch_tokens=9)
    assert found.shape == (4, 3 * 16)  # embeddings and two blocks
    for features, row in zip(found, ROWS, strict=True):
        with torch.no_grad():
            states = model(torch.tensor([row[1:-1]]), output_hidden_states=True).hidden_states
        means = torch.cat([layer[0].mean(dim=0) for layer in states])
        at = 16 if kind != "llama" else 0  # other models add positions and norms to their embeddings
        np.testing.assert_allclose(features[at:], means[at:], atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_a_text_without_tokens_is_its_end(tiny_model: Callable[..., PreTrainedModel]) -> None:
    model = tiny_model("llama")
    nothing, end = text_features(model, [[2, 2], [2, 2, 2]], max_batch_tokens=9)
    np.testing.assert_array_equal(nothing, end)


def test_the_fit_is_scikit_learn_s() -> None:
    """LogisticRegression(C=1 / (7 * 1e-4)) of scikit-learn 1.9.1 on the scaled table, in which a column is constant."""
    probe = fit_probe(TRAINED, CLASSES, 3)
    expected = [
        [0.995613, 0.000036, 0.004351],
        [0.996686, 0.003104, 0.000210],
        [0.007001, 0.992999, 0.000000],
        [0.003100, 0.996900, 0.000000],
        [0.000332, 0.000000, 0.999668],
        [0.011505, 0.000000, 0.988495],
        [0.985764, 0.006961, 0.007275],
    ]
    found = probe.probabilities(TRAINED, centred=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(probe.probabilities(TRAINED), found, atol=1e-6)  # its own mean is that of the training
    assert probe.loss == pytest.approx(-np.log([row[label] for row, label in zip(expected, CLASSES)]).mean(), abs=1e-5)


def test_scale_and_number_of_features_change_nothing() -> None:
    """Every feature ten times in other units: the penalty weighs the same."""
    once = fit_probe(TRAINED, CLASSES, 3)
    wider = np.hstack([TRAINED * unit for unit in range(1, 11)])
    np.testing.assert_allclose(
        fit_probe(wider, CLASSES, 3).probabilities(wider), once.probabilities(TRAINED), atol=1e-3
    )


def test_languages_that_lie_apart_are_moved_together() -> None:
    """The same texts at another place: as they are, all of them fall into one class."""
    probe = fit_probe(TRAINED, CLASSES, 3)
    elsewhere = TRAINED + np.array([9, 0, 0], dtype=np.float32)
    assert probe.probabilities(elsewhere).argmax(axis=1).tolist() == CLASSES
    assert probe.probabilities(elsewhere, centred=False).argmax(axis=1).tolist() == [1] * 7

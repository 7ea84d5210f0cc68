"""States of words and sentences: order, pooling by hand, words inside sentences."""

from __future__ import annotations

import pytest
import torch

from prealign.evaluation.states import mean_states, pooled_states, states_in_context

ROWS = [[5, 6, 7, 8], [9], [10, 11], [12, 13, 14]]


def test_states_keep_the_order_of_the_rows(tiny_model):
    model = tiny_model()
    rows = [[5, 6, 7, 8], [9], [10, 11], [12, 13, 14]]
    together = mean_states(model, rows, batch_size=3)
    alone = torch.cat([mean_states(model, [row], batch_size=1) for row in rows], dim=1)
    assert together.shape == (4, 4, 16)
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together[0, 2], model.get_input_embeddings().weight[[10, 11]].mean(dim=0))


def test_sentences_are_pooled_in_three_ways(tiny_model):
    """Against the hidden states of each sentence read alone."""
    model = tiny_model()
    found = pooled_states(model, ROWS, ("mean", "last", "weighted"), max_batch_tokens=6)
    for number, row in enumerate(ROWS):
        with torch.no_grad():
            states = torch.stack(model(torch.tensor([row]), output_hidden_states=True).hidden_states)[:, 0]
        n = len(row)
        weights = torch.tensor([(i + 1) / (n * (n + 1) / 2) for i in range(n)])
        assert weights.sum() == pytest.approx(1)
        for pooling, expected in (
            ("mean", states.mean(dim=1)),
            ("last", states[:, -1]),
            ("weighted", (states * weights[:, None]).sum(dim=1)),
        ):
            assert torch.allclose(found[pooling][:-1, number], expected, atol=1e-5), pooling
        output_rows = model.get_output_embeddings().weight[row]
        assert torch.allclose(found["last"][-1, number], output_rows[-1])
        assert torch.allclose(found["mean"][-1, number], output_rows.mean(dim=0), atol=1e-6)


def test_states_that_would_be_too_large_are_made_in_parts(tiny_model, monkeypatch):
    model = tiny_model()
    whole = pooled_states(model, ROWS, ("weighted",), max_batch_tokens=100)["weighted"]
    calls = []
    model.base_model.register_forward_pre_hook(lambda *_: calls.append(1))
    monkeypatch.setattr("prealign.evaluation.states.STATES_AT_ONCE", 4 * 16 * 6)  # four layers, width 16, six tokens
    assert torch.allclose(pooled_states(model, ROWS, ("weighted",), max_batch_tokens=100)["weighted"], whole, atol=1e-5)
    assert len(calls) > 1


def test_the_mean_of_a_sentence_is_that_of_a_word(tiny_model):
    model = tiny_model()
    pooled = pooled_states(model, ROWS, ("mean",), max_batch_tokens=100)["mean"]
    assert torch.allclose(pooled, mean_states(model, ROWS, batch_size=1), atol=1e-5)


def test_words_in_context_have_the_states_of_their_places(tiny_model):
    model = tiny_model()
    words = [[(0, 1), (2, 4)], [], [(1, 2)], [(0, 3)]]
    found = states_in_context(model, ROWS, words, max_batch_tokens=5)
    expected = []
    for row, spans in zip(ROWS, words, strict=True):
        with torch.no_grad():
            states = torch.stack(model(torch.tensor([row]), output_hidden_states=True).hidden_states)[:, 0]
        expected += [states[:, start:end].mean(dim=1) for start, end in spans]
    assert found.shape == (4, 4, 16)
    assert torch.allclose(found[:-1], torch.stack(expected, dim=1), atol=1e-5)

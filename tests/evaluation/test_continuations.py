"""Log-probabilities of continuations: by hand, against the slow plain way, and at the border to what stands before."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedModel

from prealign.evaluation.continuations import Choices, encode_choices, log_probabilities

EOS = 2
ids = st.lists(st.integers(3, 63), min_size=1, max_size=4).map(tuple)


def test_by_hand(bigram):
    # After EOS (2) the table says 0: 1/4, 3: 1/2; after 0 it says 1: 1/4; after 3 it says EOS: 1/2.
    found = log_probabilities(bigram, [Choices((EOS,), [(0,), (0, 1), (3, EOS)]), Choices((EOS, 0), [(1,), (3,)])], 8)
    assert np.concatenate(found) / math.log(2) == pytest.approx([-2, -4, -2, -2, -3])


@pytest.fixture(scope="module")
def two_models(tiny_model) -> list[PreTrainedModel]:
    """One with a plain head, and one that caps its logits."""
    return [tiny_model("llama"), tiny_model("gemma2", head_dim=8, num_key_value_heads=2)]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(ids, st.lists(ids, min_size=2, max_size=5)), min_size=1, max_size=4), st.integers(1, 40))
@torch.no_grad()
def test_like_one_row_for_every_candidate(two_models, asked, batch_tokens):
    questions = [Choices((EOS, *prompt), answers) for prompt, answers in asked]
    for model in two_models:
        for question, found in zip(questions, log_probabilities(model, questions, batch_tokens), strict=True):
            for answer, value in zip(question.answers, found, strict=True):
                row = torch.tensor([[*question.prompt, *answer]])
                logs = model(input_ids=row).logits[0].log_softmax(-1)
                begin = len(question.prompt) - 1
                slow = sum(float(logs[begin + k, token]) for k, token in enumerate(answer))
                assert value == pytest.approx(slow, abs=1e-4)


def test_candidates_of_one_token_share_a_row(tiny_model):
    model = tiny_model()
    n_rows = []
    model.base_model.register_forward_pre_hook(
        lambda _, __, inputs: n_rows.append(len(inputs["input_ids"])), with_kwargs=True
    )
    log_probabilities(model, [Choices((EOS, 5), [(7,), (8,), (9, 10), (9, 11), (12, 13)])] * 3, 10_000)
    assert n_rows[-1] == 6  # of every question "5 9" and "5 12"; what follows 5 alone is read in the first


@pytest.fixture
def core() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(["?", "the", "house", "green", "is", "red"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_candidates_are_compared_from_where_they_differ(core):
    (one, two) = encode_choices(
        core, [["the house is red", "the house is green house"], ["is red", "is red red"]], document_end=99
    )
    assert one == Choices((99, 1, 2, 4), [(5,), (3, 2)])
    assert one.lengths.tolist() == [1, 2]
    assert two == Choices((99, 4), [(5,), (5, 5)])  # "red" begins "red red", and keeps a token of its own

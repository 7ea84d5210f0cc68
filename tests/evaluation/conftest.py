"""Tiny models and streams for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from prealign.corpora.store import TokenStream

EOS = 2
SHAPE = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., PreTrainedModel]:
    """Makes a causal LM of any architecture with 64 ids and 2 blocks, weights large enough for context to matter."""

    def make(kind: str = "llama", **config: object) -> PreTrainedModel:
        torch.manual_seed(3)
        settings = {**SHAPE, "max_position_embeddings": 64, "initializer_range": 0.5, **config}
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).float().eval()

    return make


@pytest.fixture(scope="session")
def stream_of() -> Callable[..., TokenStream]:
    """Makes a stream of documents given without their EOS; a document has as many bytes as tokens unless said."""

    def make(documents: Sequence[Sequence[int]], n_bytes: Sequence[int] | None = None) -> TokenStream:
        ended = [[*document, EOS] for document in documents]
        return TokenStream(
            tokens=np.array([token for document in ended for token in document], dtype=np.uint16),
            document_starts=np.cumsum([0, *map(len, ended)]).astype(np.int64),
            document_bytes=np.array(n_bytes or [len(document) for document in documents], dtype=np.int64),
        )

    return make


class Bigram(torch.nn.Module):
    """p(next | previous) from a table, in the shape of a Hugging Face model: states are one-hot, the head is log p."""

    device = torch.device("cpu")
    config = SimpleNamespace(_attn_implementation="eager")

    def __init__(self, table: Sequence[Sequence[float]]) -> None:
        super().__init__()
        size = len(table)
        self.head = torch.nn.Linear(size, size, bias=False)
        self.head.weight.data = torch.tensor(table).log().T.contiguous()

    def base_model(self, input_ids: torch.Tensor, use_cache: bool) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=torch.nn.functional.one_hot(input_ids, self.head.in_features).float())

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(self.base_model(input_ids, use_cache).last_hidden_state))

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.head


@pytest.fixture(scope="session")
def bigram() -> Bigram:
    """Four ids (2 is EOS) whose probabilities are powers of two, so that bits are whole numbers."""
    return Bigram(
        [
            [0.5, 0.25, 0.125, 0.125],
            [0.125, 0.5, 0.25, 0.125],
            [0.25, 0.125, 0.125, 0.5],
            [0.125, 0.125, 0.5, 0.25],
        ]
    )

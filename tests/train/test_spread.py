"""Where a model's blocks are; the rest needs two processes (tests/equivalence)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel

from prealign.errors import PrealignError
from prealign.train.spread import blocks

SIZE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 30}


@pytest.mark.parametrize(
    ("kind", "fields", "block"),
    [
        ("llama", SIZE, "LlamaDecoderLayer"),
        ("gpt_neox", SIZE, "GPTNeoXLayer"),
        ("gpt2", {"n_embd": 16, "n_layer": 3, "n_head": 2, "vocab_size": 30}, "GPT2Block"),
        ("qwen3", SIZE, "Qwen3DecoderLayer"),
        ("xlm-roberta", SIZE, "XLMRobertaLayer"),
        ("mixtral", {**SIZE, "num_local_experts": 8, "num_key_value_heads": 2}, "MixtralDecoderLayer"),
    ],
)
def test_blocks_of_models(kind: str, fields: dict[str, Any], block: str) -> None:
    with torch.device("meta"):
        model = AutoModel.from_config(CONFIG_MAPPING[kind](**fields))
    assert [type(found).__name__ for found in blocks(model)] == [block] * 3


def test_of_several_lists_the_largest_is_taken_and_inner_ones_are_not() -> None:
    experts = nn.ModuleList(nn.ModuleList(nn.Linear(9, 9) for _ in range(8)) for _ in range(2))
    model = nn.ModuleDict({"norms": nn.ModuleList(nn.LayerNorm(9) for _ in range(5)), "inner": nn.Sequential(experts)})
    assert blocks(model) == list(experts)


def test_a_model_without_blocks_is_a_sentence() -> None:
    with pytest.raises(PrealignError, match=r"Linear has no list of blocks. Use engine.parallel: ddp"):
        blocks(nn.Linear(2, 2))

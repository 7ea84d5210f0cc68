"""Packed sequences against the same sequences read alone, for the architectures that people start from."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    DebertaV2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    XLMRobertaConfig,
)

from prealign.errors import PrealignError
from prealign.objectives.causal_lm import head_is_plain
from prealign.objectives.masked_lm import head_modules
from prealign.objectives.packing import OncePerModel, packed_inputs, refuse_leaks

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
IDS = {"vocab_size": 40, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {**SIZES, "num_key_value_heads": 1}
STILL = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
CAUSAL = {
    "llama": LlamaConfig(**SIZES, **IDS),
    "gpt_neox": GPTNeoXConfig(**SIZES, **IDS),
    "gpt2": GPT2Config(n_embd=16, n_layer=2, n_head=2, **IDS),
    "qwen2": Qwen2Config(**GROUPED, **IDS),
    "qwen3": Qwen3Config(**GROUPED, head_dim=8, **IDS),
    "mistral-window": MistralConfig(**GROUPED, sliding_window=4, **IDS),
}
ENCODERS = {
    "bert": BertConfig(**SIZES, **STILL, **IDS),
    "xlm-roberta": XLMRobertaConfig(**SIZES, **STILL, **IDS, max_position_embeddings=20),
}
SEQUENCES = [[[7, 8, 9], [10], [11], [12, 13, 14, 15, 16]], [[9, 8], [7, 7, 7, 7, 7], [39]], [[20], [21, 22]]]


def model_of(config: PretrainedConfig, attention: str = "sdpa") -> PreTrainedModel:
    auto = AutoModelForMaskedLM if config.model_type in ENCODERS else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = auto.from_config(config, dtype=torch.float32, attn_implementation=attention).eval()
    for parameter in model.parameters():
        parameter.data *= 5.0  # at initial size, attention is a small share of the states
    return model


def packed(rows: list[list[list[int]]]) -> tuple[Tensor, Tensor]:
    """Token ids and positions, [rows, length]; pads at position 0."""
    length = max(sum(map(len, row)) for row in rows)
    ids = [[token for sequence in row for token in sequence] for row in rows]
    positions = [[place for sequence in row for place in range(len(sequence))] for row in rows]
    fill = lambda row, value: row + [value] * (length - len(row))  # noqa: E731
    return torch.tensor([fill(row, 3) for row in ids]), torch.tensor([fill(row, 0) for row in positions])


def states(model: PreTrainedModel, inputs: dict[str, Any]) -> Tensor:
    return model.base_model(**inputs).last_hidden_state.flatten(0, 1)


def check_apart(model: PreTrainedModel) -> None:
    """Every sequence's states are those that the model gives to it alone, and so are the gradients."""
    ids, positions = packed(SEQUENCES)
    found = states(model, packed_inputs(model, ids, positions))
    alone = [states(model, {"input_ids": torch.tensor([sequence])}) for row in SEQUENCES for sequence in row]
    lengths = [sum(map(len, row)) for row in SEQUENCES]
    where = torch.cat([torch.arange(n) + row * ids.shape[1] for row, n in enumerate(lengths)])
    expected = torch.cat(alone)
    # Products of float32 matrices of other shapes: some units in the last place of states of about 1.
    torch.testing.assert_close(found[where], expected, rtol=1e-4, atol=1e-5)
    weight = torch.linspace(-1, 1, expected.numel()).view_as(expected)
    parameters = [p for p in model.base_model.parameters() if p.requires_grad]
    ours = torch.autograd.grad((found[where] * weight).sum(), parameters, allow_unused=True)
    theirs = torch.autograd.grad((expected * weight).sum(), parameters, allow_unused=True)
    for mine, other in zip(ours, theirs, strict=True):
        if other is not None:
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()) + 1e-6)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", [*CAUSAL, *ENCODERS])
def test_a_packed_sequence_is_read_as_if_alone(name: str, attention: str) -> None:
    model = model_of({**CAUSAL, **ENCODERS}[name], attention)
    check_apart(model)
    refuse_leaks(model)


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "bert"])
def test_flash_attention_gets_the_borders(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flash attention itself needs a GPU; in its place stands a loop over the borders that it is given."""
    from transformers import modeling_flash_attention_utils as flash

    def varlen(q: Tensor, k: Tensor, v: Tensor, *, cu_seqlens_q: Tensor, causal: bool, **_: Any) -> Tensor:
        parts = []
        for begin, end in zip(cu_seqlens_q[:-1].tolist(), cu_seqlens_q[1:].tolist(), strict=True):
            query, key, value = (x[begin:end].transpose(0, 1) for x in (q, k, v))  # [heads, tokens, width]
            parts.append(F.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True))
        return torch.cat(parts, dim=1).transpose(0, 1)

    def no_borders(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
        query, key, value = (x.transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(query, key, value, is_causal=name != "bert").transpose(1, 2)

    def keywords(**given: Any) -> dict[str, Any]:
        return {"causal": given["is_causal"]}

    functions = ((no_borders, varlen, None, None, None), (keywords, None))
    monkeypatch.setattr(flash, "lazy_import_flash_attention", lambda *_, **__: functions)
    model = model_of({**CAUSAL, **ENCODERS}[name])
    model.config._attn_implementation = "flash_attention_2"
    check_apart(model)


def test_a_model_that_mixes_sequences_is_refused() -> None:
    """A recurrent model carries its state over every border."""
    mamba = model_of(MambaConfig(hidden_size=16, num_hidden_layers=2, state_size=4, **IDS), "eager")
    with pytest.raises(PrealignError, match=r"Sequences in one row of a mamba model .* see each other"):
        refuse_leaks(mamba.train())
    assert mamba.training


def test_positions_that_do_not_start_again_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apart, but the second sequence has the positions of a later place in the row."""
    model = model_of(CAUSAL["gpt2"])
    plain = model.transformer.wpe.forward
    monkeypatch.setattr(model.transformer.wpe, "forward", lambda ids: plain(torch.arange(ids.shape[-1])[None]))
    with pytest.raises(PrealignError, match="positions that start again"):
        refuse_leaks(model)


def test_an_encoder_that_takes_no_mask_of_pairs_is_refused_with_a_sentence() -> None:
    model = AutoModelForMaskedLM.from_config(DebertaV2Config(**SIZES, **IDS), dtype=torch.float32)
    with pytest.raises(PrealignError, match=r"Sequences in one row of a deberta-v2 model .* cannot be read \("):
        refuse_leaks(model)


def test_a_compiled_model_is_tried_out_without_compiling_it() -> None:
    compiled: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        compiled.append(len(inputs))
        return graph.forward

    causal, encoder = model_of(CAUSAL["llama"]), model_of(ENCODERS["bert"])
    for model in (causal, encoder):
        model.base_model.compile(backend=backend)
        refuse_leaks(model)
    assert head_is_plain(causal)
    assert head_modules(encoder)
    assert not compiled


def test_a_model_is_tried_out_once_and_not_kept_alive() -> None:
    asked: list[str] = []
    once = OncePerModel(lambda model: asked.append(model.config.model_type) or len(asked))
    model, other = model_of(CAUSAL["llama"]), model_of(CAUSAL["gpt2"])
    assert [once(model), once(other), once(model)] == [1, 2, 1]
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None

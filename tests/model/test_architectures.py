"""Every architecture that the documentation names goes the whole way: both objectives, the loop, export, measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedModel

from prealign.config.engine import EngineSettings, OptimizerSettings
from prealign.config.init import ModelSettings
from prealign.corpora.store import TokenStream
from prealign.errors import PrealignError
from prealign.evaluation.bits_per_byte import bits_per_byte
from prealign.evaluation.harness import load_model
from prealign.evaluation.masked_lm_loss import masked_lm_loss
from prealign.evaluation.states import mean_states
from prealign.model.build import build_model, longest_row, number_of_parameters
from prealign.objectives.causal_lm import CausalLM, head_is_plain
from prealign.objectives.masked_lm import MaskedLM, Masking, mask_tokens
from prealign.objectives.objective import Objective
from prealign.objectives.word_alignment import WordAlignment
from prealign.objectives.word_states import word_batch
from prealign.train.loop import Task, train

VOCABULARY, LENGTH, MASK = 61, 12, 4
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
GROUPED = {"num_key_value_heads": 1, "head_dim": 8}
CAUSAL: dict[str, dict[str, Any]] = {
    "llama": {**SHAPE, "max_position_embeddings": LENGTH},
    "gpt_neox": {**SHAPE, "max_position_embeddings": LENGTH},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LENGTH},
    "qwen2": {**SHAPE, "num_key_value_heads": 1, "max_position_embeddings": LENGTH},
    "qwen3": {**SHAPE, **GROUPED, "max_position_embeddings": LENGTH},
    "gemma2": {**SHAPE, **GROUPED, "max_position_embeddings": LENGTH},
}
MASKED: dict[str, dict[str, Any]] = {
    "bert": {**SHAPE, "max_position_embeddings": LENGTH},
    "xlm-roberta": {**SHAPE, "max_position_embeddings": LENGTH + 4},  # padding is id 3: positions begin at 4
}
ALL = {**CAUSAL, **MASKED}
SPECIAL = {"bos": 1, "eos": 2, "pad": 3}
MASKING = Masking.of(MASK, VOCABULARY, [0, 1, 2, 3])


def kind_of(name: str) -> str:
    return "masked_lm" if name in MASKED else "causal_lm"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], PreTrainedModel]:
    """Makes a model with random weights from a config folder."""

    def make(name: str) -> PreTrainedModel:
        folder = tmp_path_factory.mktemp(name)
        AutoConfig.for_model(name, **ALL[name]).save_pretrained(folder)
        settings = ModelSettings(kind=kind_of(name), config=str(folder))
        return build_model(settings, vocab_size=VOCABULARY, special=SPECIAL, max_positions=LENGTH, seed=1)

    return make


def tasks_of(name: str) -> Callable[[int], list[Task]]:
    lm: Objective = MaskedLM() if name in MASKED else CausalLM()
    alignment = WordAlignment()

    def make(step: int) -> list[Task]:
        ids = np.random.default_rng(step).integers(5, VOCABULARY, (3, LENGTH))
        hidden, labels = mask_tokens(ids, range(3), MASKING) if name in MASKED else (ids, ids)
        text = {"input_ids": torch.from_numpy(hidden), "labels": torch.from_numpy(labels)}
        words = [[[7], [8, 9]], [[10, 11, 12], [13]], [[14, 15], [16, 17, 18]]]
        return [(text, lm, 1.0), (word_batch(words, range(3), pad_id=3), alignment, 0.5)]

    return make


@pytest.mark.parametrize("name", ALL)
def test_the_whole_way(name: str, fresh: Callable[[str], PreTrainedModel], tmp_path: Path) -> None:
    model = fresh(name)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    outcome = train(
        model,
        max_steps=3,
        micro_batches=tasks_of(name),
        optimizer=OptimizerSettings(learning_rate=1e-2),
        engine=EngineSettings(precision="fp32"),
        folder=tmp_path,
        stage="test",
        facts={},
        seed=1,
        device=torch.device("cpu"),
    )
    model.eval()
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, start[key])}
    assert moved >= {key for key, _ in model.named_parameters()}  # every parameter has been reached

    ids = torch.arange(5, 5 + LENGTH).unsqueeze(0)
    with torch.no_grad():
        expected = model(input_ids=ids).logits
    auto = AutoModelForMaskedLM if name in MASKED else AutoModelForCausalLM
    for reloaded in (auto.from_pretrained(outcome.checkpoint).eval(), load_model(outcome.checkpoint)):
        assert type(reloaded) is type(model)
        with torch.no_grad():
            assert torch.equal(reloaded(input_ids=ids).logits, expected)

    stream = TokenStream(
        tokens=np.array([*range(5, 40), 2, *range(50, 20, -1), 2], dtype=np.uint16),
        document_starts=np.array([0, 36, 67]),
        document_bytes=np.array([35, 30]),
    )
    if name in MASKED:
        assert masked_lm_loss(model, stream, MASKING, block_size=LENGTH, batch_size=2).value > 0
    else:
        assert bits_per_byte(model, stream, block_size=LENGTH, batch_size=2).value > 0
    states = mean_states(model, [[7], [8, 9], [10, 11, 12]], batch_size=2)
    assert states.shape == (4, 3, 16)  # input embeddings, two blocks, output rows
    assert torch.isfinite(states).all()
    with torch.no_grad():
        alone = model(input_ids=torch.tensor([[8, 9]]), output_hidden_states=True).hidden_states
    for layer in (1, 2):
        torch.testing.assert_close(states[layer, 1], alone[layer][0].mean(dim=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_as_many_positions_as_text_may_have(name: str, fresh: Callable[[str], PreTrainedModel], tmp_path: Path) -> None:
    """A row of just so many tokens runs; the next longer block is refused in a sentence."""
    model = fresh(name)
    assert longest_row(model) == LENGTH
    with torch.no_grad():
        model(input_ids=torch.full((1, LENGTH), 7))
    model.save_pretrained(tmp_path)
    settings = ModelSettings(kind=kind_of(name), checkpoint=str(tmp_path))
    with pytest.raises(PrealignError, match=rf"block_size is {LENGTH + 1} and .* has {LENGTH} positions"):
        build_model(settings, vocab_size=VOCABULARY, special={}, max_positions=LENGTH + 1, seed=1)


@pytest.mark.parametrize("name", CAUSAL)
def test_heads(name: str, fresh: Callable[[str], PreTrainedModel]) -> None:
    assert head_is_plain(fresh(name)) == (name != "gemma2")  # Gemma 2 caps its logits


@pytest.mark.parametrize("name", ALL)
def test_embeddings_are_told_from_the_rest(name: str, fresh: Callable[[str], PreTrainedModel]) -> None:
    model = fresh(name)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    size = number_of_parameters(model)
    bias = VOCABULARY if name in MASKED else 0
    assert size["total"] - size["without_embeddings"] == (1 if tied else 2) * VOCABULARY * 16 + bias
    assert size["total"] == sum(parameter.numel() for parameter in model.parameters())

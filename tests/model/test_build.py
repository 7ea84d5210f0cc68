"""Models from presets, configs and checkpoints, and the sentences for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, PreTrainedModel

from prealign.config.init import ModelSettings
from prealign.errors import PrealignError
from prealign.files import read_json, write_json
from prealign.model.build import build_model, number_of_parameters

SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}


def build(seed: int = 1, vocab_size: int = 50, max_positions: int = 16, **settings: Any) -> PreTrainedModel:
    special = {"bos": 1, "eos": 2, "pad": 3}
    return build_model(
        ModelSettings(**settings), vocab_size=vocab_size, special=special, max_positions=max_positions, seed=seed
    )


@pytest.mark.parametrize(
    ("preset", "millions"), [("tiny", 0.85), ("20m", 19.3), ("150m", 151.8), ("400m", 396.5), ("1.3b", 1308.7)]
)
def test_presets_have_the_size_of_their_names(preset: str, millions: float) -> None:
    with torch.device("meta"):  # shapes only
        model = build(preset=preset)
    assert number_of_parameters(model)["without_embeddings"] / 1e6 == pytest.approx(millions, abs=0.05)
    width = model.config.hidden_size
    assert number_of_parameters(model)["total"] - number_of_parameters(model)["without_embeddings"] == 2 * 50 * width
    assert model.config._attn_implementation == "sdpa"


def test_special_tokens_reach_the_config_and_generation() -> None:
    model = build(overrides=SMALL)
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (1, 2, 3)
    assert model.generation_config.eos_token_id == 2


def test_weights_are_keyed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first = build(seed=1, overrides=SMALL).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again, other = build(seed=1, overrides=SMALL).state_dict(), build(seed=2, overrides=SMALL).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_an_override_that_the_config_lacks_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(PrealignError, match=r"no field 'num_layers'\. Did you mean num_hidden_layers\?"):
        build(overrides={"num_layers": 6})


def test_an_override_of_impossible_value_is_a_sentence() -> None:
    with pytest.raises(PrealignError, match=r"hidden_size.*130"):
        build(overrides={"hidden_size": 130})


def test_fields_that_follow_from_others_follow_the_override() -> None:
    assert build(overrides=SMALL).config.head_dim == 32 // 4


def test_config_folder_of_another_architecture(tmp_path: Path) -> None:
    GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64).save_pretrained(tmp_path)
    model = build(config=str(tmp_path), overrides={"attn_pdrop": 0.0})
    assert model.config.model_type == "gpt2"
    assert model.get_input_embeddings().num_embeddings == 50
    assert model.config.attn_pdrop == 0.0
    with pytest.raises(PrealignError, match=r"block_size is 65 and .* has 64 positions"):
        build(config=str(tmp_path), max_positions=65)


def test_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    model = build(overrides=SMALL)
    model.save_pretrained(tmp_path)
    loaded = build(seed=9, checkpoint=str(tmp_path))
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


def test_vocabulary_larger_than_the_embeddings(tmp_path: Path) -> None:
    build(overrides=SMALL).save_pretrained(tmp_path)
    with pytest.raises(PrealignError, match=r"tokenizer has 51 ids and .* embeds 50"):
        build(vocab_size=51, checkpoint=str(tmp_path))


def test_foreign_code_and_empty_folders_are_refused(tmp_path: Path) -> None:
    build(overrides=SMALL).save_pretrained(tmp_path)
    config = read_json(tmp_path / "config.json")
    write_json(tmp_path / "config.json", {**config, "auto_map": {"AutoConfig": "theirs.Config"}})
    with pytest.raises(PrealignError, match="code of its own"):
        build(checkpoint=str(tmp_path))
    write_json(tmp_path / "config.json", {**config, "model_type": "unheard-of"})
    with pytest.raises(PrealignError, match="model_type 'unheard-of'"):
        build(config=str(tmp_path))
    with pytest.raises(PrealignError, match="no Hugging Face config"):
        build(config=str(tmp_path / "nothing"))

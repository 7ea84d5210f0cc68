"""Models from presets, configs and checkpoints, and the sentences for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, PreTrainedModel

from prealign.config.init import ModelSettings
from prealign.errors import PrealignError
from prealign.evaluation.harness import load_model
from prealign.files import read_json, write_json
from prealign.model.build import build_model, longest_row, number_of_parameters

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


@pytest.mark.parametrize(("preset", "millions"), [("tiny", 0.8), ("base", 85.6)])
def test_presets_of_encoders(preset: str, millions: float) -> None:
    with torch.device("meta"):
        model = build(kind="masked_lm", preset=preset)
    assert model.config.model_type == "xlm-roberta"
    assert number_of_parameters(model)["without_embeddings"] / 1e6 == pytest.approx(millions, abs=0.1)
    assert model.config.max_position_embeddings == 16 + 4  # padding is id 3, so positions begin at 4
    assert longest_row(model) == 16


def test_a_preset_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no preset base of kind causal_lm; there are tiny, 20m, 150m"):
        ModelSettings(preset="base")
    with pytest.raises(ValueError, match="there is no preset 20m of kind masked_lm; there are tiny, base"):
        ModelSettings(kind="masked_lm", preset="20m")


def test_an_encoder_is_no_causal_model_and_a_causal_model_no_encoder(tmp_path: Path) -> None:
    encoder, causal = tmp_path / "encoder", tmp_path / "causal"
    build(kind="masked_lm", overrides={"hidden_size": 32, "num_hidden_layers": 1}).save_pretrained(encoder)
    build(overrides=SMALL).save_pretrained(causal)
    for place in ("checkpoint", "config"):
        with pytest.raises(PrealignError, match=r"type xlm-roberta, which reads a text from both sides.*masked_lm"):
            build(**{place: str(encoder)})
        with pytest.raises(PrealignError, match=r"type llama, of which transformers has no masked language model"):
            build(kind="masked_lm", **{place: str(causal)})


def test_an_existing_model_comes_in_float32_with_its_ties_and_its_way_of_generating(tmp_path: Path) -> None:
    model = build(overrides={**SMALL, "tie_word_embeddings": True})
    model.generation_config.max_new_tokens = 17
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded = build(checkpoint=str(tmp_path))
    assert loaded.dtype == torch.float32
    assert loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight
    loaded.save_pretrained(tmp_path / "again")
    again = build(checkpoint=str(tmp_path / "again"))
    assert again.generation_config.max_new_tokens == 17
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_a_checkpoint_without_all_weights_is_refused(tmp_path: Path) -> None:
    model = build(overrides=SMALL)
    model.model.save_pretrained(tmp_path)  # the base model without its head
    with pytest.raises(PrealignError, match=r"lacks 1 of the weights of a causal language model \(lm_head\.weight"):
        build(checkpoint=str(tmp_path))
    model.save_pretrained(tmp_path)
    with pytest.raises(PrealignError, match=r"lacks 9 of the weights"):
        build(checkpoint=str(tmp_path), overrides={"num_hidden_layers": 3})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([1], "is no JSON object|no Hugging Face config"),
        (
            {"model_type": "llama", "hidden_size": "wide"},
            r"llama does not take the values of its config\.json.*hidden_size",
        ),
        ({"model_type": "t5"}, r"of type t5, of which transformers cannot make a causal language model"),
        ({"model_type": "gemma3"}, "gemma3 is no model of text alone"),
    ],
)
def test_configs_that_make_no_model_of_text(tmp_path: Path, config: Any, message: str) -> None:
    write_json(tmp_path / "config.json", config)
    with pytest.raises(PrealignError, match=message):
        build(config=str(tmp_path))


def test_weights_that_were_cut_off_or_quantised_by_another_library(tmp_path: Path) -> None:
    build(overrides=SMALL).save_pretrained(tmp_path)
    config = read_json(tmp_path / "config.json")
    absent = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    write_json(tmp_path / "config.json", {**config, "quantization_config": absent})
    for load in (lambda: build(checkpoint=str(tmp_path)), lambda: load_model(tmp_path)):
        with pytest.raises(PrealignError, match=r"bitsandbytes|quantiz"):
            load()
    write_json(tmp_path / "config.json", config)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    for load in (lambda: build(checkpoint=str(tmp_path)), lambda: load_model(tmp_path)):
        with pytest.raises(PrealignError, match=r"could not be loaded|could be read"):
            load()


def test_weights_without_a_place_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(overrides=SMALL).save_pretrained(tmp_path)
    model = build(checkpoint=str(tmp_path), overrides={"num_hidden_layers": 1})
    assert len(model.model.layers) == 1
    assert "9 weights that the model has no place for (model.layers.1." in caplog.text

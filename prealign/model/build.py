"""The model that is trained: a preset with random weights, a Hugging Face config, or a checkpoint.

Everything here is a plain Hugging Face model, so that what comes out at the end loads without this package. Random
weights are keyed by the seed: the same on every rank and machine, and torch's own generator is left as it was.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel

from prealign import draws
from prealign.config.init import ModelSettings
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

# Parameters without embeddings: 0.9, 19, 152, 396 and 1,309 million.
PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 384},
    "20m": {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 1408},
    "150m": {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16, "intermediate_size": 2752},
    "400m": {"hidden_size": 1280, "num_hidden_layers": 20, "num_attention_heads": 20, "intermediate_size": 3456},
    "1.3b": {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 6144},
}
SPECIAL = ("bos", "eos", "pad")


def build_model(
    settings: ModelSettings, *, vocab_size: int, special: Mapping[str, int | None], max_positions: int, seed: int
) -> PreTrainedModel:
    """Make or load the model that a stage starts from, in float32.

    Args:
        settings: where it comes from, and fields of its config to change.
        vocab_size: ids of the tokenizer, `len(tokenizer)`.
        special: ids under "bos", "eos" and "pad"; written into the config.
        max_positions: the longest row that will be given to it.
        seed: key of random weights.
    Raises:
        PrealignError: an unknown config field, a folder that holds no model, too small a vocabulary, too few
        positions.
    """
    if settings.checkpoint is not None:
        return _from_checkpoint(settings, vocab_size, max_positions)
    config = _new_config(settings, vocab_size, max_positions)
    for name in SPECIAL:
        setattr(config, f"{name}_token_id", special.get(name))
    _check_size(config, vocab_size, max_positions, "the model's config")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(draws.key(seed, "weights"))
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False, dtype=torch.float32)
    model.generation_config.update(**{f"{name}_token_id": special.get(name) for name in SPECIAL})
    return model


def number_of_parameters(model: PreTrainedModel) -> dict[str, int]:
    """Parameters: `total`, and `without_embeddings` (input and output embeddings left out; tied ones counted once)."""
    total = {id(parameter): parameter.numel() for parameter in model.parameters()}
    embeddings = [model.get_input_embeddings(), model.get_output_embeddings()]
    inner = dict(total)
    for layer in embeddings:
        if layer is not None:
            inner.pop(id(layer.weight), None)
    return {"total": sum(total.values()), "without_embeddings": sum(inner.values())}


def _new_config(settings: ModelSettings, vocab_size: int, max_positions: int) -> PretrainedConfig:
    """The config of a model with random weights."""
    overrides = dict(settings.overrides)
    if settings.config is None:
        shape = {**PRESETS[settings.preset], "vocab_size": vocab_size, "max_position_embeddings": max_positions}
        return _make_config(LlamaConfig, {**shape, "tie_word_embeddings": False}, overrides)
    kind, fields = _read_config(settings.config)
    # Random rows are as good for one vocabulary as for another; positions belong to the architecture and stay.
    if fields.get("vocab_size") != vocab_size:
        log.info("%s: vocab_size %s becomes %s, the tokenizer's", settings.config, fields.get("vocab_size"), vocab_size)
    return _make_config(kind, fields, {"vocab_size": vocab_size, **overrides})


def _from_checkpoint(settings: ModelSettings, vocab_size: int, max_positions: int) -> PreTrainedModel:
    place = str(settings.checkpoint)
    config = _make_config(*_read_config(place), dict(settings.overrides))
    _check_size(config, vocab_size, max_positions, place)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            place, config=config, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise PrealignError(f"{place} could not be loaded as a causal language model: {error}") from error
    # Weights straight from a file may lie at any address, where matrix products can round differently; a resumed run
    # would then differ in the last bit from one that went on.
    for parameter in model.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    return model


def _read_config(place: str) -> tuple[type[PretrainedConfig], dict[str, Any]]:
    """Config class and fields of a model folder or hub name."""
    try:
        fields, _ = PretrainedConfig.get_config_dict(place)
    except (OSError, ValueError) as error:
        raise PrealignError(f"{place} holds no Hugging Face config that can be read: {error}") from error
    if "auto_map" in fields:
        raise PrealignError(
            f"{place} asks for code of its own (auto_map in config.json), which is never run here. "
            "Use an architecture that transformers itself has."
        )
    if fields.get("model_type") not in CONFIG_MAPPING:
        raise PrealignError(
            f"{place}: config.json has model_type {fields.get('model_type')!r}, which this transformers does not know."
        )
    return CONFIG_MAPPING[fields["model_type"]], fields


def _make_config(kind: type[PretrainedConfig], fields: dict[str, Any], overrides: dict[str, Any]) -> PretrainedConfig:
    """A config with some fields changed; one that the class does not have is refused with the nearest name."""
    known = sorted(key for key in kind(**fields).to_dict() if not key.startswith("_"))
    for field in overrides:
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Its fields are: {', '.join(known)}."
            raise PrealignError(f"model.overrides: {kind.model_type} configs have no field {field!r}. {hint}")
    try:
        # Made in one go, so that fields which follow from others (the width of a head) follow from the new values.
        return kind(**{**fields, **overrides})
    except Exception as error:  # each transformers version checks with exceptions of its own
        raise PrealignError(f"model: {kind.model_type} does not take these values ({overrides}): {error}") from error


def _check_size(config: PretrainedConfig, vocab_size: int, max_positions: int, place: str) -> None:
    if config.vocab_size < vocab_size:
        raise PrealignError(
            f"The tokenizer has {vocab_size:,} ids and {place} embeds {config.vocab_size:,}. "
            "Use the tokenizer that belongs to the model, or a model with a larger vocabulary."
        )
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and positions < max_positions:
        raise PrealignError(
            f"pretrain.block_size is {max_positions:,} and {place} has {positions:,} positions "
            "(max_position_embeddings). Use shorter blocks, or a model with more positions."
        )

"""The model that is trained: a preset with random weights, a Hugging Face config, or a checkpoint (docs/models.md).

Everything here is a plain Hugging Face model, causal or masked, so that what comes out at the end loads without this
package. Random weights are keyed by the seed: the same on every rank and machine, and torch's own generator is left as
it was.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)

from prealign import draws
from prealign.config.init import ModelSettings
from prealign.errors import PrealignError
from prealign.hub import refuse_unreachable
from prealign.model.vocabulary import add_rows

log = logging.getLogger(__name__)

# Parameters without embeddings: 0.9, 19, 152, 396 and 1,309 million.
PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 384},
    "20m": {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 1408},
    "150m": {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16, "intermediate_size": 2752},
    "400m": {"hidden_size": 1280, "num_hidden_layers": 20, "num_attention_heads": 20, "intermediate_size": 3456},
    "1.3b": {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 6144},
}
# The same of encoders: 0.8 and 85.6 million. `base` is the shape of XLM-R base.
MASKED_PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
}
SPECIAL = ("bos", "eos", "pad")
AUTO_CLASSES = {"causal_lm": AutoModelForCausalLM, "masked_lm": AutoModelForMaskedLM}
NOT_LOADED = (OSError, ValueError, RuntimeError, ImportError, SafetensorError)
"""What transformers raises on weights that are missing, cut off, of other shapes, or quantised by a library that is not
there."""
KIND_NAMES = {"causal_lm": "a causal language model", "masked_lm": "a masked language model"}


def build_model(
    settings: ModelSettings,
    *,
    vocab_size: int,
    special: Mapping[str, int | None],
    max_positions: int,
    seed: int,
    new_pieces: Mapping[int, Sequence[int]] | None = None,
) -> PreTrainedModel:
    """Make or load the model that a stage starts from, in float32.

    Args:
        settings: where it comes from, and fields of its config to change.
        vocab_size: ids of the tokenizer, the largest + 1 (`corpora.text_tokenizer.n_ids`).
        special: ids under "bos", "eos" and "pad"; written into the config.
        max_positions: the longest row that will be given to it.
        seed: key of random weights.
        new_pieces: ids that an extended tokenizer has and a checkpoint does not know, with the old ids that stood for
            them (`tokenizer.extend.read_new_pieces`); they get rows of their own.
    Raises:
        PrealignError: an unknown config field, a folder that holds no model or one of another kind, weights that are
        missing from it, too small a vocabulary, too few positions.
    """
    if settings.checkpoint is not None:
        model = _from_checkpoint(settings, vocab_size, new_pieces or {})
        place = settings.checkpoint
    else:
        model = _with_random_weights(settings, vocab_size, special, max_positions, seed)
        place = settings.config or "the model's config"
    _check_positions(model, max_positions, place)
    return model


def number_of_parameters(model: PreTrainedModel) -> dict[str, int]:
    """Parameters: `total`, and `without_embeddings`, which leaves out everything that has one row per id (input and
    output embeddings and the output bias); tied ones are counted once."""
    total = {id(parameter): parameter.numel() for parameter in model.parameters()}
    inner = dict(total)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        for parameter in layer.parameters() if layer is not None else ():
            inner.pop(id(parameter), None)
    return {"total": sum(total.values()), "without_embeddings": sum(inner.values())}


def longest_row(model: PreTrainedModel) -> int | None:
    """Positions that a row may have; None where there is no limit.

    XLM-R and its relatives number positions from behind the id of padding, so padding id + 1 of their position
    embeddings are never used for text.
    """
    limit: int | None = getattr(model.config, "max_position_embeddings", None)
    unused = [
        module.padding_idx + 1
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings") and module.padding_idx is not None
    ]
    return limit if limit is None else limit - max(unused, default=0)


def _with_random_weights(
    settings: ModelSettings, vocab_size: int, special: Mapping[str, int | None], max_positions: int, seed: int
) -> PreTrainedModel:
    config = _new_config(settings, vocab_size, max_positions, special.get("pad") or 0)
    for name in SPECIAL:
        setattr(config, f"{name}_token_id", special.get(name))
    place = settings.config or "the model's config"
    _check_kind(config, settings.kind, place)
    _check_vocabulary(config, vocab_size, place)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(draws.key(seed, "weights"))
        try:
            model = AUTO_CLASSES[settings.kind].from_config(config, trust_remote_code=False, dtype=torch.float32)
        except Exception as error:  # as in `_make_config`
            raise PrealignError(
                f"{place} is of type {config.model_type}, of which transformers cannot make "
                f"{KIND_NAMES[settings.kind]}: {_reason(error)}"
            ) from error
    if settings.kind == "causal_lm":  # a masked model generates nothing
        model.generation_config.update(**{f"{name}_token_id": special.get(name) for name in SPECIAL})
    return model


def _new_config(settings: ModelSettings, vocab_size: int, max_positions: int, pad_id: int) -> PretrainedConfig:
    """The config of a model with random weights."""
    overrides = dict(settings.overrides)
    if settings.config is None and settings.kind == "causal_lm":
        shape = {**PRESETS[settings.preset], "vocab_size": vocab_size, "max_position_embeddings": max_positions}
        return _make_config(LlamaConfig, {**shape, "tie_word_embeddings": False}, overrides)
    if settings.config is None:
        positions = max_positions + pad_id + 1  # see `longest_row`
        shape = {**MASKED_PRESETS[settings.preset], "vocab_size": vocab_size, "max_position_embeddings": positions}
        return _make_config(XLMRobertaConfig, {**shape, "pad_token_id": pad_id, "type_vocab_size": 1}, overrides)
    kind, fields = _read_config(settings.config)
    # Random rows are as good for one vocabulary as for another; positions belong to the architecture and stay.
    if fields.get("vocab_size") != vocab_size:
        log.info("%s: vocab_size %s becomes %s, the tokenizer's", settings.config, fields.get("vocab_size"), vocab_size)
    return _make_config(kind, fields, {"vocab_size": vocab_size, **overrides})


def _from_checkpoint(
    settings: ModelSettings, vocab_size: int, new_pieces: Mapping[int, Sequence[int]]
) -> PreTrainedModel:
    place = str(settings.checkpoint)
    config = _make_config(*_read_config(place), dict(settings.overrides))
    _check_kind(config, settings.kind, place)
    _check_vocabulary(config, vocab_size - len(new_pieces), place)
    try:
        model, loading = AUTO_CLASSES[settings.kind].from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except NOT_LOADED as error:
        raise PrealignError(f"{place} could not be loaded as {KIND_NAMES[settings.kind]}: {_reason(error)}") from error
    if missing := sorted(loading["missing_keys"]):
        raise PrealignError(
            f"{place} lacks {len(missing)} of the weights of {KIND_NAMES[settings.kind]} ({missing[0]}, ...), which "
            "would be random. Use a checkpoint that was saved with its head, and overrides that keep its shape."
        )
    if unknown := sorted(loading["unexpected_keys"]):
        log.warning(
            "%s holds %s weights that the model has no place for (%s, ...): they are left out, as they should be when "
            "model.overrides take layers away or the head is another one.",
            place, f"{len(unknown):,}", unknown[0],
        )  # fmt: skip
    # Weights straight from a file may lie at any address, where matrix products can round differently; a resumed run
    # would then differ in the last bit from one that went on.
    for parameter in model.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    add_rows(model, new_pieces)
    return model


def _read_config(place: str) -> tuple[type[PretrainedConfig], dict[str, Any]]:
    """Config class and fields of a model folder or hub name."""
    refuse_unreachable(place)
    try:
        fields, _ = PretrainedConfig.get_config_dict(place)
    except (OSError, ValueError) as error:
        raise PrealignError(f"{place} holds no Hugging Face config that can be read: {error}") from error
    if not isinstance(fields, dict):
        raise PrealignError(f"{place}: config.json is no JSON object, so it is no Hugging Face config.")
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
    try:
        given = kind(**fields)
    except Exception as error:  # each transformers version checks with exceptions of its own
        raise PrealignError(
            f"model: {kind.model_type} does not take the values of its config.json: {_reason(error)}"
        ) from error
    if not hasattr(given, "vocab_size"):
        raise PrealignError(
            f"model: {kind.model_type} is no model of text alone (its config has no vocab_size of its own). Take the "
            "text model that belongs to it."
        )
    known = sorted(key for key in given.to_dict() if not key.startswith("_"))
    for field in overrides:
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Its fields are: {', '.join(known)}."
            raise PrealignError(f"model.overrides: {kind.model_type} configs have no field {field!r}. {hint}")
    try:
        # Made in one go, so that fields which follow from others (the width of a head) follow from the new values.
        return kind(**{**fields, **overrides})
    except Exception as error:  # as above
        raise PrealignError(f"model: {kind.model_type} does not take these values ({overrides}): {error}") from error


def _reason(error: Exception) -> str:
    """What went wrong, on one line and without the lists that transformers puts behind it."""
    return " ".join(str(error).split())[:240] or type(error).__name__


def _check_kind(config: PretrainedConfig, kind: str, place: str) -> None:
    """Refuse an encoder where a causal model is asked for: transformers would load it and let it see the answers."""
    if kind == "causal_lm" and type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False):
        raise PrealignError(
            f"{place} is of type {config.model_type}, which reads a text from both sides, so that it cannot be trained "
            "to predict the next token. Set model.kind to masked_lm."
        )
    if kind == "masked_lm" and type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise PrealignError(
            f"{place} is of type {config.model_type}, of which transformers has no masked language model. "
            "Set model.kind to causal_lm, or take an encoder."
        )


def _check_vocabulary(config: PretrainedConfig, vocab_size: int, place: str) -> None:
    if config.vocab_size < vocab_size:
        raise PrealignError(
            f"The tokenizer has {vocab_size:,} ids and {place} embeds {config.vocab_size:,}. "
            "Use the tokenizer that belongs to the model, or a model with a larger vocabulary."
        )


def _check_positions(model: PreTrainedModel, max_positions: int, place: str) -> None:
    positions = longest_row(model)
    if positions is not None and positions < max_positions:
        raise PrealignError(
            f"pretrain.block_size is {max_positions:,} and {place} has {positions:,} positions "
            "(max_position_embeddings). Use shorter blocks, or a model with more positions."
        )

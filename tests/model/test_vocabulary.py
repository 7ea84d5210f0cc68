"""New rows: means of old ones, in every table that has a row per id; nothing else moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedModel

from prealign.config.init import ModelSettings
from prealign.errors import PrealignError
from prealign.model.build import build_model
from prealign.model.vocabulary import add_rows

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
IDS = {"vocab_size": 40, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2}
KINDS = {
    "llama": {},
    "llama-tied": {"tie_word_embeddings": True},
    "gpt_neox": {},
    "phi": {},  # has an output bias
    "gemma2": {"num_key_value_heads": 1, "head_dim": 8},  # caps its logits
    "bert": {},
    "xlm-roberta": {},
}
PIECES = {40: [5, 6], 41: [7], 42: [8, 9, 9]}
"""New id -> old ids; the last piece was written with one token twice."""


def model_of(name: str, **more: object) -> PreTrainedModel:
    kind = name.removesuffix("-tied")
    config = AutoConfig.for_model(kind, **{**SHAPE, **IDS, **KINDS[name], **more})
    auto = AutoModelForMaskedLM if kind in ("bert", "xlm-roberta") else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = auto.from_config(config, dtype=torch.float32).eval()
        for name, parameter in model.named_parameters():
            if "bias" in name:
                torch.nn.init.normal_(parameter)
    return model


@torch.no_grad()
def logits(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids])).logits[0]


@pytest.mark.parametrize("name", KINDS)
def test_old_text_has_the_logits_it_had_and_new_ids_the_means(name: str) -> None:
    model = model_of(name)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    before = logits(model, [5, 9, 11, 30])
    add_rows(model, PIECES)
    after = logits(model, [5, 9, 11, 30])
    assert torch.equal(after[:, :40], before)
    assert after.shape[1] == model.config.vocab_size == 43
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) == tied
    embedded = model.get_input_embeddings().weight
    torch.testing.assert_close(embedded[40], (embedded[5] + embedded[6]) / 2)
    assert torch.equal(embedded[41], embedded[7])
    torch.testing.assert_close(embedded[42], (embedded[8] + 2 * embedded[9]) / 3)
    if name != "gemma2":  # whose cap is no linear function
        torch.testing.assert_close(after[:, 40], (before[:, 5] + before[:, 6]) / 2)
        torch.testing.assert_close(after[:, 42], (before[:, 8] + 2 * before[:, 9]) / 3)


def test_padded_rows_are_used_and_embeddings_never_shrink() -> None:
    model = model_of("llama", vocab_size=64)
    before = model.get_output_embeddings().weight.detach().clone()
    add_rows(model, PIECES)
    now = model.get_output_embeddings().weight
    assert now.shape == (64, 16)
    assert torch.equal(now[[*range(40), *range(43, 64)]], before[[*range(40), *range(43, 64)]])
    torch.testing.assert_close(now[40], (before[5] + before[6]) / 2)


def test_nothing_new_changes_nothing() -> None:
    model = model_of("llama")
    add_rows(model, {})
    assert model.config.vocab_size == 40


@pytest.mark.parametrize(("name", "kind"), [("llama", "causal_lm"), ("xlm-roberta", "masked_lm")])
def test_a_checkpoint_with_an_extended_tokenizer(name: str, kind: str, tmp_path: Path) -> None:
    model_of(name).save_pretrained(tmp_path)
    settings = ModelSettings(kind=kind, checkpoint=str(tmp_path))
    arguments = {"special": {}, "max_positions": 16, "seed": 1}
    model = build_model(settings, vocab_size=43, new_pieces=PIECES, **arguments)
    torch.testing.assert_close(logits(model.eval(), [5, 9])[:, :40], logits(model_of(name), [5, 9]), rtol=0, atol=0)
    model.save_pretrained(tmp_path / "again")
    again = build_model(ModelSettings(kind=kind, checkpoint=str(tmp_path / "again")), vocab_size=43, **arguments)
    assert torch.equal(logits(again.eval(), [40, 42]), logits(model, [40, 42]))
    with pytest.raises(PrealignError, match=r"tokenizer has 41 ids and .* embeds 40"):
        build_model(settings, vocab_size=44, new_pieces=PIECES, **arguments)

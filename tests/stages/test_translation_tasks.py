"""What a tokenizer has for the borders of sentences, and layers that a model lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from prealign.config.init import PRESETS_OF_KIND
from prealign.config.translations import ContrastSettings
from prealign.errors import PrealignError
from prealign.model.build import MASKED_PRESETS, PRESETS
from prealign.stages.translation_tasks import check_layer, marks_of
from prealign.stages.translations import Marks
from prealign.tokenizer.load import load_tokenizer

NAMES = ("bos", "eos", "cls", "sep", "pad")
TOKENS = ["<unk>", *(f"<{name}>" for name in NAMES), "<s>", "</s>"]
XLM_R = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>"}


def saved(folder: Path, special: dict[str, str]) -> PreTrainedTokenizerFast:
    """A tokenizer with these special tokens, as a hub would hold it; XLM-R's joins two texts by two ends."""
    core = Tokenizer(models.WordLevel({token: number for number, token in enumerate(TOKENS)}, unk_token="<unk>"))
    if special is XLM_R:
        core.post_processor = processors.RobertaProcessing(("</s>", 7), ("<s>", 6))
    named = {f"{name}_token": token for name, token in special.items()}
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", **named).save_pretrained(folder)
    return load_tokenizer(folder)


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        pytest.param(XLM_R, Marks(6, 7, 5), id="xlm-r"),
        pytest.param({"cls": "<cls>", "sep": "<sep>", "pad": "<pad>"}, Marks(3, 4, 5), id="bert"),
        pytest.param({"bos": "<bos>", "eos": "<eos>", "pad": "<pad>"}, Marks(1, 2, 5), id="own, llama"),
        pytest.param({"eos": "<eos>", "pad": "<pad>"}, Marks(None, 2, 5), id="qwen"),
    ],
)
def test_each_model_has_its_own_borders(special: dict[str, str], expected: Marks, tmp_path: Path) -> None:
    assert marks_of(saved(tmp_path, special)) == expected


def test_one_end_behind_each_sentence(tmp_path: Path) -> None:
    tokenizer = saved(tmp_path, XLM_R)
    assert tokenizer("<unk>", "<unk>").input_ids == [6, 0, 7, 7, 0, 7], "what the tokenizer would do"
    assert marks_of(tokenizer).around([0], [0]) == [6, 0, 7, 0, 7], "as InfoXLM's published code does"


def test_blocks_of_presets_stand_in_two_places() -> None:
    shapes = {"causal_lm": PRESETS, "masked_lm": MASKED_PRESETS}
    blocks = {kind: {name: shape["num_hidden_layers"] for name, shape in of.items()} for kind, of in shapes.items()}
    assert blocks == PRESETS_OF_KIND


def test_a_layer_that_the_model_lacks() -> None:
    shape = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 1, "intermediate_size": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=8, **shape))
    check_layer(ContrastSettings(layer=3), model)
    with pytest.raises(PrealignError, match=r"layer is 4, but this model has blocks 1 to 3.*which is 2 here"):
        check_layer(ContrastSettings(layer=4), model)

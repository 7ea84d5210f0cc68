"""What the model is asked to predict: small cases in several scripts, to be checked by eye (docs/method.md, 3)."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.dictionary.dictionary import Dictionary

PIECES = [
    "▁The", "▁ho", "use", "▁is", "▁old", "▁H", "aus", "▁alt", "▁房子", "▁стар", "ый", "▁البي", "ت", "▁قديم",
    "China", "我", "爱", "中国", "河", "บ้าน", "เก่า", "แมว", "cat",
]  # fmt: skip
NOTHING = "-"
# (entry, text) -> what stands in the input, and below it what has to be predicted from there
CASES = {
    "a longer word by a longer one": (
        "en", ("house", "Haus"), "The house is old",
        "▁The ▁H  aus ▁is  ▁old",
        "▁ho  -   ▁is ▁old -",
    ),
    "by a single token of another script": (
        "en", ("house", "房子"), "The house is old",
        "▁The ▁房子 ▁is ▁old",
        "▁ho  ▁is  ▁old -",
    ),
    "by two tokens": (
        "en", ("old", "старый"), "The house is old",
        "▁The ▁ho use ▁is  ▁стар ый",
        "▁ho  use ▁is ▁old -     -",
    ),
    "right to left": (
        "ar", ("البيت", "house"), "البيت قديم",
        "▁ho use ▁قديم",
        "-   ▁قديم -",
    ),
    "Chinese, no space invented": (
        "zh", ("中国", "China"), "我爱中国,河",
        "▁ 我 爱   China , 河",
        "我 爱 中国 ,     河 -",
    ),
    "Thai, inside running text": (
        "th", ("บ้าน", "cat"), "แมวบ้านเก่า",
        "▁   แมว  cat  เก่า",
        "แมว บ้าน เก่า -",
    ),
    "two neighbours, and the end of the row": (
        "en", ("old", "alt"), "is old old",
        "▁is  ▁alt ▁alt",
        "▁old ▁old -",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A vocabulary small enough to read; single letters fill the gaps."""
    letters = sorted(set("".join(PIECES) + string.ascii_letters + string.punctuation) - {"▁"})
    pieces = list(dict.fromkeys(["<unk>", "<pad>", "▁", *PIECES, *letters]))
    vocabulary = [(piece, -float(1 + 9 * (len(piece) == 1 and piece not in PIECES))) for piece in pieces]
    backend = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", name_or_path="small")


def switched(
    tokenizer: Any, language: str, entry: tuple[str, str], text: str, **options: Any
) -> tuple[list[str], list[str]]:
    """Pieces of the input, and for each position what has to be predicted from it (the labels moved by one)."""
    table = CodeSwitchTable.compile([Dictionary.from_pairs([entry], language, "x-other")], tokenizer)
    ids = np.array(tokenizer(text)["input_ids"])
    done = switch_rows(table, [ids], keys=np.zeros(1, dtype=np.uint64), ratio=1.0, **options)
    labels = [*done.labels[0, 1:].tolist(), -100]
    names = tokenizer.convert_ids_to_tokens
    return names(done.input_ids[0].tolist()), [NOTHING if label == -100 else names(label) for label in labels]


@pytest.mark.parametrize("case", CASES)
def test_input_only(case: str, tokenizer: Any) -> None:
    language, entry, text, inputs, predictions = CASES[case]
    assert switched(tokenizer, language, entry, text) == (inputs.split(), predictions.split())


# (entry, text, input) -> what has to be predicted from each position of the input, by rule
RULES = {
    "English": (
        "en", ("house", "Haus"), "The house is old",
        "▁The ▁H  aus ▁is  ▁old", {
            "input_only": "▁ho - ▁is ▁old -",
            "both": "▁H aus ▁is ▁old -",
            "none": "- - ▁is ▁old -",
        },
    ),
    "Arabic": (
        "ar", ("البيت", "house"), "قديم البيت قديم",
        "▁قديم ▁ho use ▁قديم", {
            "input_only": "▁البي - ▁قديم -",
            "both": "▁ho use ▁قديم -",
            "none": "- - ▁قديم -",
        },
    ),
    "Chinese": (
        "zh", ("中国", "Haus"), "我爱中国,河",
        "▁ 我 爱 H aus , 河", {
            "input_only": "我 爱 中国 - , 河 -",
            "both": "我 爱 H aus , 河 -",
            "none": "我 爱 - - , 河 -",
        },
    ),
    "Thai": (
        "th", ("บ้าน", "cat"), "แมวบ้านเก่า",
        "▁ แมว cat เก่า", {
            "input_only": "แมว บ้าน เก่า -",
            "both": "แมว cat เก่า -",
            "none": "แมว - เก่า -",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("script", RULES)
@pytest.mark.parametrize("labels", ["input_only", "both", "none", "inputs_before_masking"])
def test_rules(labels: str, script: str, tokenizer: Any) -> None:
    """A masked LM masks the switched ids afterwards, so that it is given what `both` gives."""
    language, entry, text, inputs, rules = RULES[script]
    predictions = rules["both" if labels == "inputs_before_masking" else labels]
    assert switched(tokenizer, language, entry, text, labels=labels) == (inputs.split(), predictions.split())


@pytest.mark.parametrize("labels", ["input_only", "both", "none"])
def test_masked_positions_stay_masked(labels: str, tokenizer: Any) -> None:
    """A supervised row: the prompt is ignored, also where it is switched; the answer follows the rule."""
    ids = np.array(tokenizer("The house is old")["input_ids"])
    given = np.array([-100, -100, -100, ids[3], ids[4]])  # The, ho, use are the prompt
    found = switched(tokenizer, "en", ("house", "Haus"), "The house is old", labels=labels, given_labels=[given])
    assert found[1] == ["-", "-", "▁is", "▁old", "-"]


@pytest.mark.parametrize(
    ("length", "inputs"),
    [
        (2, "▁The ▁ho"),  # the translation would not fit: the original word stays, and the row is cut as any row is
        (3, "▁The ▁H aus"),
        (4, "▁The ▁H aus ▁is"),
        (7, "▁The ▁H aus ▁is ▁old <pad> <pad>"),
    ],
)
def test_no_translation_is_cut(length: int, inputs: str, tokenizer: Any) -> None:
    found = switched(tokenizer, "en", ("house", "Haus"), "The house is old", length=length, pad=tokenizer.pad_token_id)
    assert found[0] == inputs.split()

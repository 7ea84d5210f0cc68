"""Transfer tests: accuracies, gaps and confusions checked by a hand table; mixed pairs; what a tiny model learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from prealign.config.settings import Recipe
from prealign.config.transfer import TransferSet
from prealign.corpora.labelled import Example
from prealign.corpora.labelled_sets import LabelledSet
from prealign.errors import PrealignError
from prealign.evaluation.transfer import TransferTest, transfer_tests

WORDS = ["</s>", "[UNK]", *"abcdefghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """One id for each letter; capitals are the other language."""
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")


def settings(**changes: Any) -> TransferSet:
    given = {"name": "toy", "train": {"en": ["a.tsv"]}, "test": {"en": ["b.tsv"], "de": ["c.tsv"]}}
    return TransferSet.model_validate(given | {"max_steps": 60, "batch_size": 8, "learning_rate": 0.01} | changes)


def made_of(texts: LabelledSet, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> TransferTest:
    return TransferTest.of(settings(**changes), texts, tokenizer, max_tokens=16, max_batch_tokens=64, seed=1)


@pytest.fixture
def pairs() -> LabelledSet:
    """Four pairs of texts in each of two languages."""
    rows = [("1", "a b", "c", "no"), ("2", "b a", "d", "yes"), ("3", "c", "a", "yes"), ("4", "d", "b", "yes")]
    english = [Example(row, (first, second), label) for row, first, second, label in rows]
    german = [Example(row, (first.upper(), second.upper()), label) for row, first, second, label in rows]
    return LabelledSet(["no", "yes"], english, {"en": english, "de": german})


def test_scores_from_a_table_of_answers(pairs: LabelledSet, tokenizer: PreTrainedTokenizerFast) -> None:
    """Two fine-tunings answer four questions each; gold is no, yes, yes, yes."""
    test = made_of(pairs, tokenizer, repeats=2)
    no, yes = [0.75, 0.25], [0.25, 0.75]
    answers = {
        "en": np.array([[no, yes, yes, yes], [no, yes, no, yes]], dtype=np.float32),  # 4 and 3 right
        "de": np.array([[yes, yes, yes, no], [yes, no, yes, no]], dtype=np.float32),  # 2 and 1 right
    }
    outcome = test._outcome(answers, [[2.0] * 60, [4.0] * 60])
    english, german = (outcome.scores["languages"][code] for code in ("en", "de"))
    assert (english["accuracy"], german["accuracy"]) == (7 / 8, 3 / 8)
    assert (english["gap"], german["gap"]) == (0.0, 0.5)
    assert english["confusion"] == [[2, 0], [1, 5]]  # rows: gold no, yes; columns: answered no, yes
    assert german["confusion"] == [[0, 2], [3, 3]]
    assert english["chance"] == german["chance"] == 0.75  # "yes" each time
    assert not german["above_chance"]
    assert outcome.scores["training_loss"] == 3.0
    third = next(item for item in outcome.items if (item.test, item.item) == ("en", "3"))
    assert third.score == 0.5
    assert third.detail == {"gold": "yes", "predictions": ["yes", "no"], "probability": 0.5}
    told = {(m.name, m.of): (m.value, m.test, m.headline) for m in outcome.measures}
    assert told == {
        ("accuracy", "toy en"): (7 / 8, "en", True),
        ("accuracy", "toy de"): (3 / 8, "de", True),
        ("gap to en", "toy de"): (0.5, None, False),
    }
    for measure in outcome.measures[:2]:  # a value is the sum of its items' scores over their weights
        scores = [item.score for item in outcome.items if item.test == measure.test]
        assert sum(scores) / len(scores) == measure.value


def test_pairs_are_mixed_by_row(pairs: LabelledSet, tokenizer: PreTrainedTokenizerFast) -> None:
    test = made_of(pairs, tokenizer, mixed_languages=True)
    assert list(test.tests) == ["en", "de", "en+de", "de+en"]
    end, ids = WORDS.index("</s>"), {word: number for number, word in enumerate(WORDS)}
    assert test.tests["en+de"].encoded.rows[0] == [end, ids["a"], ids["b"], end, ids["C"], end]
    assert test.tests["de+en"].encoded.rows[2] == [end, ids["C"], end, ids["a"], end]
    answers = {code: np.tile(np.float32([0.1, 0.9]), (1, 4, 1)) for code in test.tests}  # "yes" to all
    outcome = test._outcome(answers, [[1.0] * 60])
    mixed = next(measure for measure in outcome.measures if measure.of == "toy mixed")
    assert (mixed.value, mixed.chance, mixed.headline) == (0.75, 0.75, True)
    assert outcome.scores["mixed"]["en+de"]["accuracy"] == 0.75
    assert not next(measure for measure in outcome.measures if measure.of == "toy en+de").headline
    pairs.test["de"][1] = pairs.test["de"][1]._replace(label="no")
    with pytest.raises(PrealignError, match="set toy, en and de: row 2 is labelled yes in one language and no in"):
        made_of(pairs, tokenizer, mixed_languages=True)


def test_what_is_learnt_in_english_holds_where_words_are_shared(
    tiny_model: Callable[..., PreTrainedModel], tokenizer: PreTrainedTokenizerFast
) -> None:
    """Rows with x are "x", others "y"; German writes them alike ("de") or with letters never seen ("sw")."""
    random = np.random.default_rng(3)
    english = []
    for number in range(80):
        label = "xy"[number % 2]
        text = " ".join([*random.choice(list("abcdefg"), 3), label, random.choice(list("abc"))])
        english.append(Example(str(number), (text,), label))
    alike = english[60:]
    unseen = [example._replace(texts=(example.texts[0].upper(),)) for example in alike]
    texts = LabelledSet(["x", "y"], english[:60], {"en": alike, "de": alike, "sw": unseen})
    test = made_of(texts, tokenizer)
    model = tiny_model("llama", initializer_range=0.1)
    outcome = test.run(model)
    scores = outcome.scores["languages"]
    assert scores["en"]["accuracy"] == scores["de"]["accuracy"] == 1.0
    assert scores["en"]["above_chance"]
    assert scores["de"]["gap"] == 0.0
    assert not scores["sw"]["above_chance"]
    again = test.run(model)
    assert again.as_dict() == outcome.as_dict()
    assert again.items == outcome.items
    for change in ({"seed": 2}, {"max_tokens": 8}):
        assert replace(test, **change).signature != test.signature


def test_a_probe_finds_what_a_shift_hides(
    tiny_model: Callable[..., PreTrainedModel], tokenizer: PreTrainedTokenizerFast
) -> None:
    """Capitals have the embeddings of their small letters, moved by one vector: taken for one class as they are, and
    told apart once the mean of the language is taken away."""
    model = tiny_model("llama", num_hidden_layers=1, initializer_range=0.1)
    table = model.get_input_embeddings().weight.data
    table[28:54] = table[2:28] + 5 * torch.ones(16)
    random = np.random.default_rng(4)
    words = [" ".join([*random.choice(list("abcdef"), 3), "xy"[number % 2]]) for number in range(100)]
    english = [Example(str(number), (text,), "xy"[number % 2]) for number, text in enumerate(words)]
    moved = [example._replace(texts=(example.texts[0].upper(),)) for example in english[60:]]
    texts = LabelledSet(["x", "y"], english[:60], {"en": english[60:], "de": moved})
    test = made_of(texts, tokenizer, method="probe")
    outcome = test.run(model)
    scores = outcome.scores["languages"]
    assert scores["en"]["accuracy"] == scores["en"]["accuracy_not_centred"] == 1.0
    assert scores["de"]["accuracy"] > 0.9
    assert scores["de"]["accuracy_not_centred"] == 0.5
    assert scores["de"]["gap"] == 1.0 - scores["de"]["accuracy"]
    assert outcome.scores["training_loss"] < 0.3
    assert test.run(model).as_dict() == outcome.as_dict()
    assert "|probe:mean of tokens, all layers, languages centred|l2:0.0001|tokens:16" in test.signature
    assert (
        "toy: accuracy of logistic regression of 2 classes on 60 examples in en, from mean" in outcome.measures[0].note
    )


def test_the_tests_of_a_recipe(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """The clone is tested as well, rows are no longer than a block, and the same rows are asked every time."""
    for name in ("low", "high"):
        letters = "abcdefghijklm" if name == "low" else "nopqrstuvwxyz"
        lines = [" ".join([first, second] * 8) for first in letters for second in letters]
        (tmp_path / name).with_suffix(".txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    paths = {"en": ["low.txt", "high.txt"]}
    half = {"name": "half", "labels": ["low", "high"], "train": paths, "test": paths, "held_out_share": 0.2}
    languages = {"en": {"text": ["low.txt"]}, "en-x-clone": {"clone_of": "en"}}
    recipe = Recipe.model_validate(
        {"data": str(tmp_path), "languages": languages, "pretrain": {"block_size": 8}, "eval": {"transfer": [half]}}
    )
    (test,) = transfer_tests(recipe, tokenizer)
    (again,) = transfer_tests(recipe, tokenizer)
    assert test.name == "transfer half"
    assert list(test.tests) == ["en", "en-x-clone"]
    assert len(test.trained.rows) + len(test.tests["en"].rows) == 2 * 13 * 13
    assert {len(row) for row in test.trained.rows} == {8}
    assert test.trained.n_cut == len(test.trained.rows)
    assert test.signature == again.signature
    unknown = WORDS.index("[UNK]")
    assert all(set(row[1:-1]) == {unknown} for row in test.tests["en-x-clone"].encoded.rows)  # letters of its own

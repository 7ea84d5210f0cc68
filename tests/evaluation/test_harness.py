"""All measurements together, on a store on disk and models from their folders."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.config.evaluation import EvalSettings
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.harness import Suite, evaluate_model
from prealign.evaluation.table import comparison_table

WORDS = ["<unk>", "<s>", "</s>", ",", "dog", "house", "cat", "Hund", "Haus", "Katze", "tree", "Baum"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>")


@pytest.fixture
def make_suite(tokenizer, stream_of):
    streams = {"en": stream_of([[4, 5, 6]] * 30), "de": stream_of([[7, 8], [9, 11, 8]])}
    store = SimpleNamespace(languages=["en", "de"], stream=lambda code, split: {"validation": streams[code]}[split])
    trained = Dictionary.from_pairs([("dog", "Hund"), ("house", "Haus")], "en", "de")
    held_out = Dictionary.from_pairs([("cat", "Katze"), ("tree", "Baum")], "en", "de")

    def make(**options) -> Suite:
        settings = EvalSettings(**{"batch_size": 4, **options})
        gold = [("swadesh", Dictionary.from_pairs([("dog", "Hund"), ("tree", "Baum")], "en", "de"))]
        sentences = [("tatoeba", "en", "de", [("dog house", "Hund Haus"), ("cat", "Katze")])]
        return Suite.of(tokenizer, store, [(trained, held_out)], settings, block_size=8, gold=gold, sentences=sentences)

    return make


def test_everything_is_measured(make_suite, tiny_model, tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    result = evaluate_model(tmp_path / "model", make_suite())
    assert json.loads(json.dumps(result)) == result
    assert list(result["bits_per_byte"]) == ["en", "de"]
    assert result["bits_per_byte"]["en"]["tokens"] == 120
    assert list(result["word_retrieval"]["en--de"]) == ["held_out", "trained", "swadesh"]
    assert list(result["sentence_retrieval"]) == ["tatoeba en--de"]
    assert result == evaluate_model(tiny_model(), make_suite())  # the same weights, not from a folder
    (row,) = comparison_table({"joint": result}).rows
    assert row[1] == f"{result['bits_per_byte']['en']['value']:.3f}"


def test_quick_measurement_is_part_of_the_full_one(make_suite, tiny_model):
    suite, model = make_suite(), tiny_model()
    quick, full = suite.quick(model, max_tokens=40), evaluate_model(model, suite)
    assert quick["bits_per_byte"]["en"] == pytest.approx(
        full["bits_per_byte"]["en"]["value"]
    )  # all documents are equal
    assert quick["bits_per_byte"]["de"] == full["bits_per_byte"]["de"]["value"]  # fewer tokens than the limit
    assert quick["word_retrieval"]["en--de"]["held_out"] == full["word_retrieval"]["en--de"]["held_out"]["p_at_1"]


def test_without_dictionary_words_the_outside_dictionaries_stay(make_suite):
    assert list(make_suite(word_retrieval=False).words["en--de"]) == ["swadesh"]


def test_a_folder_without_a_model_is_told(make_suite, tmp_path):
    with pytest.raises(PrealignError, match="No language model could be read from"):
        evaluate_model(tmp_path / "nowhere", make_suite())


def test_test_sets_have_names_of_their_own(tmp_path):
    (tmp_path / "a.tsv").touch()

    def read(*sets: dict[str, str]) -> EvalSettings:
        same = {"name": "muse", "source": "en", "target": "de", "path": "a.tsv"}
        return EvalSettings.model_validate(
            {"gold_dictionaries": [same | item for item in sets]}, context={"data": tmp_path}
        )

    assert len(read({}, {"target": "ru"}).gold_dictionaries) == 2
    with pytest.raises(ValueError, match="two test sets from en to de are named muse"):
        read({}, {})
    with pytest.raises(ValueError, match="trained is the name of a test on the run's own dictionary"):
        read({"name": "trained"})

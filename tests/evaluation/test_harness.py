"""All measurements together: what a suite encodes, and that quick looks and the final evaluation agree."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.config.evaluation import EvalSettings
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.harness import Suite, load_model

WORDS = ["<unk>", "<s>", "</s>", ",", "dog", "house", "cat", "Hund", "Haus", "Katze", "tree", "Baum"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>")


@pytest.fixture
def make_suite(tokenizer, stream_of):
    streams = {"en": stream_of([[4, 5, 6]] * 30), "de": stream_of([[7, 8], [9, 11, 8]])}
    store = SimpleNamespace(
        languages=["en", "de"],
        stream=lambda code, split: {"validation": streams[code]}[split],
        summary={"languages": {code: {"validation": {"fingerprint": f"print of {code}"}} for code in streams}},
    )
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
    tasks = make_suite().tasks
    from_folder = load_model(tmp_path / "model")
    scores = {task.name: task.run(from_folder).scores for task in tasks}
    assert list(scores) == ["bits_per_byte", "word_retrieval", "sentence_retrieval"]
    assert list(scores["bits_per_byte"]) == ["en", "de"]
    assert scores["bits_per_byte"]["en"]["tokens"] == 120
    assert scores["bits_per_byte"]["de"]["signature"].startswith("data:")
    assert list(scores["word_retrieval"]["en--de"]) == ["held_out", "trained", "swadesh"]
    assert list(scores["sentence_retrieval"]) == ["tatoeba en--de"]
    assert scores == {task.name: task.run(tiny_model()).scores for task in tasks}  # the same weights


def test_quick_measurement_is_part_of_the_full_one(make_suite, tiny_model):
    suite, model = make_suite(), tiny_model()
    quick, full = suite.quick(model, max_tokens=40), {task.name: task.run(model).scores for task in suite.tasks}
    # All English documents are equal; German has fewer tokens than the limit.
    for code in ("en", "de"):
        assert quick["bits_per_byte"][code] == pytest.approx(full["bits_per_byte"][code]["value"])
    assert quick["word_retrieval"]["en--de"]["held_out"] == full["word_retrieval"]["en--de"]["held_out"]["p_at_1"]
    assert list(quick["word_loss"]["en--de"]) == ["held_out"]
    assert len(quick["word_loss"]["en--de"]["held_out"]) == len(quick["word_retrieval"]["en--de"]["held_out"])


def test_without_dictionary_words_the_outside_dictionaries_stay(make_suite):
    assert list(make_suite(word_retrieval=False).words["en--de"]) == ["swadesh"]


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(PrealignError, match="No language model could be read from"):
        load_model(tmp_path / "nowhere")


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

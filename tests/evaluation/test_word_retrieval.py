"""Word retrieval from a dictionary to scores per layer."""

from __future__ import annotations

import re

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.word_retrieval import WordRetrievalTask, WordTest
from prealign.objectives.word_alignment import WordAlignment
from prealign.objectives.word_states import word_batch

WORDS = [
    ",",
    "dog",
    "house",
    "bank",
    "Hotel",
    "cat",
    "Hund",
    "Haus",
    "Bank",
    "Ufer",
    "Katze",
    "Gebäude",
    "tree",
    "Baum",
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["<unk>", *WORDS])}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


def dictionary(*pairs: str) -> Dictionary:
    return Dictionary.from_pairs([tuple(pair.split()) for pair in pairs], "en", "de")


PAIRS = ("dog Hund", "house Haus", "house Gebäude", "bank Bank", "bank Ufer", "cat Katze", "tree Baum")


def test_words_and_gold(tokenizer):
    test = WordTest.of("en--de test", dictionary(*PAIRS, "Hotel Hotel", "unheard ungehört"), tokenizer, 100)
    found = {
        (tokenizer.decode(test.sources[q]), tokenizer.decode(test.targets[c]))
        for q, c in zip(test.gold.query, test.gold.candidate)
    }
    assert found == {tuple(pair.split()) for pair in PAIRS}
    assert (len(test.sources), len(test.targets)) == (5, 7)
    assert [tokenizer.decode(ids) for ids in test.sources] == test.source_words
    assert [tokenizer.decode(ids) for ids in test.targets] == test.target_words
    assert test.left_out == {"same form in both languages": 1, "unknown to the tokenizer": 1}
    assert str(test) == (
        "en--de test: 5 source and 7 target words; left out: 1 same form in both languages, 1 unknown to the tokenizer"
    )


def test_the_loss_is_that_of_stage_1_with_all_words_in_one_batch(tokenizer, tiny_model):
    """Two source words share a translation, and one source word is written like another's translation."""
    model = tiny_model()
    test = WordTest.of("t", dictionary(*PAIRS, "cat dog", "dog Ufer"), tokenizer, 100)
    groups = [[list(test.sources[group])] for group in range(len(test.sources))]
    for query, candidate in zip(test.gold.query, test.gold.candidate, strict=True):
        groups[query].append(list(test.targets[candidate]))
    stage_1 = WordAlignment()
    stage_1.loss_sum(model, word_batch(groups, range(len(groups)), pad_id=0))
    expected = (stage_1.parts.sums / stage_1.parts.counts).tolist()
    assert test.measure(model, loss=True).loss == pytest.approx(expected, rel=1e-5)
    assert len(set(expected)) == 4
    assert test.measure(model).loss is None


def test_fewer_words_are_chosen_word_by_word(tokenizer):
    """A word's place in the choice depends on the word alone: without one word, the others of the choice stay."""
    everything = WordTest.of("t", dictionary(*PAIRS), tokenizer, 3)
    assert len(everything.sources) == 3
    for missing in PAIRS:
        rest = [pair for pair in PAIRS if pair.split()[0] != missing.split()[0]]
        chosen = set(WordTest.of("t", dictionary(*rest), tokenizer, 3).sources)
        assert set(everything.sources) - chosen <= {tuple(tokenizer(missing.split()[0])["input_ids"])}


def twin_model(tiny_model, tokenizer, pairs):
    """A model whose input embeddings give translations the same vector, and whose output rows know nothing."""
    model = tiny_model(tie_word_embeddings=False)
    rows = model.get_input_embeddings().weight.data
    for source, target in (pair.split() for pair in pairs):
        rows[tokenizer.convert_tokens_to_ids(target)] = rows[tokenizer.convert_tokens_to_ids(source)]
    return model


def test_layers_from_input_to_output(tiny_model, tokenizer):
    pairs = ("dog Hund", "house Haus", "bank Bank", "cat Katze", "tree Baum")
    measured = WordTest.of("t", dictionary(*pairs), tokenizer, 100).measure(twin_model(tiny_model, tokenizer, pairs), 3)
    assert measured.p_at_1[:-1] == [1.0, 1.0, 1.0]  # embeddings and both blocks: equal in, equal out
    assert measured.p_at_1[-1] < 1.0
    told = measured.as_dict()
    assert told["summary"]["p_at_1"] == pytest.approx(sum(measured.p_at_1) / 4)
    assert told["summary"]["best_layer_p_at_1"] == 1.0
    assert told["summary"]["chance"] == pytest.approx(1 / 5)
    assert re.fullmatch(r"t\|data:[0-9a-f]{16}\|n:5x5\|pool:mean\|layers:4\|v:.*", told["signature"])


def test_any_translation_counts(tiny_model, tokenizer):
    """'bank' lies at 'Ufer', its second translation; 'Bank' is elsewhere and asks in vain."""
    model = twin_model(tiny_model, tokenizer, ("dog Hund", "bank Ufer"))
    measured = WordTest.of("t", dictionary("dog Hund", "bank Bank", "bank Ufer"), tokenizer, 100).measure(model)
    assert measured.forward.p_at_1[0] == 1.0
    assert measured.forward.chance["p_at_1"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert measured.backward.n_queries == 3
    assert measured.backward.p_at_1[0] >= 2 / 3


def test_nothing_to_measure(tokenizer):
    with pytest.raises(PrealignError, match=r"none of the 1 source words can be used \(1 same form in both languages"):
        WordTest.of("en--de held_out", dictionary("Hotel Hotel"), tokenizer, 10)


def test_the_task_tells_every_score_and_every_word(tiny_model, tokenizer):
    """Three source words and four target words; "bank" has two translations, of which the model knows the second."""
    model = twin_model(tiny_model, tokenizer, ("dog Hund", "bank Ufer"))
    words = dictionary("dog Hund", "bank Bank", "bank Ufer", "tree Baum")
    test = WordTest.of("en--de held_out", words, tokenizer, 100)
    outcome = WordRetrievalTask({"en--de": {"held_out": test, "trained": test}}, batch_size=4).run(model)
    summary = outcome.scores["en--de"]["held_out"]["summary"]

    headline, *others = outcome.measures
    assert (headline.name, headline.of, headline.form, headline.better) == ("P@1", "en–de held out", "share", "higher")
    assert headline.headline
    assert not any(measure.headline for measure in others)
    assert [measure.name for measure in others] == ["P@5", "MRR", "CSLS P@1", "P@1", "P@5", "MRR", "CSLS P@1"]
    assert headline.chance == pytest.approx(((1 / 4 + 1 / 4 + 2 / 4) / 3 + 1 / 3) / 2)
    assert [m.value for m in outcome.measures[:4]] == [summary[s] for s in ("p_at_1", "p_at_5", "mrr", "csls_p_at_1")]

    items = {item.item: item for item in outcome.items if item.test == headline.test}
    assert set(items) == {f"en: {w}" for w in ("dog", "bank", "tree")} | {
        f"de: {w}" for w in ("Hund", "Bank", "Ufer", "Baum")
    }
    assert sum(item.score for item in items.values()) / sum(item.weight for item in items.values()) == pytest.approx(
        headline.value
    )
    bank = items["en: bank"].detail
    assert bank["right"] == ["Bank", "Ufer"]
    assert bank["places"][:3] == [1, 1, 1]
    assert (bank["layer"], bank["nearest"]) == (2, "Ufer")
    # Both directions weigh the same, whatever their number of words.
    assert sum(items[f"en: {w}"].weight for w in ("dog", "bank", "tree")) == pytest.approx(3.5)


def test_results_do_not_depend_on_the_batch_size_and_the_model_stays_as_it_was(tiny_model, tokenizer):
    pairs = ("dog Hund", "house Haus", "bank Bank", "bank Ufer", "cat Katze", "tree Baum")
    test = WordTest.of("en--de t", dictionary(*pairs), tokenizer, 100)
    model = tiny_model(attention_dropout=0.5).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one, many = (WordRetrievalTask({"en--de": {"t": test}}, size).run(model) for size in (1, 16))
    assert (one.measures, one.items) == (many.measures, many.items)
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())

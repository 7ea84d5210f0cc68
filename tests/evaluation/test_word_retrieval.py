"""Word retrieval from a dictionary to scores per layer."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.sentence_retrieval import SentenceTest, mexa
from prealign.evaluation.states import mean_states
from prealign.evaluation.word_retrieval import WordTest

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
    assert test.left_out == {"same form in both languages": 1, "unknown to the tokenizer": 1}
    assert str(test) == (
        "en--de test: 5 source and 7 target words; left out: 1 same form in both languages, 1 unknown to the tokenizer"
    )


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
    assert told["signature"].startswith("t|n:5x5|layers:4|pool:mean|v:")


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


def test_states_keep_the_order_of_the_rows(tiny_model):
    model = tiny_model()
    rows = [[5, 6, 7, 8], [9], [10, 11], [12, 13, 14]]
    together = mean_states(model, rows, batch_size=3)
    alone = torch.cat([mean_states(model, [row], batch_size=1) for row in rows], dim=1)
    assert together.shape == (4, 4, 16)
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together[0, 2], model.get_input_embeddings().weight[[10, 11]].mean(dim=0))


def test_mexa_by_hand():
    # cosines, rows are sources:  1.0 0.6 0.0 | 0.6 1.0 0.8 | 0.8 0.96 0.6. Pair 0 is the largest of its row and column.
    # Pair 1 as well. Pair 2 loses to 0.96 in its row.
    sources = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    targets = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert mexa(sources, targets) == pytest.approx(2 / 3)
    # A pair that is largest in its row and not in its column does not count either.
    assert mexa(targets[[0, 2]], sources[[0, 1]]) == 1.0
    assert mexa(torch.tensor([[1.0, 0.1], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])) == 0.0


def test_sentences(tiny_model, tokenizer):
    pairs = [("dog", "Hund"), ("house cat", "Haus Katze"), ("bank tree dog", "Ufer Baum Hund")]
    model = twin_model(tiny_model, tokenizer, ("dog Hund", "house Haus", "cat Katze", "bank Ufer", "tree Baum"))
    test = SentenceTest.of("tiny en--de", pairs, tokenizer, max_tokens=2)
    assert test.n_cut == 2
    measured = test.measure(model, batch_size=2)
    assert measured.mexa[:-1] == [1.0, 1.0, 1.0]
    assert measured.forward.p_at_1[:-1] == measured.backward.p_at_1[:-1] == [1.0, 1.0, 1.0]
    assert measured.as_dict()["summary"]["chance"] == pytest.approx(1 / 3)
    assert measured.signature.startswith("tiny en--de|n:3|cut:2|layers:4|pool:mean|v:")


def test_sentence_mistakes(tokenizer):
    with pytest.raises(PrealignError, match="needs at least two sentence pairs, got 1"):
        SentenceTest.of("t", [("dog", "Hund")], tokenizer, 8)
    with pytest.raises(PrealignError, match="t: pair 2 has an empty side"):
        SentenceTest.of("t", [("dog", "Hund"), ("", "Haus")], tokenizer, 8)

"""Sentence retrieval and MEXA: values by hand, from sentences to scores, measures and items."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.errors import PrealignError
from prealign.evaluation.sentence_retrieval import SentenceRetrieval, SentenceRetrievalTask, SentenceTest, mexa_chance

WORDS = ["dog", "house", "bank", "cat", "tree", "Hund", "Haus", "Ufer", "Katze", "Baum"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["<unk>", *WORDS])}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


@pytest.fixture
def model(tiny_model, tokenizer):
    """Translations have the same input embeddings; output rows know nothing of it."""
    made = tiny_model(tie_word_embeddings=False)
    rows = made.get_input_embeddings().weight.data
    rows[6:11] = rows[1:6]
    return made


def mexa(sources: torch.Tensor, targets: torch.Tensor) -> float:
    """Of one layer."""
    return SentenceRetrieval.of(sources[None], targets[None]).mexa[0]


def test_mexa_by_hand():
    # cosines, rows are sources:  1.0 0.6 0.0 | 0.6 1.0 0.8 | 0.8 0.96 0.6. Pair 0 is the largest of its row and column.
    # Pair 1 as well. Pair 2 loses to 0.96 in its row.
    sources = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    targets = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert mexa(sources, targets) == pytest.approx(2 / 3)
    assert mexa(targets[[0, 2]], sources[[0, 1]]) == 1.0
    # Pair 0 is the largest of its row and not of its column, pair 1 of its column and not of its row.
    assert mexa(torch.tensor([[1.0, 0.1], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])) == 0.0
    # The largest must stand alone.
    assert mexa(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])) == 0.0


@pytest.mark.parametrize("size", [2, 7, 20])
def test_mexa_is_the_published_definition(size):
    """Against the comparison of each diagonal cell with its row and column, in a table of all cosines."""
    generator = torch.Generator().manual_seed(size)
    sources = torch.randn(size, 6, generator=generator)
    targets = sources + torch.randn(size, 6, generator=generator)
    x, y = sources.double().numpy(), targets.double().numpy()
    table = x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    alone = [
        all(table[i, i] > table[i, j] and table[i, i] > table[j, i] for j in range(size) if j != i) for i in range(size)
    ]
    assert mexa(sources, targets) == pytest.approx(sum(alone) / size)


def test_mexa_by_chance_is_the_mean_over_all_orders_of_the_cells():
    orders = itertools.permutations(range(4))  # of the cells 00, 01, 10, 11
    assert mexa_chance(2) == pytest.approx(np.mean([cell[0] > max(cell[1], cell[2]) for cell in orders]))


def test_sentences(model, tokenizer):
    pairs = [("dog", "Hund"), ("house cat", "Haus Katze"), ("bank tree dog", "Ufer Baum Hund")]
    test = SentenceTest.of("tiny en--de", pairs, tokenizer, max_tokens=2)
    assert test.n_cut == 2
    for pooling, measured in test.measure(model, max_batch_tokens=4).items():
        assert measured.mexa[:-1] == [1.0, 1.0, 1.0], pooling
        assert measured.mexa[-1] < 1.0
        assert measured.mean_mexa == 1.0  # output rows are left out
        assert measured.p_at_1 < 1.0
        assert measured.forward.p_at_1[:-1] == measured.backward.p_at_1[:-1] == [1.0, 1.0, 1.0]
        assert measured.as_dict()["summary"]["chance"] == pytest.approx(1 / 3)
        assert measured.as_dict()["summary"]["mexa_chance"] == pytest.approx(1 / 5)
    conditions = r"tiny en--de\|data:[0-9a-f]{16}\|n:3\|cut:2\|layers:4\|pool:last\|v:.*"
    assert re.fullmatch(conditions, test.signature("last", 4))


def test_the_task_tells_every_pooling_and_every_sentence(model, tokenizer):
    pairs = [("dog house", "Haus Hund"), ("cat", "Katze"), ("house dog", "Hund Haus")]  # the first crosses the third
    test = SentenceTest.of("tiny en--de", pairs, tokenizer, max_tokens=8)
    outcome = SentenceRetrievalTask({"tiny en--de": test}, max_batch_tokens=64).run(model)
    assert set(outcome.scores["tiny en--de"]["poolings"]) == {"last", "weighted"}
    assert [(m.name, m.of) for m in outcome.measures if m.headline] == [("sentence P@1", "en–de tiny")]
    assert len({(m.name, m.of) for m in outcome.measures}) == 6
    assert len({m.signature for m in outcome.measures}) == 3
    for measure in outcome.measures:
        items = [item for item in outcome.items if item.test == measure.test]
        assert len({item.item for item in items}) == len(items) == (6 if measure.name == "sentence P@1" else 3)
        assert sum(item.score for item in items) / sum(item.weight for item in items) == pytest.approx(measure.value)
    # "Hund" ends the translation of "house dog", so its last token lies at the wrong "dog" in the embeddings.
    assert outcome.scores["tiny en--de"]["poolings"]["last"]["mexa"][0] == pytest.approx(1 / 3)


def test_results_do_not_depend_on_the_batch_size_and_the_model_stays_as_it_was(model, tokenizer):
    pairs = [("dog house", "Haus Hund"), ("cat", "Katze"), ("house dog tree", "Hund Haus"), ("tree", "Ufer Baum")]
    test = SentenceTest.of("tiny en--de", pairs, tokenizer, max_tokens=8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one, many = (SentenceRetrievalTask({"tiny en--de": test}, size).run(model.train()) for size in (1, 128))
    assert (one.measures, one.items) == (many.measures, many.items)
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_sentence_mistakes(tokenizer):
    with pytest.raises(PrealignError, match="needs at least two sentence pairs, got 1"):
        SentenceTest.of("t", [("dog", "Hund")], tokenizer, 8)
    with pytest.raises(PrealignError, match="t: pair 2 has an empty side"):
        SentenceTest.of("t", [("dog", "Hund"), ("", "Haus")], tokenizer, 8)

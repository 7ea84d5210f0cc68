"""CLKA: what counts as right, in tables checked by hand; and a model that has learnt facts is found to know them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.config.settings import Recipe
from prealign.corpora.knowledge import statements
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError
from prealign.evaluation.knowledge import KnowledgeTask, ranks

LIKES = """
language: {code}
source: this test
licence: CC0-1.0
relations:
  taste:
    phrasings: ["{{name}} {likes} {{object}} ."]
    question: "what is it that {{name}} {likes} {{object}} ?"
    objects: {{plums: {plums}, fruit: {fruit}}}
"""


def word_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    words = sorted({word for text in texts for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(["<unk>", "</s>", *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>")


def make_recipe(folder: Path, languages: dict[str, Any] | None = None, **knowledge: Any) -> Recipe:
    (folder / "en.yaml").write_text(
        LIKES.format(code="en", likes="likes", plums="plums", fruit="dried fruit"), encoding="utf-8"
    )
    (folder / "de.yaml").write_text(
        LIKES.format(code="de", likes="mag", plums="Pflaumen", fruit="Obst"), encoding="utf-8"
    )
    settings = {"language": "en", "entities": 8, "candidates": 2, "relations": ["taste"]}
    return Recipe.model_validate(
        {
            "data": str(folder),
            "languages": languages or {"en": {"text": ["python-docs"]}, "de": {"text": ["python-docs"]}},
            "knowledge": settings | {"wordings": {"en": "en.yaml", "de": "de.yaml"}} | knowledge,
        }
    )


def test_ties_count_against_the_model():
    scores = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    assert ranks(scores, np.array([0, 2, 1])).tolist() == [1, 2, 2]


def test_by_hand(bigram, tmp_path):
    """p(plums | likes) = 1/8, p(dried | likes) = 1/8, p(fruit | dried) = 1/2: -3 bits for plums; for dried fruit -4
    together, -2 per token. So dried fruit wins per token and plums as a sum, whatever the name: half of the facts are
    right both ways, and with the priors taken off nothing is known. In German Pflaumen has 1/4 and Obst 1/8."""
    tokenizer = word_tokenizer(["plums dried fruit likes mag Pflaumen Obst"])
    place = tokenizer.get_vocab()
    table = torch.full((len(place), len(place)), 1e-6)
    for before, after, probability in (
        ("likes", "plums", 1 / 8),
        ("likes", "dried", 1 / 8),
        ("dried", "fruit", 1 / 2),
        ("mag", "Pflaumen", 1 / 4),
        ("mag", "Obst", 1 / 8),
    ):
        table[place[before], place[after]] = probability
    table[:, 0] = 0
    table[:, 0] = 1 - table.sum(dim=1)
    entries = Dictionary.from_pairs([("plums", "pflaumen"), ("likes", "mag")], "en", "de")
    task = KnowledgeTask.of(make_recipe(tmp_path), tokenizer, [entries])
    outcome = task.run(type(bigram)(table.tolist()))

    own = outcome.scores["tests"]["en"]
    assert (own["p_at_1"], own["p_at_1_of_sums"], own["p_at_1_without_priors"]) == (0.5, 0.5, 0.0)
    items = [item for item in outcome.items if item.test == "en"]
    assert len(items) == 8
    for item in items:
        assert item.score == (item.detail["right"] == "dried fruit")
        assert item.detail["ranking"] == ["dried fruit", "plums"]
        bits = np.array(item.detail["log_probability_per_token"]) / np.log(2)
        assert bits == pytest.approx([-2, -3], abs=1e-3)
        assert item.detail["asked"] == f"{item.item.removeprefix('taste of ')} likes "
    german = outcome.scores["tests"]["de"]
    assert (german["p_at_1"], german["p_at_1_covered"], german["p_at_1_not_covered"]) == (0.5, 1.0, 0.0)
    assert outcome.scores["objects_trained"] == {"en": 1.0, "de": 0.5}
    assert str(task) == "8 facts in en; objects with a trained translation: de 50%"
    assert "no different from chance (50.0%)" in outcome.scores["ratio"]["de"]["withheld"]
    assert {measure.name for measure in outcome.measures} == {"facts P@1", "facts P@1 without priors"}
    assert [(m.of, m.test, m.chance) for m in outcome.measures if m.headline] == [("en", "en", 0.5), ("de", "de", 0.5)]


def test_a_model_that_learnt_the_facts_knows_them_and_tells_how_much_it_transfers(tiny_model, tmp_path):
    languages = {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}}
    recipe = make_recipe(tmp_path, languages, entities=16, wordings={"en": "en.yaml"}, mentions=2)
    texts = list(statements(recipe))
    tokenizer = word_tokenizer([*texts, "what is it that"])
    model = tiny_model(vocab_size=len(tokenizer), hidden_size=32, initializer_range=0.02)
    task = KnowledgeTask.of(recipe, tokenizer, [])
    assert "withheld" in task.run(model).scores["ratio"]["en-x-clone"]

    rows = [[tokenizer.eos_token_id, *tokenizer(text).input_ids, 0][:6] for text in texts]
    batch = torch.tensor(rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()

    outcome = task.run(model)
    assert outcome.scores["tests"]["en"]["p_at_1"] == 1.0
    assert outcome.scores["tests"]["en"]["p_value"] < 1e-4
    clone = outcome.scores["tests"]["en-x-clone"]["p_at_1"]  # all its words are unknown: the model can only guess
    assert clone < 0.8
    assert outcome.scores["ratio"]["en-x-clone"] == {"above_chance": pytest.approx((clone - 0.5) * 2), "plain": clone}
    assert list(outcome.scores["tests"]) == [
        "en", "en, unseen phrasing", "en-x-clone", "en-x-clone, unseen phrasing", "en-x-clone, names kept",
    ]  # fmt: skip


def test_names_are_cloned_with_the_sentence_or_kept(tmp_path):
    languages = {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}}
    recipe = make_recipe(tmp_path, languages, wordings={})
    recipe.knowledge.relations[:] = ["colour"]
    task = KnowledgeTask.of(recipe, word_tokenizer(["red"]), [])
    asked = {test.name: test.questions[0].asked for test in task.tests}
    name = task.tests[0].questions[0].fact.name
    assert asked["en"] == f"The colour of {name} is "
    assert asked["en-x-clone"].startswith("Մըե գկլկյղ կզ ")
    assert name not in asked["en-x-clone"]
    assert asked["en-x-clone, names kept"].startswith(f"Մըե գկլկյղ կզ {name} ")


def test_a_name_that_is_a_word_and_a_missing_object_are_told(tmp_path):
    recipe, tokenizer = make_recipe(tmp_path), word_tokenizer(["likes"])
    name = KnowledgeTask.of(recipe, tokenizer, []).tests[0].questions[0].fact.name
    with pytest.raises(PrealignError, match=f"the invented names {name} are words of a dictionary.* another seed"):
        KnowledgeTask.of(recipe, tokenizer, [Dictionary.from_pairs([("x", name.lower())], "en", "de")])
    german = tmp_path / "de.yaml"
    before = KnowledgeTask.of(recipe, tokenizer, []).signature
    german.write_text(german.read_text(encoding="utf-8").replace("Obst", "Trockenobst"), encoding="utf-8")
    assert KnowledgeTask.of(recipe, tokenizer, []).signature != before  # other candidates are not compared
    german.write_text(german.read_text(encoding="utf-8").replace("plums: Pflaumen, ", ""), encoding="utf-8")
    with pytest.raises(PrealignError, match=r"de\.yaml: the relation taste lacks plums"):
        KnowledgeTask.of(recipe, tokenizer, [])
    german.write_text(german.read_text(encoding="utf-8").replace("  taste:", "  smell:"), encoding="utf-8")
    with pytest.raises(PrealignError, match=r"de\.yaml has no relation taste; it has smell"):
        KnowledgeTask.of(recipe, tokenizer, [])

"""Invented facts: balanced, about names that are no words, stated exactly as often as asked."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prealign.config.settings import Recipe
from prealign.corpora.knowledge import facts_of, invented_facts, invented_names, statements
from prealign.corpora.knowledge_wording import wording_of
from prealign.errors import PrealignError


def make_recipe(seed: int = 1, **knowledge: Any) -> Recipe:
    return Recipe.model_validate(
        {"seed": seed, "languages": {"en": {"text": ["python-docs"]}}, "knowledge": {"language": "en", **knowledge}}
    )


def test_names_are_different_and_always_the_same() -> None:
    names = invented_names(3000, seed=5)
    assert len(set(names)) == 3000
    assert invented_names(10, seed=5) == names[:10]
    assert len(set(invented_names(50, seed=6)) & set(names[:50])) < 5
    assert all(re.fullmatch(r"[BDFGKLMNPRSTVZ][a-z]{6}", name) for name in names)


def test_no_name_is_a_word(shared_data: Path) -> None:
    words = {
        column.strip().casefold()
        for file in (shared_data / "dict").glob("*.tsv")
        for line in file.read_text(encoding="utf-8").splitlines()
        for column in line.split("\t")[:2]
    }
    assert len(words) > 20_000
    assert not words & {name.casefold() for name in invented_names(20_000, seed=1)}


def test_every_object_is_right_equally_often_and_a_name_does_not_tell_it() -> None:
    objects = {"colour": ["red", "blue", "green"], "symbol": ["key", "tree"]}
    facts = invented_facts(60, objects, seed=2)
    assert len(facts) == 120
    for relation, choices in objects.items():
        assert Counter(fact.object for fact in facts if fact.relation == relation) == dict.fromkeys(
            choices, 60 // len(choices)
        )
    by_name = Counter((one.object, two.object) for one, two in zip(facts[:60], facts[60:]))
    assert min(by_name.values()) >= 5  # of 10 each on average: a colour says nothing about the symbol
    first_letters = Counter((fact.name[0], fact.object) for fact in facts[:60])
    assert max(first_letters.values()) <= 5
    assert [fact.object for fact in invented_facts(60, objects, seed=3)] != [fact.object for fact in facts]


@pytest.mark.parametrize("mentions", [1, 4, 7])
def test_every_fact_is_stated_exactly_as_often_as_asked(mentions: int) -> None:
    recipe = make_recipe(entities=16, relations=["colour", "animal"], mentions=mentions)
    wording = wording_of(recipe, "en")
    found = Counter(statements(recipe))
    expected: Counter[str] = Counter()
    for fact in facts_of(recipe, wording):
        relation = wording.relations[fact.relation]
        said = [p.sentence(fact.name, relation.objects[fact.object]) for p in relation.phrasings]
        counts = [found[sentence] for sentence in said]
        assert sum(counts) == mentions
        assert max(counts) - min(counts) <= 1  # spread over the phrasings
        assert not found[relation.question.sentence(fact.name, relation.objects[fact.object])]
        expected.update(dict(zip(said, counts)))
    assert found == expected


def test_statements_depend_on_the_seed_and_nothing_else() -> None:
    told = list(statements(make_recipe(entities=8, mentions=2)))
    assert told == list(statements(make_recipe(entities=8, mentions=2)))
    assert told != list(statements(make_recipe(seed=2, entities=8, mentions=2)))
    assert told != sorted(told)


def test_a_recipe_without_facts_states_none() -> None:
    assert not list(statements(Recipe.model_validate({"languages": {"en": {"text": ["python-docs"]}}})))


@pytest.mark.parametrize(
    ("knowledge", "told"),
    [
        ({"relations": ["taste"]}, r"has no relation taste; it has colour, symbol, password, number, animal, material"),
        ({"candidates": 16}, r"knowledge\.candidates is 16, but .*en\.yaml has 8 objects of symbol"),
        ({"language": "de"}, None),
    ],
)
def test_mistakes_are_told(knowledge: dict[str, Any], told: str | None) -> None:
    if told is None:
        with pytest.raises(ValueError, match="must be one of the languages"):
            make_recipe(**knowledge)
    else:
        with pytest.raises(PrealignError, match=told):
            list(statements(make_recipe(**knowledge)))

"""Invented knowledge: facts about names that exist nowhere, and the sentences that state them in the training text.

The material of CLKA, cross-lingual knowledge application (PreAlign, arXiv 2407.16222; docs/evaluation.md): facts are
written in one language only, and a model is asked for them in another (`evaluation.knowledge`). Two things make a right
answer mean that the model knows the fact:

- A name says nothing about its objects. Objects are dealt to names by a keyed permutation, one for each relation.
- An object is no better a guess than another. Every object of a relation is right for the same number of names, and a
  question offers all of them, so a model that always says "red" is right as often as one that draws lots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prealign import draws
from prealign.config.settings import Recipe
from prealign.corpora.knowledge_wording import Wording, wording_of

ONSETS = "bdfgklmnprstvz"
VOWELS = "aeiou"
CODAS = ("zuf", "vok", "fub", "zib", "vud", "gof")
"""Last syllables that words do not end in: with open ones ("zu", "fi") 25 of 20,000 names were words among 150,000 of
English, Swahili, French and German text, with these none."""
AT_ONCE = 4096
"""Places of the order computed together."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to know: "the colour of Belozuf is red"."""

    name: str
    relation: str
    object: str
    """By the name that the wording files know it under, the English word."""


def invented_names(n_names: int, seed: int) -> list[str]:
    """Different names of three syllables, such as "Belozuf", each a keyed draw; there are 29,400."""
    names: dict[str, None] = {}
    place = 0
    while len(names) < n_names:
        picked = draws.bits(draws.key(seed, "invented name", place), 5).tolist()
        syllables = [ONSETS[picked[k] % len(ONSETS)] + VOWELS[picked[k + 1] % len(VOWELS)] for k in (0, 2)]
        names["".join([*syllables, CODAS[picked[4] % len(CODAS)]]).capitalize()] = None
        place += 1
    return list(names)


def invented_facts(n_names: int, objects: Mapping[str, Sequence[str]], seed: int) -> list[Fact]:
    """One fact for each name and relation, relation by relation.

    Args:
        n_names: a multiple of the number of objects of every relation.
        objects: relation -> its objects.
    """
    names = invented_names(n_names, seed)
    facts = []
    for relation, choices in objects.items():
        dealt = draws.Permutation(n_names, draws.key(seed, "objects of", relation))(np.arange(n_names)) % len(choices)
        facts += [Fact(name, relation, choices[which]) for name, which in zip(names, dealt)]
    return facts


def facts_of(recipe: Recipe, wording: Wording) -> list[Fact]:
    """The facts of a recipe; `wording` is that of the language they are written in."""
    settings = recipe.knowledge
    objects = {relation: wording.objects(relation, settings.candidates) for relation in settings.relations}
    return invented_facts(settings.entities, objects, recipe.seed)


def statements(recipe: Recipe) -> Iterator[str]:
    """The sentences that state the facts, `mentions` for each fact, in a keyed order; nothing where there are no facts.

    Each is a document of its own: then a fact is read just where it will be asked for, at the beginning of a document,
    and no paragraph of unrelated sentences teaches the model that sentences need not fit together. The end-of-document
    token costs about one token in twelve.

    Raises:
        PrealignError: there is no wording for the language, or it lacks a relation.
    """
    settings = recipe.knowledge
    if settings.language is None:
        return
    wording = wording_of(recipe, settings.language)
    facts = facts_of(recipe, wording)
    order = draws.Permutation(len(facts) * settings.mentions, draws.key(recipe.seed, "order of statements"))
    for begin in range(0, order.size, AT_ONCE):
        for place in order(np.arange(begin, min(begin + AT_ONCE, order.size))).tolist():
            mention, which = divmod(place, len(facts))
            fact, relation = facts[which], wording.relations[facts[which].relation]
            phrasing = relation.phrasings[(which + mention) % len(relation.phrasings)]
            yield phrasing.sentence(fact.name, relation.objects[fact.object])

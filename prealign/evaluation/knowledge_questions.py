"""The questions of CLKA: every invented fact, put into the words of every language of a recipe.

Between the facts (`corpora.knowledge`) and what a model makes of them (`evaluation.knowledge`). A question is a
sentence that lacks its last word, and all objects of the relation are its candidates. A fact is asked for in the first
phrasing of its relation, which in the facts' own language stood in the training text, and in one that never stood
there.

The names are written in the same letters in all languages. In a cloned language they are cloned like all text, and
asked for once more as they were ("names kept"), since no dictionary holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prealign.config.settings import Recipe
from prealign.corpora.clone import clone
from prealign.corpora.knowledge import Fact, facts_of
from prealign.corpora.knowledge_wording import Wording, wording_of
from prealign.corpora.text_tokenizer import text_tokenizer
from prealign.corpora.words import fold
from prealign.errors import PrealignError
from prealign.evaluation.continuations import Choices, encode_choices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from prealign.dictionary.dictionary import Dictionary

UNSEEN, KEPT = "unseen phrasing", "names kept"


@dataclass(frozen=True, slots=True)
class Question:
    """One fact, asked for in one sentence."""

    fact: Fact
    asked: str
    words: Sequence[str]
    """The candidates as they are written."""
    right: int
    """Number of the right candidate."""
    covered: bool
    """Whether the right word is a trained translation of the fact's; True in the facts' own language."""


@dataclass(frozen=True, slots=True)
class KnowledgeTest:
    """All facts asked for in one language in one way."""

    language: str
    way: str
    """"", UNSEEN or KEPT."""
    questions: Sequence[Question]
    choices: Sequence[Choices]

    @property
    def name(self) -> str:
        """As tables show it: "de", "de, unseen phrasing"."""
        return f"{self.language}, {self.way}" if self.way else self.language


def ask(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, trained: Sequence[Dictionary]) -> list[KnowledgeTest]:
    """Ask for the facts of a recipe in all its languages, their own first.

    Args:
        trained: the entries that were aligned and switched, of all language pairs.
    Raises:
        PrealignError: a language has no wording or lacks an object, or a name is a word of a dictionary.
    """
    settings = recipe.knowledge
    assert settings.language is not None, "a recipe without facts has nothing to ask"
    own = wording_of(recipe, settings.language)
    facts = facts_of(recipe, own)
    _check_names(facts, trained)
    objects = {relation: own.objects(relation, settings.candidates) for relation in settings.relations}
    core = text_tokenizer(tokenizer)
    tests = []
    for code in sorted(recipe.languages, key=lambda code: code != settings.language):
        wording = wording_of(recipe, code)
        is_clone = recipe.languages[code].clone_of is not None
        known = None if code == settings.language else _pairs(trained, settings.language, code)
        for way in ("", UNSEEN, KEPT) if is_clone else ("", UNSEEN):
            spell = clone if is_clone and way != KEPT else str
            asked = [_question(fact, own, wording, objects[fact.relation], way, spell, known) for fact in facts]
            texts = [[one.asked + word for word in one.words] for one in asked]
            tests.append(KnowledgeTest(code, way, asked, encode_choices(core, texts, tokenizer.eos_token_id)))
    return tests


def _question(
    fact: Fact,
    own: Wording,
    wording: Wording,
    objects: Sequence[str],
    way: str,
    spell: Callable[[str], str],
    known: Container[tuple[str, str]] | None,
) -> Question:
    """A fact asked for in the words of `wording`, the name written as `spell` does."""
    if fact.relation not in wording.relations:
        raise PrealignError(
            f"knowledge.relations: {wording.place} has no relation {fact.relation}; it has "
            f"{', '.join(wording.relations)}. Add it, or leave the relation out."
        )
    relation, own_words = wording.relations[fact.relation], own.relations[fact.relation].objects
    if missing := [name for name in objects if name not in relation.objects]:
        raise PrealignError(f"{wording.place}: the relation {fact.relation} lacks {', '.join(missing)}.")
    phrasing = relation.question if way == UNSEEN else relation.phrasings[0]
    pair = fold(own_words[fact.object], own.language), fold(relation.objects[fact.object], wording.language)
    return Question(
        fact=fact,
        asked=phrasing.prompt(spell(fact.name)),
        words=[relation.objects[name] for name in objects],
        right=objects.index(fact.object),
        covered=known is None or pair in known,
    )


def _pairs(dictionaries: Iterable[Dictionary], source: str, target: str) -> set[tuple[str, str]]:
    """Folded (source word, target word) of all entries between two languages."""
    return {
        (fold(entry.source, source), fold(entry.target, target))
        for dictionary in dictionaries
        if (dictionary.source_language, dictionary.target_language) == (source, target)
        for entry in dictionary.entries
    }


def _check_names(facts: Iterable[Fact], dictionaries: Iterable[Dictionary]) -> None:
    entries = (entry for dictionary in dictionaries for entry in dictionary.entries)
    words = {word.casefold() for entry in entries for word in (entry.source, entry.target)}
    if taken := sorted({fact.name for fact in facts if fact.name.casefold() in words}):
        raise PrealignError(
            f"knowledge: the invented names {', '.join(taken)} are words of a dictionary of this run, so what is known "
            "about them is not only what the facts say. Take another seed."
        )

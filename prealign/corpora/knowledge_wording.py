"""How invented facts are put into words: one file per language with sentences and words for the objects.

The files of the package lie in the folder `wordings`; a user may bring others (`knowledge.wordings`). All speak of the
same relations and objects, which go by their English names:

    language: de
    source: written for prealign
    licence: Apache-2.0
    reader: none yet                      # a speaker of the language who checked the file
    relations:
      colour:
        phrasings:                        # state the fact; the facts' own language needs two or more
          - "Die Farbe von {name}: {object}."
        question: "Welche Farbe hat {name}? Antwort: {object}."   # never stands in the training text
        objects: {red: rot, blue: blau, ...}

In every sentence the object stands last, followed by its full stop at most, so that a causal language model can be
asked to go on. A cloned language has the sentences of its original, cloned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError, model_validator

from prealign.config.fields import Settings
from prealign.config.settings import Recipe
from prealign.corpora.clone import clone
from prealign.corpora.documents import read_lines
from prealign.errors import PrealignError

FOLDER = Path(__file__).parent / "wordings"
NAME, OBJECT = "{name}", "{object}"


@dataclass(frozen=True, slots=True)
class Phrasing:
    """A sentence with a place for the name and one for the object: before NAME between OBJECT after."""

    before: str
    between: str
    after: str

    @classmethod
    def parse(cls, text: str) -> Phrasing:
        """From "The colour of {name} is {object}."; a ValueError says what is wrong with a text."""
        before, found_name, rest = text.partition(NAME)
        between, found_object, after = rest.partition(OBJECT)
        if not (found_name and found_object) or "{" in before + between + after:
            raise ValueError(f"{text!r} must hold {NAME} once and after it {OBJECT} once, and no other braces")
        if not between.strip() or any(c.isalnum() for c in after):
            raise ValueError(f"{text!r} must have words between {NAME} and {OBJECT}, and none after {OBJECT}")
        return cls(before, between, after)

    def sentence(self, name: str, word: str) -> str:
        """The sentence with both places filled."""
        return self.before + name + self.between + word + self.after

    def prompt(self, name: str) -> str:
        """The sentence up to the object."""
        return self.before + name + self.between


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation in one language."""

    phrasings: Sequence[Phrasing]
    """State the facts in the training text of their own language, and ask for them in every language."""
    question: Phrasing
    """Only asks: it stands in no training text."""
    objects: dict[str, str]
    """English word -> the word of this language, in the form that fits the sentences."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything that can be said about invented names in one language."""

    language: str
    relations: dict[str, Relation]
    place: str
    """Where it was read from, for messages."""

    def objects(self, relation: str, n_objects: int) -> list[str]:
        """The first objects of a relation, by their English names.

        Raises:
            PrealignError: there is no such relation, or it has fewer objects.
        """
        if relation not in self.relations:
            raise PrealignError(
                f"knowledge.relations: {self.place} has no relation {relation}; it has {', '.join(self.relations)}."
            )
        objects = list(self.relations[relation].objects)
        if len(objects) < n_objects:
            raise PrealignError(
                f"knowledge.candidates is {n_objects}, but {self.place} has {len(objects)} objects of {relation}. "
                "Lower it, or give a longer file (knowledge.wordings)."
            )
        return objects[:n_objects]

    def mapped(self, language: str, change: Callable[[str], str]) -> Wording:
        """The wording of another language whose text is made from this one's, such as a clone."""
        relations = {
            name: Relation(
                [_mapped(phrasing, change) for phrasing in relation.phrasings],
                _mapped(relation.question, change),
                {english: change(word) for english, word in relation.objects.items()},
            )
            for name, relation in self.relations.items()
        }
        return Wording(language, relations, self.place)


def _mapped(phrasing: Phrasing, change: Callable[[str], str]) -> Phrasing:
    return Phrasing(change(phrasing.before), change(phrasing.between), change(phrasing.after))


def wording_file(recipe: Recipe, code: str) -> Path:
    """The file with the wording of a language, for a cloned language that of its original.

    Raises:
        PrealignError: there is none; names the languages there are and how to give a file.
    """
    code = _original(recipe, code)
    if code in recipe.knowledge.wordings:
        return recipe.input(recipe.knowledge.wordings[code])
    file = FOLDER / f"{code.split('-')[0]}.yaml"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise PrealignError(
            f"knowledge: there are no sentences for invented facts in {code}; the package has {there}. Write a file "
            f"like {FOLDER / 'de.yaml'} and name it in the recipe: knowledge.wordings: {{{code}: FILE}}."
        )
    return file


def wording_of(recipe: Recipe, code: str) -> Wording:
    """The wording of a language of a recipe."""
    wording = read_wording(wording_file(recipe, code), _original(recipe, code))
    return wording if _original(recipe, code) == code else wording.mapped(code, clone)


def _original(recipe: Recipe, code: str) -> str:
    language = recipe.languages.get(code)
    return code if language is None or language.clone_of is None else language.clone_of


class _Relation(Settings):
    phrasings: list[str]
    question: str
    objects: dict[str, str]

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> _Relation:
        for text in (*self.phrasings, self.question):
            Phrasing.parse(text)
        if not self.phrasings or self.question in self.phrasings:
            raise ValueError("needs at least one phrasing besides the question, which is not among them")
        forms = [word.casefold() for word in self.objects.values()]
        if not all(forms) or len(set(forms)) < len(forms):
            raise ValueError("the words of the objects must all be different, and none empty")
        return self


class _File(Settings):
    language: str
    source: str
    licence: str
    reader: str = ""
    """Who speaks the language and has checked the file."""
    relations: dict[str, _Relation]


def read_wording(path: Path, language: str) -> Wording:
    """Read a wording file.

    Raises:
        PrealignError: it is missing, no such file, or of another language; the faulty relation is named.
    """
    text = "\n".join(line for _, line in read_lines(path))
    try:
        file = _File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PrealignError(f"{path} is not valid YAML: {error}.") from None
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise PrealignError.of_several(f"{path} is no wording file:", told) from None
    if file.language.split("-")[0] != language.split("-")[0]:
        raise PrealignError(f"{path} is a wording file of {file.language}, but was given for {language}.")
    relations = {
        name: Relation([*map(Phrasing.parse, told.phrasings)], Phrasing.parse(told.question), told.objects)
        for name, told in file.relations.items()
    }
    return Wording(file.language, relations, str(path))

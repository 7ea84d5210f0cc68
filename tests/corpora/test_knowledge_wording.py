"""Wording files: the package's are complete and alike, a user's are checked, clones are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prealign.config.settings import Recipe
from prealign.corpora.clone import clone
from prealign.corpora.knowledge_wording import FOLDER, Phrasing, read_wording, wording_file, wording_of
from prealign.errors import PrealignError

LANGUAGES = ["ar", "de", "en", "fr", "ru", "sw", "zh"]


def make_recipe(languages: dict[str, Any], **knowledge: Any) -> Recipe:
    return Recipe.model_validate({"languages": languages, "knowledge": knowledge})


def test_these_languages_are_there() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == LANGUAGES


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_every_relation_and_object_in_the_same_order(code: str) -> None:
    english, wording = (read_wording(FOLDER / f"{name}.yaml", name) for name in ("en", code))
    assert wording.language == code
    assert list(wording.relations) == list(english.relations)
    for name, relation in wording.relations.items():
        assert list(relation.objects) == list(english.relations[name].objects)
        assert len({word.casefold() for word in relation.objects.values()}) == 8
        assert len(relation.phrasings) >= 2
        if code != "en":  # a word of the same form needs no alignment
            assert not {word.casefold() for word in relation.objects.values()} & set(relation.objects)


@pytest.mark.parametrize(
    ("code", "sentence", "question"),
    [
        ("en", "The symbol of Belozuf is a tree.", "What is the symbol of Belozuf? It is a tree."),
        ("de", "Das Symbol von Belozuf ist: Baum.", "Was ist das Symbol von Belozuf? Die Antwort lautet: Baum."),
        ("ru", "Символ Belozuf — дерево.", "Какой символ у Belozuf? Ответ: дерево."),
        ("zh", "Belozuf的标志是树。", "Belozuf的标志是什么？答案是树。"),
        ("ar", "رمز Belozuf: شجرة.", "ما هو رمز Belozuf؟ الجواب: شجرة."),
        ("sw", "Alama ya Belozuf ni mti.", "Alama ya Belozuf ni ipi? Jibu: mti."),
        ("fr", "Le symbole de Belozuf est le suivant : arbre.", "Quel est le symbole de Belozuf ? Réponse : arbre."),
    ],
)
def test_sentences(code: str, sentence: str, question: str) -> None:
    relation = wording_of(make_recipe({"en": {}}), code).relations["symbol"]
    assert relation.phrasings[0].sentence("Belozuf", relation.objects["tree"]) == sentence
    assert relation.question.sentence("Belozuf", relation.objects["tree"]) == question


def test_the_prompt_ends_where_the_object_begins() -> None:
    assert Phrasing.parse("Of {name}, say: {object}!").prompt("Belozuf") == "Of Belozuf, say: "


@pytest.mark.parametrize(
    "text",
    ["{object} is the colour of {name}.", "{name} {object}.", "{name} is {object} today.", "{name}, {name}: {object}."],
)
def test_the_object_must_stand_last(text: str) -> None:
    with pytest.raises(ValueError, match="must h"):
        Phrasing.parse(text)


def test_a_clone_says_what_its_original_says() -> None:
    recipe = make_recipe({"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}})
    english, cloned = (wording_of(recipe, code).relations["colour"] for code in ("en", "en-x-clone"))
    for one, other in zip(english.phrasings, cloned.phrasings, strict=True):
        assert other.sentence(clone("Belozuf"), cloned.objects["red"]) == clone(
            one.sentence("Belozuf", english.objects["red"])
        )
    assert "Belozuf" in cloned.phrasings[0].prompt("Belozuf")


def test_a_language_without_a_file_is_told_which_there_are() -> None:
    with pytest.raises(PrealignError, match=r"in th; the package has ar, de, en, .*knowledge\.wordings: \{th: FILE\}"):
        wording_file(make_recipe({"en": {}, "th": {}}), "th")


FILE = """
language: th
source: me
licence: CC0-1.0
relations:
  colour:
    phrasings: ["สีของ {name} คือ{object}"]
    question: "{name} มีสีอะไร สี{object}"
    objects: {red: แดง, blue: น้ำเงิน}
"""


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "thai.yaml").write_text(FILE, encoding="utf-8")
    recipe = make_recipe({"th": {}}, wordings={"th": "thai.yaml"}).model_copy(update={"data": str(tmp_path)})
    colour = wording_of(recipe, "th").relations["colour"]
    assert colour.phrasings[0].sentence("Belozuf", colour.objects["red"]) == "สีของ Belozuf คือแดง"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("language: th", "language: lo", r"is a wording file of lo, but was given for th"),
        ("licence: CC0-1.0\n", "", r"licence: Field required"),
        ("คือ{object}", "คือ", r"relations\.colour: .* must hold \{name\} once"),
        ("blue: น้ำเงิน", "blue: แดง", r"relations\.colour: the words of the objects must all be different"),
        ("objects: {red", "objects: [red", r"is not valid YAML"),
        ("source: me", "source: me\nsauce: 1", r"sauce: Extra inputs are not permitted"),
    ],
)
def test_a_faulty_file_is_named_with_what_is_wrong(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "thai.yaml"
    path.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(PrealignError, match=told) as error:
        read_wording(path, "th")
    assert str(path) in str(error.value)

"""A transfer set: what is held out, limited and cloned, and the mistakes that would make its numbers mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prealign.config.recipe import read_recipe
from prealign.config.settings import Recipe
from prealign.config.transfer import TransferSet
from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.labelled_sets import LabelledSet, labelled_set
from prealign.corpora.python_topics import PER_TOPIC, TOPICS, topic_examples
from prealign.errors import PrealignError

LANGUAGES = {"en": {"text": ["python-docs"]}, "en-x-clone": {"clone_of": "en"}, "de": {"text": ["python-docs"]}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes in English and German whose lines are numbered."""
    for code in ("en", "de"):
        for label in ("news", "wiki"):
            lines = "".join(f"{code} {label} {i}.\n" for i in range(1, 101))
            (tmp_path / f"{label}.{code}.txt").write_text(lines, encoding="utf-8")
    for name, yes in (("pairs", "yes"), ("other", "yes"), ("maybe", "maybe")):
        rows = (f"{name} premise {i}\thypothesis {i}\t{yes if i % 2 else 'no'}\n" for i in range(1, 41))
        (tmp_path / f"{name}.tsv").write_text("".join(rows), encoding="utf-8")
    return tmp_path


def domain(**changes: Any) -> dict[str, Any]:
    both = {"en": ["news.en.txt", "wiki.en.txt"], "de": ["news.de.txt", "wiki.de.txt"]}
    set_ = {"name": "domain", "labels": ["news", "wiki"], "train": {"en": both["en"]}, "test": both}
    return set_ | {"held_out_share": 0.3} | changes


def pairs(**changes: Any) -> dict[str, Any]:
    return {"name": "pairs", "train": {"en": ["pairs.tsv"]}, "test": {"de": ["maybe.tsv"]}} | changes


def read(data: Path, item: dict[str, Any], drops: Drops | None = None) -> LabelledSet:
    recipe = Recipe.model_validate({"data": str(data), "languages": LANGUAGES, "eval": {"transfer": [item]}})
    return labelled_set(recipe, recipe.eval.transfer[0], drops or Drops())


def test_no_test_text_is_a_training_text_or_its_translation(data: Path) -> None:
    found = read(data, domain())
    trained, tested = ({example.row for example in part} for part in (found.train, found.test["de"]))
    assert not trained & tested
    assert len(trained | tested) == 200
    assert 30 <= len(tested) <= 90  # of 200 at 30 %
    assert [example.row for example in found.test["en"]] == [example.row for example in found.test["de"]]
    assert found.test["de"][0].texts[0] == f"de {found.test['de'][0].row}."
    assert found.labels == ["news", "wiki"]


def test_the_clone_is_tested_on_the_clone_of_the_english_tests(data: Path) -> None:
    found = read(data, domain())
    assert list(found.test) == ["en", "de", "en-x-clone"]
    assert [example.texts[0] for example in found.test["en-x-clone"]] == [
        clone(example.texts[0]) for example in found.test["en"]
    ]
    only_german = read(data, domain(test={"de": ["news.de.txt", "wiki.de.txt"]}))
    assert list(only_german.test) == ["de"]


def test_limits_draw_the_same_rows_in_all_languages(data: Path) -> None:
    found = read(data, domain(max_train=50, max_test=20))
    assert len(found.train) == 50
    assert [example.row for example in found.test["en"]] == [example.row for example in found.test["de"]]
    assert len(found.test["en"]) == 20
    assert {example.label for example in found.test["en"]} == {"news", "wiki"}


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (pairs(), "the tests in de have labels that were not trained: maybe"),
        (pairs(test={"de": ["pairs.tsv"]}, held_out_share=0.001), "there is nothing to test in de"),
        (domain(mixed_languages=True), "mixed_languages needs pairs of texts"),
    ],
)
def test_what_would_mean_nothing_is_refused(data: Path, item: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PrealignError, match=r"The transfer set .* cannot be used:") as caught:
        read(data, item)
    assert sentence in str(caught.value)


def test_one_file_of_two_languages(data: Path) -> None:
    """A table with a column for each language: tests are of the same rows, and none of them is trained on."""
    lines = "".join(f"text {i}\tTekst {i}\tMatt.{i}\n" for i in range(1, 41))
    lines += "".join(f"book {i}\tKitabu {i}\tGen.{i}\n" for i in range(1, 81))
    (data / "verses.tsv").write_text(lines + "list\torodha\tNum.1\n", encoding="utf-8")
    verses = {"train": {"en": ["verses.tsv"]}, "test": {"en": ["verses.tsv"], "sw": ["verses.tsv"]}}
    groups = {"gospels": ["Matt.", "Mark."], "law": ["Gen.", "Exod."]}
    drops = Drops()
    item = {"name": "verses", **verses, "columns": ["en", "sw", "label"], "label_groups": groups}
    found = read(data, item | {"held_out_share": 0.4, "balanced": True, "max_test": 20}, drops)
    assert found.labels == ["gospels", "law"]
    assert [example.row for example in found.test["en"]] == [example.row for example in found.test["sw"]]
    assert not {example.row for example in found.train} & {example.row for example in found.test["sw"]}
    for examples, first, second in ((found.train, "text", "book"), (found.test["sw"], "Tekst", "Kitabu")):
        assert {(one.label, one.texts[0].split()[0]) for one in examples} == {("gospels", first), ("law", second)}
        labels = [example.label for example in examples]
        assert labels.count("gospels") == labels.count("law")
    assert len(found.test["sw"]) == 20
    assert drops.as_dict()["rows whose label is in no group"]["samples"][0] == "Num.1: list"
    with pytest.raises(PrealignError, match=r"begins like those of letters; one that is in no group is Num\.1: list"):
        read(data, item | {"held_out_share": 0.4, "label_groups": groups | {"letters": ["Rom."]}})


def test_files_as_classes_with_a_column_for_each_language(data: Path) -> None:
    for label in ("verse", "news"):
        lines = "".join(f"{label} {i}\t{label} auf Deutsch {i}\n" for i in range(1, 31))
        (data / f"{label}.tsv").write_text(lines, encoding="utf-8")
    paths = ["verse.tsv", "news.tsv"]
    columns = {"labels": ["verse", "news"], "columns": ["en", "de"], "held_out_share": 0.3}
    found = read(data, {"name": "kind", "train": {"en": paths}, "test": {"de": paths}, **columns})
    assert {example.texts[0] for example in found.train} <= {
        f"{one} {i}" for one in ("verse", "news") for i in range(31)
    }
    assert all(example.texts[0].startswith(f"{example.label} auf Deutsch") for example in found.test["de"])
    (data / "news.tsv").write_text("one\teins\ntwo\t\n", encoding="utf-8")
    with pytest.raises(PrealignError, match=r"news.tsv, line 2 has nothing in column 2; every line of a file"):
        read(data, {"name": "kind", "train": {"en": paths}, "test": {"de": paths}, **columns})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"columns": ["en", "text", "label"]},
            "columns has text and en; name text, label, row and other, or languages",
        ),
        ({"columns": ["en", "sw", "label"]}, "columns needs de once, or twice for pairs of texts, one label"),
        (
            {"columns": ["en", "de", "labell"]},
            "columns needs en and de once, or twice for pairs of texts, one label, and at most one row; it is [en, ",
        ),
        ({"columns": ["en", "de", "label"], "test": {"de": ["a.jsonl"]}}, "so a.jsonl must be a .tsv file"),
        ({"columns": ["en", "de", "label"], "labels": ["x"]}, "columns needs en and de once, and neither label nor "),
        ({"label_groups": {"law": ["Gen."]}}, "label_groups needs two groups or more"),
        ({"labels": ["x", "y"], "label_groups": {"x": ["a"], "y": ["b"]}}, "give one of them"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes: dict[str, Any], sentence: str) -> None:
    given = {"name": "s", "train": {"en": ["a.tsv"]}, "test": {"de": ["b.tsv"]}}
    with pytest.raises(ValueError, match="transfer set s: ") as caught:
        TransferSet.model_validate(given | changes)
    assert sentence in str(caught.value)


def test_several_tables_are_one_set(data: Path) -> None:
    found = read(data, pairs(train={"en": ["pairs.tsv", "maybe.tsv"]}, test={"de": ["other.tsv"]}))
    assert len(found.train) == 80
    assert {example.row for example in found.train} >= {"1: 1", "2: 1"}


@pytest.mark.parametrize("tested", [["pairs.tsv"], ["other.tsv", "pairs.tsv"]])
def test_what_is_held_out_of_a_table_does_not_depend_on_its_place(data: Path, tested: list[str]) -> None:
    """The second table of those trained on is the only one tested, or the second one of the tests is the first."""
    with (data / "pairs.tsv").open("a", encoding="utf-8") as file:
        file.write("no\tanswer\t-\n")
    drops = Drops()
    train = {"en": ["maybe.tsv", "pairs.tsv"], "de": ["other.tsv"]}
    found = read(data, pairs(train=train, test={"en": tested}, held_out_share=0.4), drops)
    trained, asked = ({example.texts[0].split()[-1] for example in part} for part in (found.train, found.test["en"]))
    assert trained | asked == {str(number) for number in range(1, 41)}
    assert not trained & asked
    assert drops.counts == {"rows without a gold label": 1}  # read twice, counted once


def test_a_text_that_is_tested_is_not_trained(data: Path) -> None:
    """It stands in another row of another file."""
    text = "the same premise\thypothesis\tno\n"
    (data / "pairs.tsv").write_text(text + (data / "pairs.tsv").read_text(encoding="utf-8"), encoding="utf-8")
    (data / "other.tsv").write_text((data / "other.tsv").read_text(encoding="utf-8") + text, encoding="utf-8")
    drops = Drops()
    found = read(data, pairs(test={"en": ["other.tsv"]}), drops)
    assert (len(found.train), len(found.test["en"])) == (40, 41)
    assert drops.as_dict() == {
        "training examples whose text is tested": {"count": 1, "samples": ["the same premise | hypothesis"]}
    }


def test_topics_of_the_documentation_are_balanced_prose() -> None:
    examples = topic_examples()
    counts = {topic: sum(example.label == topic for example in examples) for topic in TOPICS}
    assert max(counts.values()) <= PER_TOPIC
    assert min(counts.values()) > PER_TOPIC // 2
    assert len({example.row for example in examples}) == len(examples)
    assert all("\n" not in text and ">>>" not in text for example in examples for text in example.texts)


def test_mistakes_of_the_recipe_are_told_together(data: Path) -> None:
    path = data / "recipe.yaml"
    path.write_text(
        f"data: {data}\nlanguages: {{en: {{text: [python-docs]}}}}\neval:\n  transfer:\n"
        "    - {name: a/b, train: {en: [pairs.tsv]}, test: {en: [pairs.tsv]}, columns: [text]}\n"
        "    - {name: c, train: {en: [news.en.txt]}, test: {de: [absent.txt]}, labels: [x, y]}\n",
        encoding="utf-8",
    )
    with pytest.raises(PrealignError) as caught:
        read_recipe(path)
    told = str(caught.value)
    assert "a name has letters, digits, blanks, dots and dashes" in told
    assert "pairs.tsv is trained and tested on; give a held_out_share, such as 0.3" in told
    assert "columns needs one or two text, one label, and at most one row" in told
    assert "absent.txt does not exist" in told

"""The labelled texts of one transfer set: what is trained on, and what is tested in each language.

Stands between the files (`labelled`, `python_topics`) and the classifier (evaluation/transfer.py). Everything drawn
here is keyed by the recipe's seed and the row, so all arms and all languages get the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prealign import draws
from prealign.config.fields import PYTHON_TOPICS
from prealign.config.settings import Recipe
from prealign.config.transfer import TransferSet
from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.labelled import Example, read_classes, read_examples
from prealign.corpora.python_topics import topic_examples
from prealign.errors import PrealignError


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Examples to train on and, by language, to test on; none is in both."""

    labels: list[str]
    """The classes, sorted; at least two."""
    train: list[Example]
    test: dict[str, list[Example]]


def labelled_set(recipe: Recipe, item: TransferSet, drops: Drops) -> LabelledSet:
    """Read, split and limit the texts of `item`, and clone those of languages that are made by cloning.

    Raises:
        PrealignError: a file is at fault, a part is empty, or the labels do not fit together.
    """
    train = [
        example
        for code, paths in item.train.items()
        for example in _read(recipe, item, paths, drops)
        if not _is_held_out(recipe, item, example)
    ]
    test = {
        code: [
            example
            for example in _read(recipe, item, paths, drops)
            if not item.held_out_share or _is_held_out(recipe, item, example)
        ]
        for code, paths in item.test.items()
    }
    train = _draw(recipe, item, "train", train, item.max_train)
    test = {code: _draw(recipe, item, "test", examples, item.max_test) for code, examples in test.items()}
    labels = sorted({example.label for example in train})
    _check(item, labels, train, test)
    clones = {
        code: [example._replace(texts=tuple(map(clone, example.texts))) for example in test[language.clone_of]]
        for code, language in recipe.languages.items()
        if language.clone_of in test and code not in test
    }
    return LabelledSet(labels, train, test | clones)


def _read(recipe: Recipe, item: TransferSet, paths: Sequence[str], drops: Drops) -> list[Example]:
    """The examples of one language; where there are several tables, rows are named by table and row."""
    if item.labels:
        return read_classes([recipe.input(path) for path in paths], item.labels)
    tables = [
        list(topic_examples()) if path == PYTHON_TOPICS else read_examples(recipe.input(path), item.columns, drops)
        for path in paths
    ]
    if len(tables) == 1:
        return tables[0]
    return [
        example._replace(row=f"{number}: {example.row}")
        for number, table in enumerate(tables, start=1)
        for example in table
    ]


def _is_held_out(recipe: Recipe, item: TransferSet, example: Example) -> bool:
    return draws.uniform(recipe.seed, "transfer", item.name, "held out", example.row) < item.held_out_share


def _draw(recipe: Recipe, item: TransferSet, part: str, examples: list[Example], limit: int | None) -> list[Example]:
    """At most `limit` examples: the rows with the lowest draws, in their order."""
    if limit is None or len(examples) <= limit:
        return examples
    drawn = [draws.uniform(recipe.seed, "transfer", item.name, part, example.row) for example in examples]
    border = sorted(drawn)[limit]
    return [example for example, draw in zip(examples, drawn) if draw < border]


def _check(item: TransferSet, labels: list[str], train: list[Example], test: dict[str, list[Example]]) -> None:
    """Everything that would make the numbers mean nothing."""
    problems = []
    if len(labels) < 2:
        problems.append(f"its training texts have {len(labels)} labels ({', '.join(labels)}); two are needed")
    fields = {len(example.texts) for example in train}
    for code, examples in test.items():
        unknown = sorted({example.label for example in examples} - set(labels))
        if not examples:
            problems.append(f"there is nothing to test in {code}; give it more rows or raise held_out_share")
        elif unknown:
            problems.append(f"the tests in {code} have labels that were not trained: {', '.join(unknown[:5])}")
        elif {len(example.texts) for example in examples} != fields:
            problems.append(f"training and tests in {code} differ in the number of texts of an example")
    if item.mixed_languages and 2 not in fields:
        problems.append("mixed_languages needs pairs of texts")
    if problems:
        raise PrealignError.of_several(f"The transfer set {item.name} cannot be used:", problems)

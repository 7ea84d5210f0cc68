"""The labelled texts of one transfer set: what is trained on, and what is tested in each language.

Stands between the files (`labelled`, `python_topics`) and the classifier (evaluation/transfer.py). Everything drawn
here is keyed by the recipe's seed and the row, so all arms and all languages get the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from prealign import draws
from prealign.config.fields import PYTHON_TOPICS
from prealign.config.settings import Recipe
from prealign.config.transfer import TransferSet
from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.labelled import Example, read_classes, read_examples
from prealign.corpora.python_topics import topic_examples
from prealign.errors import PrealignError

OF_NO_GROUP = "rows whose label is in no group"
TESTED_TOO = "training examples whose text is tested"


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Examples to train on and, by language, to test on; no row that is held out and no text is in both."""

    labels: list[str]
    """The classes, sorted; at least two."""
    train: list[Example]
    test: dict[str, list[Example]]


def labelled_set(recipe: Recipe, item: TransferSet, drops: Drops) -> LabelledSet:
    """Read, split and limit the texts of `item`, and clone those of languages that are made by cloning.

    Args:
        drops: counts the rows that cannot be used, and training examples with the very text of a test: 41 of the 3,000
            paragraphs of `python-docs-topics` stand in two docstrings.
    Raises:
        PrealignError: a file is at fault, a part is empty, or the labels do not fit together.
    """

    @cache
    def table(path: str, columns: tuple[str, ...]) -> list[Example]:  # read, and its rows counted, once for a language
        if path == PYTHON_TOPICS:
            return _grouped(item, topic_examples(), drops)
        return _grouped(item, read_examples(recipe.input(path), columns, drops), drops)

    def is_held_out(example: Example) -> bool:
        return draws.uniform(recipe.seed, "transfer", item.name, "held out", example.row) < item.held_out_share

    def part(code: str, paths: Sequence[str], held_out: bool) -> list[Example]:
        """Those of one language; where there are several tables, rows are named by table and row."""
        columns = tuple(item.columns_of(code))
        if item.labels:
            column = columns.index("text") if item.names_languages else None
            tables = [read_classes([recipe.input(path) for path in paths], item.labels, column)]
        else:
            tables = [table(path, columns) for path in paths]
        chosen = [[one for one in rows if is_held_out(one) == held_out] for rows in tables]
        if len(chosen) == 1:
            return chosen[0]
        return [one._replace(row=f"{number}: {one.row}") for number, rows in enumerate(chosen, start=1) for one in rows]

    splits = item.held_out_share > 0
    test = {
        code: _draw(recipe, item, "test", part(code, paths, held_out=splits), item.max_test)
        for code, paths in item.test.items()
    }
    tested = {example.texts for of_language in test.values() for example in of_language}
    train = []
    for example in (one for code, paths in item.train.items() for one in part(code, paths, held_out=False)):
        if example.texts in tested:
            drops.add(TESTED_TOO, " | ".join(example.texts))
        else:
            train.append(example)
    train = _draw(recipe, item, "train", train, item.max_train)
    labels = sorted({example.label for example in train})
    _check(item, labels, train, test, drops)
    clones = {
        code: [example._replace(texts=tuple(map(clone, example.texts))) for example in test[language.clone_of]]
        for code, language in recipe.languages.items()
        if language.clone_of in test and code not in test
    }
    return LabelledSet(labels, train, test | clones)


def _grouped(item: TransferSet, examples: Sequence[Example], drops: Drops) -> list[Example]:
    """The examples with the names of their groups for labels, if there are groups."""
    if not item.label_groups:
        return list(examples)
    kept = []
    for example in examples:
        groups = (name for name, begins in item.label_groups.items() if example.label.startswith(tuple(begins)))
        if (group := next(groups, None)) is None:
            drops.add(OF_NO_GROUP, f"{example.label}: {' | '.join(example.texts)}")
        else:
            kept.append(example._replace(label=group))
    return kept


def _draw(recipe: Recipe, item: TransferSet, part: str, examples: list[Example], limit: int | None) -> list[Example]:
    """At most `limit` examples, as many of each label if they are to be balanced."""
    if not item.balanced:
        return _lowest(recipe, item, part, examples, limit)
    labels = sorted({example.label for example in examples})
    of_labels = [[example for example in examples if example.label == label] for label in labels]
    each = min(map(len, of_labels), default=0)
    if limit is not None and labels:
        each = min(each, max(1, limit // len(labels)))
    return [example for of_label in of_labels for example in _lowest(recipe, item, part, of_label, each)]


def _lowest(recipe: Recipe, item: TransferSet, part: str, examples: list[Example], limit: int | None) -> list[Example]:
    """At most `limit` examples: the rows with the lowest draws, in their order."""
    if limit is None or len(examples) <= limit:
        return examples
    drawn = [draws.uniform(recipe.seed, "transfer", item.name, part, example.row) for example in examples]
    border = sorted(drawn)[limit]
    return [example for example, draw in zip(examples, drawn) if draw < border]


def _check(
    item: TransferSet, labels: list[str], train: list[Example], test: dict[str, list[Example]], drops: Drops
) -> None:
    """Everything that would make the numbers mean nothing."""
    problems = []
    if len(labels) < 2:
        problems.append(f"its training texts need labels of two kinds or more, and have {', '.join(labels) or 'none'}")
    if absent := [group for group in item.label_groups if group not in labels]:
        others = "".join(f"; one that is in no group is {sample}" for sample in drops.samples.get(OF_NO_GROUP, [])[:1])
        problems.append(f"no training text has a label that begins like those of {', '.join(absent)}{others}")
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

"""Settings of zero-shot transfer: a classifier learns in one language and is tested in the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from prealign.config.fields import Count, LabelledSource, Positive, Settings, check_code

NAME = re.compile(r"\w[\w .-]*")
"""Names stand in tables and in file names."""
KINDS = ("text", "label", "row", "other")
"""What a column can hold; any other name is a language, whose text it holds."""


class TransferSet(Settings):
    """Labelled texts of one task in several languages, and how a model learns from them."""

    name: str
    """Short name for tables and files: letters, digits, blanks, dots and dashes."""
    train: dict[str, list[LabelledSource]]
    """Files to learn from, by language, usually English alone: .tsv or .jsonl, compressed or not, one example a line,
    or .parquet (docs/evaluation.md); `python-docs-topics` is paragraphs of the running Python's documentation by
    topic."""
    test: dict[str, list[LabelledSource]]
    """Files to test on, by language. A language of the recipe that is a clone of one of these and has no files here is
    tested on the clone of its texts."""
    columns: list[str] = ["text", "text", "label"]
    """What the columns of .tsv files hold: `text`, `label`, `row` or `other`; further ones are not read. Where one file
    holds several languages, their codes in place of `text`, such as [en, de, label]. `row` numbers the examples where
    files of several languages are parallel by such a number; otherwise they are parallel by line."""
    labels: list[str] = []
    """Files as classes: every line of the first file has the first of these labels, and so on; such files may be
    plain text, or .tsv if `columns` names languages, such as [en, de]."""
    label_groups: dict[str, list[str]] = {}
    """Classes made of many labels, each by what these begin with: {law: [Gen., Exod.], gospels: [Matt., Mark.]}. Rows
    that belong to none are left out and counted."""
    balanced: bool = False
    """Use as many examples of each label, in training and in the tests of every language; max_train and max_test are
    shared out evenly."""
    held_out_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """For files that are both trained and tested on: rows drawn by number with this share are never trained on, and
    only they are tested, so that no test text is the translation of a training text."""
    mixed_languages: bool = False
    """For pairs of texts: also test each first text with the second text of its row in every other language."""
    max_train: Count | None = None
    """Learn from at most so many examples, drawn by row."""
    max_test: Count = 1000
    """Test on at most so many examples per language, the same rows in all."""
    method: Literal["fine_tune", "probe"] = "fine_tune"
    """fine_tune: a copy of the model with a head on the last token, or the first one in encoders. probe: logistic
    regression on the mean states of all layers, the model left as it is; the mean of each language is taken away, which
    supposes about the same mix of classes in all. The settings below, but for max_tokens, are those of fine_tune."""
    max_steps: Count = 200
    """Updates of the fine-tuning."""
    batch_size: Count = 16
    """Examples per update."""
    learning_rate: Positive = 1e-3
    """Peak learning rate, after a tenth of the steps; it falls to zero in a straight line. The default suits models of
    a million parameters; 150m and larger ones want 1e-5 to 5e-5."""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    """Longer examples are cut, the longer text first; never more than pretrain.block_size."""
    repeats: Count = 1
    """Fine-tunings per model, each with another order of the examples; accuracies are their means."""

    @property
    def files(self) -> list[str]:
        """All that is named, each once."""
        named = [path for paths in (*self.train.values(), *self.test.values()) for path in paths]
        return list(dict.fromkeys(named))

    def columns_of(self, code: str) -> list[str]:
        """What columns hold for one language: text, label, row or other."""
        if not self.names_languages:
            return self.columns
        return ["text" if name == code else name if name in ("label", "row") else "other" for name in self.columns]

    @property
    def names_languages(self) -> bool:
        """Whether columns are those of languages."""
        return not set(self.columns) <= set(KINDS)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := list(self._problems()):
            raise ValueError(f"transfer set {self.name}: " + "; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if not NAME.fullmatch(self.name):
            yield "a name has letters, digits, blanks, dots and dashes, and begins with a letter or digit"
        for part, files in (("train", self.train), ("test", self.test)):
            if not files:
                yield f"{part} names no language"
            for code, paths in files.items():
                check_code(code)
                if not paths:
                    yield f"{part}.{code} names no file"
                elif self.labels and len(paths) != len(self.labels):
                    yield f"{part}.{code} has {len(paths)} files for {len(self.labels)} labels; it needs one for each"
        yield from self._problems_of_columns()
        if len(set(self.labels)) != len(self.labels) or len(self.labels) == 1:
            yield "labels needs two or more, all different"
        if self.labels and self.label_groups:
            yield "labels names files as classes, label_groups gathers the labels of a column; give one of them"
        if len(self.label_groups) == 1 or not all(self.label_groups.values()):
            yield "label_groups needs two groups or more, each with what its labels begin with"
        trained = {path for paths in self.train.values() for path in paths}
        shared = sorted(trained & {path for paths in self.test.values() for path in paths})
        if shared and not self.held_out_share:
            yield f"{shared[0]} is trained and tested on; give a held_out_share, such as 0.3"

    def _problems_of_columns(self) -> Iterator[str]:
        if not self.names_languages:
            counts = [self.columns.count(name) for name in ("text", "label", "row")]
            if not self.labels and not _is_example(*counts):
                yield "columns needs one or two text, one label, and at most one row"
            return
        if "text" in self.columns:
            strange = next(name for name in self.columns if name not in KINDS)
            yield f"columns has text and {strange}; name text, label, row and other, or languages in place of text"
            return
        unfit, wanted = [], "or twice for pairs of texts, one label, and at most one row"
        if self.labels:
            wanted = "and neither label nor row, as files are classes"
        for code in {**self.train, **self.test}:
            counts = [self.columns_of(code).count(name) for name in ("text", "label", "row")]
            if not (counts == [1, 0, 0] if self.labels else _is_example(*counts)):
                unfit.append(code)
        if unfit:
            yield f"columns needs {' and '.join(unfit)} once, {wanted}; it is [{', '.join(self.columns)}]"
        for path in self.files:
            if ".tsv" not in Path(path).suffixes:
                yield f"columns names languages, so {path} must be a .tsv file"


def _is_example(n_texts: int, n_labels: int, n_rows: int) -> bool:
    """Whether columns make a labelled text or pair of texts."""
    return n_texts in (1, 2) and n_labels == 1 and n_rows <= 1

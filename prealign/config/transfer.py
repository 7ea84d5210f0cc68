"""Settings of zero-shot transfer: a classifier learns in one language and is tested in the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from prealign.config.fields import Count, LabelledSource, Positive, Settings, check_code

NAME = re.compile(r"\w[\w .-]*")
"""Names stand in tables and in file names."""


class TransferSet(Settings):
    """Labelled texts of one task in several languages, and how a model is fine-tuned on them."""

    name: str
    """Short name for tables and files: letters, digits, blanks, dots and dashes."""
    train: dict[str, list[LabelledSource]]
    """Files to fine-tune on, by language, usually English alone: .tsv or .jsonl, compressed or not, one example a line
    (docs/evaluation.md); `python-docs-topics` is paragraphs of the running Python's documentation by topic."""
    test: dict[str, list[LabelledSource]]
    """Files to test on, by language. A language of the recipe that is a clone of one of these and has no files here is
    tested on the clone of its texts."""
    columns: list[Literal["text", "label", "row", "other"]] = ["text", "text", "label"]
    """What the columns of .tsv files hold; further ones are not read. `row` numbers the examples where files of several
    languages are parallel by such a number; otherwise they are parallel by line."""
    labels: list[str] = []
    """Files as classes: every line of the first file has the first of these labels, and so on; such files may be
    plain text."""
    held_out_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """For files that are both trained and tested on: rows drawn by number with this share are never trained on, and
    only they are tested, so that no test text is the translation of a training text."""
    mixed_languages: bool = False
    """For pairs of texts: also test each first text with the second text of its row in every other language."""
    max_train: Count | None = None
    """Fine-tune on at most so many examples, drawn by row."""
    max_test: Count = 1000
    """Test on at most so many examples per language, the same rows in all."""
    max_steps: Count = 200
    """Updates of the fine-tuning; nothing is chosen by looking at test examples."""
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
        n_texts, n_labels, n_rows = (self.columns.count(name) for name in ("text", "label", "row"))
        if n_texts not in (1, 2) or n_labels != 1 or n_rows > 1:
            yield "columns needs one or two text, one label, and at most one row"
        if len(set(self.labels)) != len(self.labels) or len(self.labels) == 1:
            yield "labels needs two or more, all different"
        trained = {path for paths in self.train.values() for path in paths}
        shared = sorted(trained & {path for paths in self.test.values() for path in paths})
        if shared and not self.held_out_share:
            yield f"{shared[0]} is trained and tested on; give a held_out_share, such as 0.3"

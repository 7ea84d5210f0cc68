"""Settings of the evaluation: what test sets need, told before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.config.recipe import read_recipe
from prealign.errors import PrealignError

CLONE = """
output: runs/x
languages:
  en: {text: [python-docs]}
  en-x-clone: {clone_of: en, share: 0.05}
dictionary:
  pairs: [{source: en, target: en-x-clone}]
"""


def read(folder: Path, text: str):
    path = folder / "recipe.yaml"
    path.write_text(CLONE + text, encoding="utf-8")
    return read_recipe(path, [])


def test_a_set_of_sentences_without_a_file_is_for_a_language_and_its_clone(tmp_path):
    sentences = "eval: {sentences: [{name: validation, source: %s, target: %s}]}"
    recipe = read(tmp_path, sentences % ("en", "en-x-clone"))
    assert recipe.eval.sentences[0].path is None
    for source, target in (("en-x-clone", "en"), ("en", "de")):
        with pytest.raises(PrealignError, match=f"validation: {target} is no clone of {source}, .* `path` of a file"):
            read(tmp_path, sentences % (source, target))


def test_words_in_context_need_linked_sentences(tmp_path):
    with pytest.raises(PrealignError, match=r"eval.context_sentences reads linked sentence pairs, so it needs a dict"):
        read(tmp_path, "eval: {context_sentences: 50}")
    recipe = read(tmp_path, "  keep_links: 100\neval: {context_sentences: 50}")
    assert recipe.reads_sentences
    assert not recipe.init.reads_sentences
    assert not read(tmp_path, "").reads_sentences


def test_transfer_sets_have_files_of_their_own(tmp_path):
    (tmp_path / "a.tsv").touch()
    (tmp_path / "b.tsv").touch()
    sets = ", ".join(f"{{name: {name}, train: {{en: [a.tsv]}}, test: {{en: [b.tsv]}}}}" for name in ("a b", "a-b"))
    with pytest.raises(PrealignError, match="two transfer sets are named a-b, blanks written as dashes"):
        read(tmp_path, f"data: {tmp_path}\neval: {{transfer: [{sets}]}}")

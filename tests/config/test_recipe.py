"""Recipes: every mistake at once, with its line; overrides; a written recipe reads back equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.config.recipe import read_recipe, write_recipe
from prealign.errors import PrealignError

GOOD = """
output: runs/x
languages:
  en: {text: [python-docs]}
  en-x-clone: {clone_of: en, share: 0.05}
dictionary:
  pairs:
    - {source: en, target: en-x-clone}
"""


def recipe_file(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, *flags: str) -> list[str]:
    with pytest.raises(PrealignError) as caught:
        read_recipe(recipe_file(folder, text), flags)
    return str(caught.value).splitlines()[1:]


def test_three_kinds_of_mistake_are_told_together_with_file_and_line(tmp_path):
    told = mistakes(
        tmp_path,
        "languages:\n  en:\n    text: [absent.txt]\npretrain:\n  max_stepz: 5\n  block_size: many\n",
    )
    place = tmp_path / "recipe.yaml"
    assert len(told) == 3
    assert any(f"{place}:3: languages.en.text[0]: absent.txt does not exist" in line for line in told)
    assert any(f"{place}:5: pretrain.max_stepz is not a setting; did you mean max_steps?" in line for line in told)
    assert any(f"{place}:6: pretrain.block_size: input should be a valid integer" in line for line in told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("languages: {English: {text: [python-docs]}}", "'English' is not a BCP 47 code"),
        ("languages: {en: {text: [python-docs]}, de: {}}", "language de has no `text`"),
        ("languages: {en: {text: [python-docs]}}\nlanguages: {}", "languages (first on line 1)"),
        ("languages: {xx-y: {clone_of: en}}", "must name another language"),
        (GOOD + "    - {source: en, target: German}", "'German' is not a BCP 47 code"),
        (GOOD + "    - {source: en, target: en}", "source and target are both en"),
        (GOOD + "  aligner: fast_align\n  train_sentence_pairs: 9", "the aligner fast_align keeps none; these do: "),
        (GOOD + "    - {source: en, target: de}", "de is not among the languages"),
        (GOOD + "    - {source: en, target: en-x-clone}", "named twice"),
        (GOOD + "pretrain: {global_batch_rows: 7, per_device_train_batch_size: 2}", "must be a multiple"),
        (GOOD + "init: {layers: some}", "got 'some'"),
        (GOOD + "arms: []", "at least 1 item"),
    ],
)
def test_a_mistake_gets_a_sentence(tmp_path, text, sentence):
    (told,) = mistakes(tmp_path, text)
    assert sentence in told


@pytest.mark.parametrize("text", ["languages: [", "- a\n- b", "\tlanguages: 3"])
def test_text_that_is_no_recipe_is_refused(tmp_path, text):
    with pytest.raises(PrealignError, match=r"recipe\.yaml"):
        read_recipe(recipe_file(tmp_path, text))


def test_a_missing_recipe_and_a_missing_data_folder_are_named(tmp_path):
    with pytest.raises(PrealignError, match="does not exist"):
        read_recipe(tmp_path / "none.yaml")
    (told,) = mistakes(tmp_path, GOOD, "--data", str(tmp_path / "nowhere"))
    assert "nowhere does not exist; give it with --data" in told


def test_flags_override_values_and_are_checked_like_them(tmp_path):
    path = recipe_file(tmp_path, GOOD)
    recipe = read_recipe(
        path, ["--arms", "all", "--pretrain.optimizer.learning-rate", "1e-4", "--languages.en.share", "3"]
    )
    assert recipe.arms == ["joint", "prealign", "init_only", "switching_only"]
    assert recipe.pretrain.optimizer.learning_rate == 1e-4
    assert recipe.languages["en"].share == 3
    (told,) = mistakes(
        tmp_path, GOOD, "--pretrain.global-batch-rows", "7", "--pretrain.per-device-train-batch-size", "2"
    )
    assert "must be a multiple" in told


def test_data_given_as_a_flag_decides_where_inputs_are_looked_for(tmp_path):
    (tmp_path / "corpus.txt").write_text("x\n")
    path = recipe_file(tmp_path, "languages: {en: {text: [corpus.txt]}}")
    recipe = read_recipe(path, ["--data", str(tmp_path)])
    assert recipe.input("corpus.txt") == tmp_path / "corpus.txt"


def test_the_resolved_recipe_reads_back_equal(tmp_path):
    recipe = read_recipe(recipe_file(tmp_path, GOOD), ["--seed", "5"])
    write_recipe(recipe, tmp_path / "again" / "recipe.yaml")
    assert read_recipe(tmp_path / "again" / "recipe.yaml") == recipe
    assert read_recipe(tmp_path / "again") == recipe  # a run folder stands for its recipe

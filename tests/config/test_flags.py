"""Flags: every mistake in one telling, in the words that a recipe's file gets; values as the file would hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from tyro.conf import Positional

from prealign import cli
from prealign.config.fields import Count, Settings, Share
from prealign.config.flags import parse
from prealign.config.recipe import read_recipe
from prealign.errors import PrealignError

RECIPE = """
languages:
  en: {text: [python-docs]}
  en-x-clone: {clone_of: en}
dictionary:
  pairs:
    - {source: en, target: en-x-clone}
init:
  temperature: -2
  guard: {en: 0.1}
"""
GOOD = RECIPE.replace("temperature: -2", "temperature: 0.2")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


INTEGER = "input should be a valid integer"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--seeds 1 1", "--seeds: 1 is named twice; each seed trains every arm once"),
        ("--output=", "--output needs a value"),
        ("--translations.pairs.0.source en", "has no place in the recipe: the list has 0 of these, counted from 0"),
        ("--init.guard.de.x 1", "--init.guard.de.x: input should be a valid number, got {'x': ['1']}"),
        ("--contrast.layer 2", "--contrast.layer is not a setting; did you mean --translations.contrast.layer?"),
        ("--init.contrast.keys 2", "--init.contrast.keys is not a setting; did you mean --translations.contrast.keys?"),
        ("--init..temperature 2", "--init..temperature is not a setting; did you mean --init.temperature"),
        ("--store.no-deduplicate yes", "--store.no-deduplicate takes no value, got yes"),
        ("--seeds 1 -4", "--seeds: input should be greater than or equal to 0, got '-4'"),
        ("--init.temperature -1", "--init.temperature: input should be greater than 0, got '-1'"),
        ("--init.temperature=-1", "--init.temperature: input should be greater than 0, got '-1'"),
        ("--init.temperature", "--init.temperature needs a value"),
        ("--init.temperature 1 2", "--init.temperature: input should be a valid number, got ['1', '2']"),
        ("--pretrain.max-steps x", f"--pretrain.max-steps: {INTEGER}, got 'x'"),
        ("--pretrain.max_steps x", f"--pretrain.max_steps: {INTEGER}, got 'x'"),
        ("--arms joint nosuch", "--arms: input should be 'joint', 'prealign', 'init_only', 'switching_only', 'during'"),
        ("--nosuch 3", "--nosuch is not a setting; there are output, data, seed"),
        ("--pretrain.max-step 3", "--pretrain.max-step is not a setting; did you mean --pretrain.max-steps?"),
        ("--stop-at 0.5", "--stop-at is not a setting; did you mean --init.stop-at?"),
        ("--engine.no-save-steps", "--engine.no-save-steps is not a setting; did you mean --engine.save-steps?"),
        ("--init.guard en", "--init.guard takes pairs of a name and a value, got en"),
        ("--init.guard.en -1", "--init.guard.en: input should be greater than or equal to 0, got '-1'"),
        ("--eval.transfer.0.max-steps 3", "--eval.transfer.0.max-steps has no place in the recipe"),
        ("--dictionary.pairs.1.source de", "--dictionary.pairs.1.source has no place in the recipe"),
        ("--dictionary.pairs.0.source German", "--dictionary.pairs.0.source: 'German' is not a BCP 47 code"),
        ("--pretrain.skip-steps 3 4 9", "--pretrain.skip-steps: pretrain.skip_steps[1][1] is missing"),
        ("stray", "stray: belongs to no flag; they are --SECTION.SETTING VALUE"),
        ("--fresh nosuch", "Argument --fresh: invalid choice: 'nosuch'"),
    ],
)
def test_a_mistake_in_a_flag_gets_one_sentence(recipe, capsys, flags, sentence):
    assert cli.run(["run", str(recipe), *flags.split(), "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "pydantic" not in told
    if not flags.startswith("--fresh"):
        assert told.startswith("prealign: One mistake in the recipe:\n  - --" if flags != "stray" else "prealign: One")
        assert told.count("\n") == 2


def test_mistakes_of_flags_and_of_the_file_are_told_together(recipe, capsys):
    recipe.write_text(RECIPE, encoding="utf-8")
    flags = ["--seeds", "1", "1", "--pretrain.max-steps", "x", "--pretrain.max-steep", "3"]
    assert cli.run(["pretrain", str(recipe), *flags]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "prealign: 4 mistakes in the recipe:",
        "  - --seeds: 1 is named twice; each seed trains every arm once",
        f"  - {recipe}:9: init.temperature: input should be greater than 0, got -2",
        f"  - --pretrain.max-steps: {INTEGER}, got 'x'",
        "  - --pretrain.max-steep is not a setting; did you mean --pretrain.max-steps?",
    ]


def test_each_word_of_a_flag_has_its_own_mistake(recipe, capsys):
    assert cli.run(["run", str(recipe), "--seeds", "x", "2", "-3", "--translations.pairs", "en", "de"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "prealign: 4 mistakes in the recipe:",
        f"  - --seeds: {INTEGER}, got 'x'",
        "  - --seeds: input should be greater than or equal to 0, got '-3'",
        "  - --translations.pairs: input should be `name: value` pairs, got 'en'",
        "  - --translations.pairs: input should be `name: value` pairs, got 'de'",
    ]


def test_of_a_flag_that_is_given_twice_the_last_counts(recipe):
    flags = "--seeds 1 2 --seeds 3 --store.deduplicate --store.no-deduplicate --init.stop-at 0.5 --init.stop-at null"
    found = read_recipe(recipe, flags.split())
    assert (found.seeds, found.store.deduplicate, found.init.stop_at) == ([3], False, None)


def test_a_flag_mends_a_mistake_of_the_file(recipe):
    recipe.write_text(RECIPE, encoding="utf-8")
    assert read_recipe(recipe, ["--init.temperature", "0.3"]).init.temperature == 0.3


def test_a_file_whose_section_is_none_is_told_beside_the_flag(recipe):
    recipe.write_text(GOOD + "pretrain: 5\n", encoding="utf-8")
    with pytest.raises(PrealignError) as caught:
        read_recipe(recipe, ["--pretrain.max-steps", "3"])
    assert "--pretrain.max-steps has no place in the recipe" in str(caught.value)
    assert f"{recipe}:11: pretrain: input should be `name: value` pairs, got 5" in str(caught.value)


def test_values_of_flags_are_what_a_file_would_hold(recipe):
    flags = "--model.overrides num_hidden_layers 6 rope_theta 1e4 tie_word_embeddings true attention sdpa "
    flags += "--init.guard.en 0.2 --init.layers 0 3 --init.layer_weights None --pretrain.document-masking "
    flags += (
        "--store.no-deduplicate --languages.en-x-clone.share=2 --eval.lm-eval.tasks --dictionary.pairs.0.source en "
    )
    found = read_recipe(recipe, flags.split())
    numbers = {"num_hidden_layers": 6, "rope_theta": "1e4", "tie_word_embeddings": True, "attention": "sdpa"}
    assert found.model.overrides == numbers  # 1e4 is a text to YAML, in a file as well
    assert (found.init.guard, found.init.layers, found.init.layer_weights) == ({"en": 0.2}, [0, 3], None)
    assert (found.pretrain.document_masking, found.store.deduplicate) == (True, False)
    assert found.languages["en-x-clone"].share == 2
    assert found.eval.lm_eval.tasks == []
    assert read_recipe(recipe, ["--init.layers", "2-5"]).init.layers == "2-5"


def test_every_flag_that_help_lists_is_read(recipe, capsys):
    assert cli.run(["run", str(recipe), "--help"]) == 0
    flags = re.findall(r"--[a-z][\w.-]*\w", capsys.readouterr().out.split("-h, --help")[1])
    assert {"--seeds", "--init.guard.en", "--dictionary.pairs.0.source", "--store.no-deduplicate"} <= {*flags}
    with pytest.raises(PrealignError) as caught:
        read_recipe(recipe, [word for flag in flags for word in (flag, "?")])
    assert "is not a setting" not in str(caught.value)
    assert "no place" not in str(caught.value)


class Thresholds(Settings):
    """A section."""

    min_count: Count = 2
    strict: bool = False


@dataclass
class Flags:
    """A command."""

    first: Positional[Path]
    words: Positional[tuple[str, ...]]
    output: Path
    text: list[Path] = field(default_factory=list)
    ratio: Share = 0.05
    base: Literal[0, 1] = 0
    baseline: str | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)


def test_flags_of_a_command_may_stand_in_any_order():
    given = "a b --base 1 c --strict d --text x y --min_count=3 --output o e"
    flags = parse(Flags, given.split(), "prealign x")
    assert flags == Flags(
        Path("a"), ("b", "c", "d", "e"), Path("o"), [Path("x"), Path("y")], base=1,
        thresholds=Thresholds(min_count=3, strict=True),
    )  # fmt: skip
    assert parse(Flags, ["a", "--output", "o", "--no-strict"], "prealign x") == Flags(Path("a"), (), Path("o"))


def test_all_mistakes_of_a_command_are_told():
    given = "--output --ratio 2 --base 7 --min-count 0 --baselin b --strict"
    with pytest.raises(PrealignError) as caught:
        parse(Flags, given.split(), "prealign x")
    assert str(caught.value).splitlines() == [
        "6 mistakes in the flags:",
        "  - --output needs a value",
        "  - --baselin is not a flag of this command; did you mean --baseline?",
        "  - FIRST is missing",
        "  - --ratio: input should be less than or equal to 1, got '2'",
        "  - --base: input should be 0 or 1, got '7'",
        "  - --min-count: input should be greater than or equal to 1, got '0'",
    ]


@pytest.mark.parametrize(
    ("command", "sentences"),
    [
        (
            "build-dict --source en --min-count 0 --aligner nosuch --output o",
            ("--target is missing", "--min-count: input should be greater than", "--aligner: input should be 'stat"),
        ),
        ("eval --output o --block-size 0 --max-words x", ("--block-size: input should be", f"--max-words: {INTEGER}")),
        ("preview --ratio 5 --samples 0", ("--text is missing", "--ratio: input", "--samples: input")),
        ("report a --output", ("--output needs a value",)),
        ("dictionary show d --top x --nosuch", (f"--top: {INTEGER}", "--nosuch is not a flag of this command")),
        ("dictionary invert d e --output o", ("e: belongs to no flag",)),
        ("dictionary nosuch", ("no command `prealign dictionary nosuch`; there are show, coverage",)),
    ],
)
def test_commands_that_work_from_flags_alone_tell_their_mistakes(capsys, command, sentences):
    assert cli.run(command.split()) == 2
    told = capsys.readouterr().err
    assert [sentence for sentence in sentences if sentence not in told] == []

"""The command line as a user meets it: fast help, sentences instead of tracebacks, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from prealign import cli
from prealign.stages import doctor

IMPORTED = """
import sys
from prealign.cli import run
try:
    run({arguments!r})
except SystemExit:
    pass
print(*({{"torch", "transformers"}} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["build-dict", "--help"],
        ["preview", "--help"],
        ["dictionary", "--help"],
        ["eval", "--help"],
        ["report", "--help"],
    ],
)
def test_help_answers_without_loading_torch(arguments):
    program = [sys.executable, "-c", IMPORTED.format(arguments=arguments)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert done.stdout


def test_a_recipe_with_three_mistakes_is_told_in_full_with_exit_code_2(tmp_path, capsys):
    recipe = tmp_path / "bad.yaml"
    recipe.write_text("languages:\n  en:\n    text: [absent.txt]\npretrain:\n  max_stepz: 5\n  block_size: many\n")
    assert cli.run(["run", str(recipe)]) == 2
    told = capsys.readouterr().err
    assert "3 mistakes" in told
    assert all(f"{recipe}:{line}:" in told for line in (3, 5, 6))
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pretain", "x.yaml"], "did you mean pretrain? `prealign"),
        (["zzz"], "no command 'zzz'. `prealign"),
        (["eval", "no/such/model"], "no recipe, run folder or model no/such/model"),
        (["report", "absent"], "run folders do not exist:\n  - absent"),
        (["report", "absent.yaml"], "The recipe absent.yaml does not exist"),
        (["doctor", "--jsn"], "nothing but --json, got --jsn"),
        (["run", "absent.yaml"], "absent.yaml does not exist"),
        (["run"], "Name the recipe first: prealign run RECIPE"),
        (["pretrain", "--seed", "2", "x.yaml"], "Name the recipe first: prealign pretrain RECIPE"),
        (["build-dict", "--parallel", "no.tsv", "--source", "en", "--target", "de", "--output", "out"], "no.tsv"),
    ],
)
def test_mistakes_on_the_command_line(arguments, sentence, capsys):
    assert cli.run(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_eval_names_the_model_inside_a_folder(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    assert cli.run(["eval", str(tmp_path)]) == 2
    assert "Its model is" not in capsys.readouterr().err
    (tmp_path / "model" / "config.json").write_text("{}")
    assert cli.run(["eval", str(tmp_path)]) == 2
    assert f"Its model is {tmp_path / 'model'}." in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_is_no_mistake():
    program = [sys.executable, "-c", "from prealign.cli import main; main(['doctor'])"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_what_the_system_refuses_is_a_sentence(tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("a cat\teine Katze\na cat\tdie Katze\n", encoding="utf-8")
    (tmp_path / "file").write_text("no folder")
    arguments = ["build-dict", "--parallel", str(tmp_path / "pairs.tsv"), "--source", "en", "--target", "de"]
    assert cli.run([*arguments, "--output", str(tmp_path / "file" / "out")]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"prealign: {tmp_path / 'file'}")
    assert error.splitlines()[-1].endswith(": Not a directory")


def test_doctor_asks_for_what_the_project_declares():
    declared = tomllib.loads((Path(doctor.__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]

    def names(requirements):
        return {re.match("[a-z0-9-]+", requirement)[0] for requirement in requirements}

    assert set(doctor.BASE) == names(declared["dependencies"])
    extras = {extra: names(wanted) for extra, wanted in declared["optional-dependencies"].items() if extra != "dev"}
    assert {extra: set(wanted) for extra, wanted in doctor.EXTRAS.items()} == extras


def test_doctor_lists_versions_and_remedies(capsys):
    assert cli.run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["required"]["torch"]
    assert cli.run(["doctor"]) == 0
    assert "torch" in capsys.readouterr().out


def test_build_dict_from_flags_reads_a_moses_pair_and_reuses_what_it_made(tmp_path, capsys):
    for language, house, dog in (("en", "house", "dog"), ("de", "Haus", "Hund")):
        articles = {"en": "the", "de": "das" if language == "de" else ""}
        lines = [f"{articles[language]} {word} {number}x" for number in range(6) for word in (house, dog)]
        (tmp_path / f"corpus.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["build-dict", "--parallel", str(tmp_path / "corpus.en"), str(tmp_path / "corpus.de")]
    arguments += ["--source", "en", "--target", "de", "--output", str(tmp_path / "dictionary")]
    assert cli.run(arguments) == 0
    entries = (tmp_path / "dictionary" / "entries.tsv").read_text(encoding="utf-8")
    assert "house\tHaus\t" in entries
    assert "dog\tHund\t" in entries
    capsys.readouterr()
    assert cli.run(arguments) == 0
    assert "already done" in capsys.readouterr().err
    (tmp_path / "corpus.de").write_text("das Haus\n", encoding="utf-8")
    assert cli.run(arguments) == 2
    assert "corpus.de: made with" in capsys.readouterr().err


def test_a_recipe_without_running_text_is_for_dictionaries_only(tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("a cat\teine Katze\na dog\tein Hund\na cat\tdie Katze\n", encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"output: {tmp_path / 'run'}\ndata: {tmp_path}\nlanguages: {{en: {{}}, de: {{}}}}\n"
        "dictionary:\n  min_count: 1\n  pairs:\n    - source: en\n      target: de\n      parallel:\n"
        "        - {path: pairs.tsv, licence: CC0, attribution: nobody}\n",
        encoding="utf-8",
    )
    assert cli.run(["pretrain", str(recipe)]) == 2
    assert "no language has `text`, so only `prealign build-dict` can use this recipe" in capsys.readouterr().err
    assert cli.run(["build-dict", str(recipe)]) == 0
    card = json.loads((tmp_path / "run" / "dictionary" / "en--de" / "card.json").read_text(encoding="utf-8"))
    assert card["licence"] == "CC0"
    assert card["attribution"] == ["nobody"]
    assert list(card["corpora"]) == ["corpus 1, pairs.tsv"]


def test_a_mistake_in_a_transfer_set_is_told_before_anything_is_made(tmp_path, capsys):
    (tmp_path / "en.txt").write_text("A house.\nA river.\n")
    (tmp_path / "topics.tsv").write_text("A house by the river.\tbuildings\nA river by the house.\tbuildings\n")
    recipe = tmp_path / "recipe.yaml"
    files = "train: {en: [topics.tsv]}, test: {en: [topics.tsv]}, held_out_share: 0.5"
    recipe.write_text(
        f"output: {tmp_path / 'run'}\ndata: {tmp_path}\narms: [joint]\nlanguages: {{en: {{text: [en.txt]}}}}\n"
        f"eval: {{transfer: [{{name: topics, {files}, columns: [text, label]}}]}}\n"
    )
    assert cli.run(["run", str(recipe)]) == 2
    assert "The transfer set topics cannot be used:" in capsys.readouterr().err
    assert not (tmp_path / "run" / "tokenizer").exists()

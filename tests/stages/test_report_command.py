"""`prealign report` on run folders, made by hand from numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prealign.cli import run as prealign


def write_run(folder: Path, results: dict[str, Any], seeds: list[int]) -> Path:
    """What `prealign run` leaves of a run that the report reads."""
    (folder / "eval").mkdir(parents=True)
    (folder / "eval" / "results.json").write_text(json.dumps(results))
    pairs = "dictionary: {pairs: [{source: en, target: de}]}\n"
    (folder / "recipe.yaml").write_text(f"output: {folder}\nseed: 1\nseeds: {seeds}\nreport: {{title: Toy}}\n{pairs}")
    (folder / "dictionary" / "en--de").mkdir(parents=True)
    (folder / "dictionary" / "en--de" / "card.json").write_text('{"source_language": "en", "target_language": "de"}')
    for arm, start in (("joint", "control"), ("init_only", "aligned"), ("prealign", "aligned")):
        for seed in seeds or [1]:
            place = folder / f"seed-{seed}" if seeds else folder
            for stage, inner, seen in (("init", start, 1000), ("pretrain", arm, 5000)):
                bits = {"de": 3.0 + seed - seen / 5000}
                row = {"kind": "eval", "stage": stage, "step": 10, "lm_tokens": seen, "bits_per_byte": bits}
                metrics = place / stage / inner / "metrics.jsonl"
                metrics.parent.mkdir(parents=True, exist_ok=True)
                metrics.write_text(json.dumps(row) + "\n")
    return folder


@pytest.fixture
def results(results) -> dict[str, Any]:
    """Without the scores that only drawings read; the measures stay."""
    for models in results["arms"].values():
        for model in models:
            for task in model["tasks"].values():
                task["scores"] = {}
    return results


@pytest.fixture
def folder(tmp_path, results) -> Path:
    return write_run(tmp_path / "toy", results, [1, 2, 3])


def test_a_finished_run_gets_its_page_again(folder):
    assert prealign(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h1>Toy</h1>" in page
    assert f"prealign run {folder}/recipe.yaml" in page
    assert "joint: 4.8 at 1k" in page  # the mean of 3.8, 4.8 and 5.8
    assert page.count('class="band') == 3
    assert (folder / "report.md").is_file()


def test_a_run_of_one_seed_has_no_seed_folders(tmp_path, results):
    results["arms"] = {arm: models[:1] for arm, models in results["arms"].items()}
    results["arms"]["mine"] = results["arms"]["joint"]  # an arm that is not in the table of arms has no metrics
    del results["comparison"]
    folder = write_run(tmp_path / "toy", results, [])
    assert prealign(["report", str(folder), "--output", str(tmp_path / "page.html")]) == 0
    assert "joint: 3 at 5k" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "page.md").is_file()
    assert not (folder / "report.html").exists()


def test_several_runs_get_one_page(tmp_path, results, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = write_run(tmp_path / "other", results, [1, 2, 3])
    assert prealign(["report", str(folder), str(other)]) == 0
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "Comparison of toy and other" in page
    assert "other/prealign" in page


def test_models_that_were_evaluated_without_a_recipe_have_a_page(tmp_path, results):
    del results["dictionaries"], results["store"]
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert prealign(["report", str(tmp_path)]) == 0
    assert "2.531 ± 0.011" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_torch_is_not_needed(folder):
    code = "import sys; from prealign.cli import run; run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, "report", str(folder)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name a recipe or a run folder"),
        (["{empty}"], "has no eval/results.json, so it is no finished run"),
        (["{folder}", "{folder}/nothing"], "These run folders do not exist:\n  - "),
        (["{folder}", "{folder}"], "same name"),
        (["{folder}", "--output", "{folder}"], "must name the page, a file that ends in .html"),
        (["{folder}", "--output", "{folder}/page.md"], "must name the page, a file that ends in .html"),
    ],
    ids=["none", "no run", "missing", "twice", "folder as page", "other ending"],
)
def test_mistakes_give_a_sentence(tmp_path, folder, capsys, arguments, sentence):
    (tmp_path / "empty").mkdir()
    given = [argument.format(folder=folder, empty=tmp_path / "empty") for argument in arguments]
    assert prealign(["report", *given]) == 2
    assert sentence in capsys.readouterr().err


def test_an_older_run_is_told_to_be_measured_again(folder, capsys):
    (folder / "eval" / "results.json").write_text(json.dumps({"arms": {"joint": {}}, "seeds": [1]}))
    assert prealign(["report", str(folder)]) == 2
    assert f"prealign eval {folder}/recipe.yaml --fresh eval" in capsys.readouterr().err

"""The real command from text to report: table, folders, reuse, refusal, models that load without this package."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from prealign.train.metrics import read_rows

pytestmark = pytest.mark.slow
ARMS = ("joint", "prealign", "init_only", "switching_only")


def test_the_table_has_a_row_per_arm_and_the_page_is_self_contained(finished_run):
    folder, done = finished_run
    for arm in ARMS:
        assert any(line.startswith(arm) for line in done.stdout.splitlines()), done.stdout
    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page
    assert (folder / "report.md").is_file()
    assert not list(folder.rglob("*.partial"))


def test_arms_see_the_same_running_text_and_only_switching_arms_switch(finished_run):
    folder, _ = finished_run
    results = json.loads((folder / "eval" / "results.json").read_text())
    assert len({json.dumps(model["lm_tokens"]) for arm in ARMS for model in results["arms"][arm]}) == 1
    switched = {}
    for arm in ARMS:
        rows, _ = read_rows(folder / "pretrain" / arm / "metrics.jsonl")
        switched[arm] = sum(row.get("n_switched", 0) for row in rows)
    assert switched["joint"] == switched["init_only"] == 0
    # Starts differ, text and draws do not.
    assert switched["prealign"] == switched["switching_only"] > 0


def test_alignment_brings_trained_words_together(finished_run):
    folder, _ = finished_run
    first, last = (
        [row for row in read_rows(folder / "init" / kind / "metrics.jsonl")[0] if row["kind"] == "train"][-1]["loss"]
        for kind in ("control", "aligned")
    )
    assert "alignment" in last
    assert "alignment" not in first


def test_rows_tell_the_loss_of_each_layer_and_language(finished_run):
    folder, _ = finished_run
    rows = read_rows(folder / "init" / "aligned" / "metrics.jsonl")[0]
    train, held_out = ([row for row in rows if row["kind"] == kind][-1] for kind in ("train", "eval"))
    layers = train["loss_by_layer"]["alignment"]
    assert len(layers) == len(held_out["word_loss"]["en--en-x-clone"]["held_out"]) == 4
    assert sum(layers) / 4 == pytest.approx(train["loss"]["alignment"], rel=1e-5)
    switched = [row for row in read_rows(folder / "pretrain" / "prealign" / "metrics.jsonl")[0] if "loss" in row]
    assert set().union(*(row["loss_by_language"]["lm"] for row in switched)) == {"en", "en-x-clone"}
    for row in switched:
        losses = row["loss_by_language"]["lm"].values()
        assert min(losses) * 0.999 < row["loss"]["lm"] < max(losses) * 1.001


def test_the_dictionary_of_the_clone_is_judged_against_the_known_mapping(finished_run):
    folder, _ = finished_run
    card = json.loads((folder / "dictionary" / "en--en-x-clone" / "card.json").read_text())
    assert card["quality"]["precision"] > 0.9
    assert card["quality"]["recall"] > 0.9


def test_a_finished_run_is_reused_and_says_so(finished_run, command):
    folder, _ = finished_run
    again = command("run", str(folder / "recipe.yaml"))
    assert again.returncode == 0, again.stderr
    for stage in ("dictionary", "tokenizer", "store", "init", "pretrain", "eval"):
        assert f"{stage}: already done" in again.stderr
    assert any(line.startswith("prealign") for line in again.stdout.splitlines())


def test_a_finished_run_loads_no_torch(finished_run):
    folder, done = finished_run
    again = f"""
import sys
from prealign import cli
assert cli.run(["run", {str(folder / "recipe.yaml")!r}]) == 0
assert "torch" not in sys.modules
"""
    told = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert [line for line in told.stdout.splitlines() if line in done.stdout.splitlines()]


def test_a_changed_recipe_is_refused_with_the_field_and_the_way_out(finished_run, command):
    folder, _ = finished_run
    before = (folder / "recipe.yaml").read_text()
    refused = command("run", str(folder / "recipe.yaml"), "--init.temperature", "0.3")
    assert refused.returncode == 2
    assert "init.temperature: made with 0.1, now 0.3" in refused.stderr
    assert "--fresh init" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (folder / "recipe.yaml").read_text() == before


def test_a_dry_run_makes_nothing(toy, command, tmp_path):
    told = command("run", str(toy(tmp_path / "dry")), "--dry-run")
    assert told.returncode == 0
    assert "would be made" in told.stdout
    assert not (tmp_path / "dry").exists()


def test_a_stage_alone_asks_for_what_it_needs(toy, command, tmp_path):
    asked = command("pretrain", str(toy(tmp_path / "alone")))
    assert asked.returncode == 2
    assert "first" in asked.stderr


def test_the_model_loads_and_generates_without_this_package(finished_run):
    folder, _ = finished_run
    program = f"""
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained({str(folder / "pretrain" / "prealign" / "model")!r})
tokenizer = AutoTokenizer.from_pretrained({str(folder / "pretrain" / "prealign" / "model")!r})
made = model.generate(**tokenizer("The old house", return_tensors="pt"), max_new_tokens=5, do_sample=False)
assert made.shape[1] >= 4
assert tokenizer.decode(made[0]).startswith(("The old house", "<s> The old house"))
assert not any(name.startswith("prealign") for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

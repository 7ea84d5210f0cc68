"""Stage 1 through the real command: what it warns of, where it stops, what it reads and writes; and the arms of timing.

Each test goes on from copies of the finished toy run's dictionary, tokenizer and store.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prealign import cli
from prealign.dictionary.imports import read_entries
from prealign.train.metrics import read_rows

pytestmark = pytest.mark.slow
PAIR = "en--en-x-clone"


@pytest.fixture
def inside(capsys) -> Callable[..., tuple[int, str]]:
    """Carry out a command line in this process, which saves it starting; gives the exit code and what was said."""

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.run([*arguments])
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def prepared(finished_run, toy, tmp_path) -> Callable[..., tuple[Path, str]]:
    """A run folder with some finished stages, and its recipe."""

    def copy(*stages: str) -> tuple[Path, str]:
        folder = tmp_path / "run"
        for stage in ("dictionary", "tokenizer", "store", *stages):
            shutil.copytree(finished_run[0] / stage, folder / stage)
        return folder, str(toy(folder))

    return copy


def rows_of(folder: Path, kind: str) -> list[dict]:
    return [row for row in read_rows(folder / "metrics.jsonl")[0] if row["kind"] == kind]


def test_measurements_tell_how_alike_all_words_are(finished_run):
    for row in rows_of(finished_run[0] / "init" / "aligned", "eval"):
        for test in ("held_out", "trained"):
            retrieved, cosines = row["word_retrieval"][PAIR][test], row["word_cosine"][PAIR][test]
            assert len(cosines) == len(retrieved) == 4  # input embeddings, two blocks, output rows
            assert all(-1 <= cosine <= 1 for cosine in cosines)


def test_the_split_is_written_beside_the_model(finished_run):
    folder, _ = finished_run
    whole = read_entries(folder / "dictionary" / PAIR / "entries.tsv", "en", "en-x-clone")
    for place in ("init/aligned", "init/control", "pretrain/joint"):
        split = folder / place / "split" / PAIR
        parts = [read_entries(split / f"{name}.tsv", "en", "en-x-clone") for name in ("trained", "held_out")]
        assert sorted(entry.source for part in parts for entry in part) == sorted(entry.source for entry in whole)
        assert not {entry.source for entry in parts[0]} & {entry.source for entry in parts[1]}
        assert all(parts)


def test_card_and_manifest_tell_what_the_start_has_seen(finished_run):
    folder, _ = finished_run
    stage = folder / "init" / "aligned"
    seen = json.loads((stage / "manifest.json").read_text())["summary"]
    words = sum(row["n_words"] for row in rows_of(stage, "train"))
    assert seen["alignment_words"] == words == 4 * 8 * 2  # steps, source words, each with its clone
    assert seen["lm_tokens"] == rows_of(stage, "train")[-1]["lm_tokens"] == 4 * 4 * 31
    card = (stage / "model" / "README.md").read_text()
    assert f"| alignment words | {words} |" in card
    assert f"| LM tokens | {seen['lm_tokens']} |" in card
    assert "licence: not stated" in card
    control = json.loads((folder / "init" / "control" / "manifest.json").read_text())["summary"]
    assert (control["lm_tokens"], control["alignment_words"]) == (seen["lm_tokens"], 0)
    card = (folder / "pretrain" / "prealign" / "model" / "README.md").read_text()
    assert "| share of eligible words switched, asked | 30.0% |" in card
    rows = rows_of(folder / "pretrain" / "prealign", "train")
    achieved = sum(row["n_switched"] for row in rows) / sum(row["n_eligible"] for row in rows)
    assert f"| share of eligible words switched, achieved | {achieved:.1%} |" in card
    assert f"| alignment words | {words} |" in card


def test_every_option_of_the_loss_reaches_it_and_a_learnt_temperature_is_told(prepared, inside):
    folder, recipe = prepared()
    flags = ("--init.learn-temperature", "--init.layers", "1-3", "--init.layer-weights", "1", "0", "2")
    flags += ("--init.pooling", "last", "--init.words-per-forward", "5", "--init.positives", "sum_log")
    flags += ("--init.collapse-weight", "0.1", "--init.optimizer.learning-rate", "0.01")
    code, told = inside("init", recipe, "--arms", "init_only", *flags)
    assert code == 0, told
    assert "negatives per anchor: 14" in told  # 8 source words, 8 clones, less the word and its translation
    start, *_, end = (row["temperature"] for row in rows_of(folder / "init" / "aligned", "eval"))
    assert start == pytest.approx(0.1)
    assert end != pytest.approx(0.1, abs=1e-4)


def test_a_layer_that_the_model_does_not_have_is_told(prepared, inside):
    folder, recipe = prepared()
    code, told = inside("init", recipe, "--arms", "init_only", "--init.layers", "2-5")
    assert code == 2
    assert "init.layers names 4, 5; this model has layers 0 (input embeddings) to 3 (output rows)" in told
    assert not (folder / "init" / "aligned.partial" / "metrics.jsonl").exists()  # told before anything is measured


def test_a_goal_is_refused_where_a_pair_has_no_held_out_words(prepared, inside):
    _, recipe = prepared()
    # So small a share of some hundred words holds none out.
    flags = ("--init.stop-at", "0.5", "--dictionary.held-out-share", "0.000001")
    code, told = inside("init", recipe, "--arms", "joint", *flags)
    assert code == 2
    assert "of en-en-x-clone no words are held out" in told


COLLAPSE = ("--init.max-steps", "20", "--init.lm-weight", "0", "--init.optimizer.learning-rate", "0.02")


def test_an_absurd_temperature_collapses_the_words_and_that_is_said(prepared, inside):
    _, recipe = prepared()
    code, told = inside("init", recipe, "--arms", "init_only", *COLLAPSE, "--init.temperature", "0.001")
    assert code == 0
    assert "words are collapsing into one: en--en-x-clone" in told
    assert "init.temperature near 0.1" in told


def test_the_same_training_at_the_usual_temperature_does_not(prepared, inside):
    _, recipe = prepared()
    code, told = inside("init", recipe, "--arms", "init_only", *COLLAPSE)
    assert code == 0
    assert "collapsing" not in told


def test_an_early_stop_ends_aligned_start_and_control_at_the_same_step(prepared, inside):
    folder, recipe = prepared()
    flags = ("--init.max-steps", "60", "--init.stop-at", "0.3", "--init.optimizer.learning-rate", "0.01")
    # The control alone is asked for: the aligned start, which says where to stop, is made all the same.
    code, told = inside("init", recipe, "--arms", "joint", *flags)
    assert code == 0, told
    ends = []
    for kind in ("aligned", "control"):
        seen = json.loads((folder / "init" / kind / "manifest.json").read_text())["summary"]
        ends.append((seen["steps"], seen["lm_tokens"]))
    assert ends[0] == ends[1]
    assert 0 < ends[0][0] < 60
    measured = [row["word_retrieval"][PAIR]["held_out"] for row in rows_of(folder / "init" / "aligned", "eval")]
    assert all(sum(layers) / 4 < 0.3 for layers in measured[:-1])
    assert sum(measured[-1]) / 4 >= 0.3
    # Pretraining goes on in the text where the stage stopped.
    code, told = inside("pretrain", recipe, "--arms", "joint", *flags)
    assert code == 0, told


def test_the_guard_stops_a_start_that_forgets_a_language(prepared, inside):
    folder, recipe = prepared()
    # A learning rate far too high makes English worse than random weights are.
    flags = ("--init.guard", "en", "0.1", "--init.max-steps", "12", "--init.optimizer.learning-rate", "2")
    code, told = inside("init", recipe, "--arms", "joint", *flags)
    assert code == 2
    assert "A guarded language got worse than init.guard allows" in told
    assert "en: " in told
    assert "where 10.0% is allowed" in told
    assert not (folder / "init" / "control").exists()
    (working,) = (folder / "init").glob("*control*/metrics.jsonl")
    measured = [row for row in read_rows(working)[0] if row["kind"] == "eval"]
    assert measured[-1]["bits_per_byte"]["en"] > 1.1 * measured[0]["bits_per_byte"]["en"]  # what was found is kept
    # With more allowed the same command goes on.
    code, told = inside("init", recipe, "--arms", "joint", *flags[:2], "99", *flags[3:])
    assert code == 0, told


def test_language_model_on_words_gives_both_starts_the_same_words(prepared, inside):
    folder, recipe = prepared()
    code, told = inside("init", recipe, "--arms", "joint", "init_only", "--init.lm-on", "words")
    assert code == 0, told
    aligned, control = (rows_of(folder / "init" / kind, "train") for kind in ("aligned", "control"))
    assert [row["lm_tokens"] for row in aligned] == [row["lm_tokens"] for row in control]
    assert "alignment" in aligned[-1]["loss"]
    assert "alignment" not in control[-1]["loss"]
    assert "n_words" not in control[-1]


def test_alignment_before_during_and_after_gets_the_same_words_and_text(prepared, inside):
    folder, recipe = prepared("init")
    arms = ("during", "after", "both_sides")
    code, told = inside("pretrain", recipe, "--arms", *arms)
    assert code == 0, told
    before = json.loads((folder / "init" / "aligned" / "manifest.json").read_text())["summary"]
    seen, steps = {}, {}
    for arm in arms:
        seen[arm] = json.loads((folder / "pretrain" / arm / "manifest.json").read_text())["summary"]
        rows = rows_of(folder / "pretrain" / arm, "train")  # a row every two steps
        steps[arm] = [row["step"] for row in rows if row.get("n_words")]
    assert {one["alignment_words"] for one in seen.values()} == {before["alignment_words"]}
    assert seen["during"]["lm_tokens"] == seen["after"]["lm_tokens"] == before["lm_tokens"] + 12 * 4 * 31
    assert steps == {"during": [4, 6, 10, 12], "after": [10, 12], "both_sides": []}
    # Labels that follow the input: nothing is left out where a word was switched.
    both = rows_of(folder / "pretrain" / "both_sides", "train")
    assert sum(row["n_switched"] for row in both) > 0
    assert both[-1]["lm_tokens"] == seen["during"]["lm_tokens"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--init.guard", "fr", "0.1"), "init.guard: fr is not among the languages"),
        (("--arms", "during", "--init.max-steps", "13"), "arm during brings the 13 batches of words"),
        (("--init.stop-at", "0.5", "--dictionary.held-out-share", "0"), "init.stop_at is a P@1 of held-out words"),
        (("--init.layers", "9-2"), "a range begins with its lower end"),
        (("--init.layers", "3", "3"), "names a layer twice"),
        (("--init.layer-weights", "0", "0"), "some must be more than 0"),
        (("--init.layers", "1", "2", "--init.layer-weights", "1"), "layer_weights has 1 numbers for 2 layers"),
        (("--init.learn-temperature", "--init.temperature", "5"), "starts and stays between 0.01 and 1.0"),
        (("--init.compatibility", "reference", "--init.context-sentences-per-step", "4"), "has no words in sentences"),
    ],
)
def test_contradictions_are_told_before_anything_is_read(toy, inside, tmp_path, flags, sentence):
    code, told = inside("init", str(toy(tmp_path / "none")), *flags)
    assert code == 2
    assert sentence in told

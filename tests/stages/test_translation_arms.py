"""Arms on sentence pairs through the real command: what they read, what they are told by, killed and on two ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from prealign.config.recipe import read_recipe
from prealign.corpora.clone import clone
from prealign.corpora.pair_store import PairStore
from prealign.stages.layout import Layout
from prealign.stages.translation_store import sentences_under_test
from prealign.tokenizer.load import load_tokenizer
from prealign.train.metrics import read_rows

pytestmark = pytest.mark.slow
ARMS = ("joint", "pairs_as_text", "tlm", "xlco", "infoxlm")
ONE = ("--arms", "infoxlm")
END = Path("checkpoints") / "step-00000012"
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def recipe(toy: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes the toy recipe for an encoder without dictionaries or stage 1, with sentence pairs of the clone."""
    folder = tmp_path_factory.mktemp("translations")

    def write(name: str) -> Path:
        path = toy(folder / name)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        del content["dictionary"]
        content["arms"] = list(ARMS)
        content["model"]["kind"] = "masked_lm"
        # Ranks draw dropout of their own, so that with it two of them would not be as one.
        content["model"]["overrides"] |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        content["init"]["max_steps"] = 0
        content["eval"] = {
            "batch_size": 16,
            "max_sentences": 20,
            "sentences": [{"name": "validation", "source": "en", "target": "en-x-clone"}],
        }
        content["translations"] = {
            "pairs": [{"source": "en", "target": "en-x-clone"}],
            "max_sentence_pairs": 300,
            "tlm_pairs_per_step": 4,
            "contrast": {"pairs_per_step": 4, "layer": 1, "queue_size": 16, "momentum": 0.9, "pooling": "mean"},
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def whole(recipe: Callable[[str], Path], command: Command) -> Path:
    """All arms, uninterrupted."""
    path = recipe("whole")
    done = command("run", str(path))
    assert done.returncode == 0, done.stderr
    return path.with_suffix("")


def rows(stage: Path) -> list[dict[str, Any]]:
    """Rows of training, without what depends on the clock."""
    found = read_rows(stage / "metrics.jsonl")[0]
    return [{key: value for key, value in row.items() if key != "timing"} for row in found if row["kind"] == "train"]


def test_each_arm_adds_its_losses(whole: Path) -> None:
    losses = {arm: set(rows(whole / "pretrain" / arm)[0]["loss"]) for arm in ARMS}
    assert losses == {
        "joint": {"lm"},
        "pairs_as_text": {"lm", "pairs_as_text"},
        "tlm": {"lm", "tlm"},
        "xlco": {"lm", "tlm", "sentence_alignment"},
        "infoxlm": {"lm", "tlm", "sentence_alignment"},
    }
    first = {arm: rows(whole / "pretrain" / arm)[0] for arm in ARMS}
    assert len({row["lm_tokens"] for row in first.values()}) == 1, "sentence pairs count as no LM tokens of the run"
    assert {arm: row.get("n_pairs_read") for arm, row in first.items()} == dict.fromkeys(ARMS, 8) | {"joint": None}
    assert {arm for arm, row in first.items() if row.get("n_contrast_pairs") == 8} == {"xlco", "infoxlm"}


def test_cut_sentences_are_told_at_the_end(whole: Path) -> None:
    cut = sum(row["n_cut_sentences"] for row in rows(whole / "pretrain" / "infoxlm"))
    manifest = json.loads((whole / "pretrain" / "infoxlm" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["summary"]["cut_sentences"] == cut > 0
    card = (whole / "pretrain" / "infoxlm" / "model" / "README.md").read_text(encoding="utf-8")
    assert f"| sentences of pairs cut | {cut} |" in card


def test_clones_to_train_on_are_clones_and_in_no_test(whole: Path) -> None:
    recipe = read_recipe(whole)
    tokenizer = load_tokenizer(whole / "tokenizer")
    tested = sentences_under_test(recipe, Layout(recipe), tokenizer)
    assert {code: len(sentences) for code, sentences in tested.items()} == {"en": 20, "en-x-clone": 20}
    (stream,) = PairStore(whole / "translations").streams.values()
    assert len(stream) == 300
    for number in range(300):
        source, target = map(tokenizer.decode, stream.sentences(number))
        assert target == clone(source)
        assert source not in tested["en"]


def test_the_table_tells_what_the_arms_read(whole: Path) -> None:
    results = json.loads((whole / "eval" / "results.json").read_text(encoding="utf-8"))
    tokens = {arm: models[0]["lm_tokens"] for arm, models in results["arms"].items()}
    assert {counts["pretrain"] for counts in tokens.values()} == {12 * 4 * 32}
    assert {counts["init"] for counts in tokens.values()} == {0}
    assert "pairs" not in tokens["joint"]
    # A pair as one sequence has three marks, as two it has four.
    assert tokens["pairs_as_text"]["pairs"] == tokens["tlm"]["pairs"] + 12 * 4
    assert tokens["tlm"] == tokens["xlco"] == tokens["infoxlm"]
    flops = {arm: models[0]["flops"]["pretrain"] for arm, models in results["arms"].items()}
    assert flops["joint"] < flops["tlm"] < flops["xlco"]
    page = (whole / "report.md").read_text(encoding="utf-8")
    assert "sentence pairs come on top of the running text" in page
    card = (whole / "pretrain" / "infoxlm" / "model" / "README.md").read_text(encoding="utf-8")
    assert "| sentence pairs contrasted | 48 |" in card
    assert "partly two pairs joined" in card


def test_an_encoder_with_words_and_sentences_or_switched_text(
    toy: Callable[[Path], Path], tmp_path: Path, command: Command
) -> None:
    """VECO 2.0's three losses (and tlm), and code-switched masked language modelling, with a dictionary of a clone."""
    path = toy(tmp_path / "words")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["arms"] = ["switching_only", "words_and_sentences"]
    content["model"]["kind"] = "masked_lm"
    content["init"]["context_sentences_per_step"] = 4
    content["translations"] = {
        "pairs": [{"source": "en", "target": "en-x-clone"}],
        "tlm_pairs_per_step": 4,
        "contrast": {"pairs_per_step": 4, "layer": 1, "queue_size": 16, "pooling": "mean"},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = command("run", str(path))
    assert done.returncode == 0, done.stderr
    both, switched = (rows(tmp_path / "words" / "pretrain" / arm) for arm in ("words_and_sentences", "switching_only"))
    words = {"alignment", "context_alignment"}
    assert set().union(*(row["loss"] for row in both)) == words | {"lm", "tlm", "sentence_alignment"}
    # Four batches of words over twelve steps; every second step has a row, of itself and the one before.
    assert [words <= row["loss"].keys() for row in both] == [False, True, True, False, True, True]
    assert sum(row["n_switched"] for row in switched) > 20
    assert {name for row in switched for name in row["loss"]} == {"lm"}
    card = (tmp_path / "words" / "pretrain" / "switching_only" / "model" / "README.md").read_text(encoding="utf-8")
    assert "| labels where a word was switched | as read |" in card


def test_killed_in_pretraining_it_ends_the_same_bit_for_bit(
    whole: Path, recipe: Callable[[str], Path], command: Command, start: Any
) -> None:
    path = recipe("cut")
    working = path.with_suffix("") / "pretrain" / "infoxlm.partial"
    process = start("run", str(path), *ONE, "--engine.save-steps", "1")
    while not (working / "checkpoints" / "step-00000002" / "COMPLETE").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (path.with_suffix("") / "pretrain" / "infoxlm").exists(), "it ended before the signal came"
    done = command("run", str(path), *ONE, "--engine.save-steps", "1")
    assert done.returncode == 0, done.stderr
    assert "resuming at step" in done.stderr
    one, other = (folder / "pretrain" / "infoxlm" for folder in (whole, path.with_suffix("")))
    assert rows(one) == rows(other)
    for name in ("model.safetensors", "training/objectives.safetensors", "training/optimizer.safetensors"):
        ours, theirs = (load_file(stage / END / name) for stage in (one, other))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        if "objectives" in name:
            assert {"queue.keys", "queue.names", "queue.added"} <= {key.split(".", 1)[1] for key in ours}


def test_two_ranks_follow_the_curve_of_one(whole: Path, recipe: Callable[[str], Path], command: Command) -> None:
    path = recipe("ranks")
    for stage in ("tokenizer", "prepare", "init"):
        done = command(stage, str(path), *ONE)
        assert done.returncode == 0, done.stderr
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*program, "-m", "prealign", "pretrain", str(path), *ONE],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (folder / "pretrain" / "infoxlm" for folder in (whole, path.with_suffix("")))
    for mine, expected in zip(rows(two), rows(one), strict=True):
        assert mine["n_contrast_pairs"] == expected["n_contrast_pairs"]
        for name, value in expected["loss"].items():
            assert mine["loss"][name] == pytest.approx(value, rel=1e-4), name
    held, of_one = (load_file(stage / END / "training" / "objectives.safetensors") for stage in (two, one))
    assert held.keys() == of_one.keys()
    names = [key for key in held if key.endswith("queue.names")]
    assert names
    assert all(torch.equal(held[key], of_one[key]) for key in names)
    for key in held.keys() - set(names):
        torch.testing.assert_close(held[key], of_one[key], rtol=0, atol=1e-3)

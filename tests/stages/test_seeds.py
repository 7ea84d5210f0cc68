"""Several seeds and the upper bound of a cloned language, by the real command: a seed is added to a finished run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prealign.config.recipe import read_recipe
from prealign.corpora.clone import clone
from prealign.stages.layout import Layout
from prealign.stages.materials import Materials
from prealign.train.metrics import read_rows

pytestmark = pytest.mark.slow
ARMS = ("--arms", "joint", "after", "full_alignment")


def times(folder: Path) -> dict[str, int]:
    return {str(place.relative_to(folder)): place.stat().st_mtime_ns for place in folder.rglob("*") if place.is_file()}


@pytest.fixture(scope="module")
def grown(toy, command, tmp_path_factory):
    """A run with seed 2 to which seed 5 was added: its folder, times of its files before, and the second command."""
    folder = tmp_path_factory.mktemp("runs") / "seeds"
    recipe = str(toy(folder))
    for arguments in (("--seeds", "2"), ("--seeds", "2", "5")):
        before = times(folder) if folder.exists() else {}
        done = command("run", recipe, *ARMS, *arguments)
        assert done.returncode == 0, done.stderr
    return folder, before, done


def test_a_seed_is_added_and_what_is_there_is_used(grown):
    folder, before, done = grown
    said = done.stderr
    for told in ("seed 5, start control", "seed 5, arm joint", "seed 5, arm full_alignment",
                 f"pretrain: already done, reusing {folder}/seed-2/pretrain/joint", "eval: going on with"):  # fmt: skip
        assert told in said
    assert "seed 2, " not in said
    after = times(folder)
    made = {name for name in after if after[name] != before.get(name)}
    assert not any(name.startswith(("seed-2/", "store/", "eval/parts/joint-2", "eval/items/joint-2")) for name in made)
    assert {"eval/parts/joint-5/bits_per_byte.json", "seed-5/pretrain/joint/model/model.safetensors"} <= made
    assert not list(folder.rglob("*.partial"))
    results = json.loads((folder / "eval" / "results.json").read_text())
    for arm in ARMS[1:]:
        assert [model["seed"] for model in results["arms"][arm]] == [2, 5]


def test_seeds_differ_in_weights_and_rows_and_see_as_much(grown):
    folder, _, _ = grown
    first, other = (
        [row for row in read_rows(folder / f"seed-{seed}/pretrain/joint/metrics.jsonl")[0] if row["kind"] == "train"]
        for seed in (2, 5)
    )
    assert [row["lm_tokens"] for row in first] == [row["lm_tokens"] for row in other]
    assert all(a["loss"]["lm"] != b["loss"]["lm"] for a, b in zip(first, other))


def test_the_upper_bound_has_one_vocabulary_and_equal_text(grown):
    folder, _, done = grown
    assert "full_alignment is an upper bound" in done.stdout
    results = json.loads((folder / "eval" / "results.json").read_text())
    joint, _, full = (results["arms"][arm][0] for arm in ARMS[1:])
    trained = [json.loads((folder / f"seed-2/pretrain/{arm}/manifest.json").read_text()) for arm in ARMS[1:]]
    assert len({manifest["summary"]["lm_tokens"] for manifest in trained}) == 1
    work = [manifest["summary"]["flops"] for manifest in trained]
    assert work[1] > work[0] > work[2] > 0  # batches of words beside the text; fewer output rows
    assert full["tasks"]["bits_per_byte"]["scores"].keys() == {"en", "en-x-clone"}
    assert "word_retrieval" in joint["tasks"]
    assert "word_retrieval" not in full["tasks"]  # every word would find itself
    card = (folder / "seed-2/pretrain/full_alignment/model/README.md").read_text()
    assert "reads clone text as the English that it is the clone of" in card
    assert "| seed | 2 |" in card
    assert "| seed of the data | 1 |" in card


def test_the_upper_bound_reads_the_clone_as_english(grown):
    from transformers import AutoTokenizer

    folder, _, _ = grown
    own = Materials(read_recipe(folder))
    ours = own.for_seed(5).for_arm("full_alignment")
    assert ours.for_seed(2).store is ours.store
    assert own.for_arm("joint") is own
    stream, kept = (of.store.stream("en-x-clone", "train") for of in (own, ours))
    text = own.tokenizer.decode(stream.window(0, 200), skip_special_tokens=True)
    assert ours.tokenizer.decode(kept.window(0, 200), skip_special_tokens=True) == clone(text)
    assert int(np.asarray(kept.tokens).max()) < len(ours.tokenizer) == 400
    saved = AutoTokenizer.from_pretrained(folder / "seed-5/pretrain/full_alignment/model")
    assert saved(text)["input_ids"] == saved(clone(text))["input_ids"] == ours.tokenizer(text)["input_ids"]


def test_fresh_means_the_trainings_of_all_seeds_and_arms(grown):
    folder, _, _ = grown
    found = Layout(read_recipe(folder, ["--seeds", "5", "--arms", "joint"])).folders()
    trained = [str(place.relative_to(folder)) for place in (*found["init"], *found["pretrain"])]
    starts = ("init/control", "init/one_vocabulary")
    arms = ("pretrain/after", "pretrain/full_alignment", "pretrain/joint")
    assert trained == [f"seed-{seed}/{place}" for places in (starts, arms) for seed in (2, 5) for place in places]

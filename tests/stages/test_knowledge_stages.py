"""Invented facts on their way through a run: into the training text of one language, and into the evaluation."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from prealign import cli
from prealign.corpora.store import TokenStore
from prealign.tokenizer.load import load_tokenizer

pytestmark = pytest.mark.slow
FLAGS = (
    "--arms joint --init.max-steps 1 --pretrain.max-steps 2 --knowledge.language en --knowledge.entities 8 "
    "--knowledge.relations colour --knowledge.mentions 3"
)


def test_facts_are_stated_in_training_text_only_and_asked_for_in_all_languages(toy, tmp_path):
    run = tmp_path / "run"
    assert cli.run(["run", str(toy(run)), *FLAGS.split()]) == 0
    tokenizer, store = load_tokenizer(run / "tokenizer"), TokenStore(run / "store")

    def stated(code: str, split: str) -> list[str]:
        stream = store.stream(code, split)
        starts = stream.document_starts
        documents = [tokenizer.decode(stream.tokens[a:b].tolist()) for a, b in pairwise(starts)]
        return [text for text in documents if "colour" in text.lower()]

    sentences = stated("en", "train")
    assert len(sentences) == 8 * 3
    assert all(text.count(".") == 1 for text in sentences)  # each is a document of its own
    assert not stated("en", "validation") + stated("en-x-clone", "train") + stated("en-x-clone", "validation")

    results = json.loads((run / "eval" / "results.json").read_text(encoding="utf-8"))
    found = results["arms"]["joint"][0]["tasks"]["knowledge"]
    assert {test: scores["n"] for test, scores in found["scores"]["tests"].items()} == dict.fromkeys(
        ["en", "en, unseen phrasing", "en-x-clone", "en-x-clone, unseen phrasing", "en-x-clone, names kept"], 8
    )
    assert found["scores"]["chance"] == 1 / 8
    rows = {(row["name"], row["of"]) for row in results["comparison"] if row["task"] == "knowledge"}
    assert {("facts P@1", "en"), ("facts P@1", "en-x-clone")} <= rows
    items = (run / "eval" / "items" / "joint-1" / "knowledge.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(items) == 5 * 8
    assert set(json.loads(items[0])) >= {"test", "item", "score", "asked", "right", "ranking", "covered"}

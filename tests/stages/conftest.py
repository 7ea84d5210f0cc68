"""A toy experiment small enough to run whole in seconds: English from a little grammar, and its clone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prealign import draws

WORDS = {
    "noun": "house river garden teacher window mountain letter engine forest market village doctor bridge student",
    "verb": "sees builds remembers carries follows paints leaves finds opens watches crosses describes visits",
    "adjective": "old quiet green heavy distant small bright broken warm narrow famous empty yellow simple",
}

RECIPE = """
output: {output}
data: {data}
languages:
  en: {{text: [en.txt], share: 10}}
  en-x-clone: {{clone_of: en, clone_document_share: 0.1}}
dictionary:
  pairs: [{{source: en, target: en-x-clone}}]
  clone_sentence_pairs: 300
  held_out_share: 0.2
  keep_links: 200
tokenizer: {{vocab_size: 400}}
store: {{validation_share: 0.05}}
model:
  overrides: {{hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64}}
init: {{max_steps: 4, words_per_step: 8, lm_rows_per_step: 4}}
pretrain:
  max_steps: 12
  block_size: 32
  global_batch_rows: 4
  per_device_train_batch_size: 2
  switching: {{ratio: 0.3}}
engine: {{logging_steps: 2, eval_steps: 6, eval_tokens: 500, save_steps: 3}}
eval: {{batch_size: 16}}
"""


def toy_documents(n: int) -> list[str]:
    """Documents of three to six sentences; every sentence is different, every word frequent."""

    def pick(kind: str, *place: int | str) -> str:
        words = WORDS[kind].split()
        return words[int(draws.uniform("toy", kind, *place) * len(words))]

    documents = []
    for number in range(n):
        sentences = []
        for s in range(3 + number % 4):
            one, two = (f"{pick('adjective', number, s, side)} {pick('noun', number, s, side)}" for side in "ab")
            sentences.append(f"The {one} {pick('verb', number, s)} the {two}.")
        documents.append(" ".join(sentences))
    return documents


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Writes the toy recipe for an output folder; gives the recipe's path."""
    data = tmp_path_factory.mktemp("corpora")
    (data / "en.txt").write_text("\n".join(toy_documents(400)) + "\n", encoding="utf-8")

    def write(output: Path) -> Path:
        path = output.with_suffix(".yaml")
        path.write_text(RECIPE.format(output=output, data=data), encoding="utf-8")
        return path

    return write


def prealign(*arguments: str, **options) -> subprocess.Popen[str]:
    """Start the real command in a process of its own, on one core."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "prealign", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start the real command and go on."""
    return prealign


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        process = prealign(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def finished_run(toy, command, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The toy experiment carried out without interruption, all four arms: its folder and what the command said."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = command("run", str(toy(folder)), "--arms", "all")
    assert done.returncode == 0, done.stderr
    return folder, done

"""`prealign prepare` as a user meets it: killed and gone on with, refused with the way out, a store that fits."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign import cli, draws

pytestmark = pytest.mark.slow
DOCUMENTS, WORDS = 5000, 200
"""Six batches of a million characters: progress is marked after four of them."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A tokenizer with a piece for each number, and English and German in such numbers."""
    folder = tmp_path_factory.mktemp("data")
    vocabulary = {"<unk>": 0, "</s>": 1, "<pad>": 2} | {str(number): 3 + number for number in range(20_000)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")
    tokenizer.save_pretrained(folder / "words")
    numbers = (draws.uniforms(7, DOCUMENTS * WORDS) * 20_000).astype(int).astype(str).reshape(DOCUMENTS, WORDS)
    texts = [" ".join(words) for words in numbers.tolist()]
    (folder / "en.txt").write_text("\n\n".join(text.replace(" ", "\n", 1) for text in texts), encoding="utf-8")
    (folder / "de.jsonl").write_text("\n".join(json.dumps({"body": text}) for text in texts[:50]), encoding="utf-8")
    return folder


@pytest.fixture
def recipe(data, tmp_path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"output: {tmp_path / 'run'}\ndata: {data}\ntokenizer: {{path: words}}\nlanguages:\n"
        "  en: {text: [en.txt], documents: blank_line}\n  de: {text: [de.jsonl], text_field: body}\n"
    )
    return path


def content(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir() if path.name != "manifest.json"}


def test_killed_it_goes_on_to_the_same_bytes(recipe, start, tmp_path, capsys):
    assert cli.run(["tokenizer", str(recipe)]) == 0
    process = start("prepare", str(recipe), "--store.workers", "2", start_new_session=True)
    store, partial = tmp_path / "run" / "store", tmp_path / "run" / "store.partial"
    deadline = time.monotonic() + 200
    while not (partial / "en.progress.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    while any_in_session(process.pid):
        assert time.monotonic() < deadline, "a process that tokenises outlived the command"
        time.sleep(0.05)
    marked = json.loads((partial / "en.progress.json").read_text())
    assert marked["batches"] == 4

    capsys.readouterr()
    assert cli.run(["prepare", str(recipe), "--dry-run"]) == 0
    assert "would go on where it was interrupted" in capsys.readouterr().out
    assert cli.run(["prepare", str(recipe), "--store.validation-share", "0.1"]) == 2
    refused = capsys.readouterr().err
    assert "store.validation_share: made with 0.02, now 0.1" in refused
    assert "--fresh store" in refused

    assert cli.run(["prepare", str(recipe), "--store.workers", "1"]) == 0
    assert "its text is read again, but not tokenised again" in capsys.readouterr().err
    gone_on = content(store)
    assert cli.run(["prepare", str(recipe), "--fresh", "store", "--store.workers", "1"]) == 0
    assert content(store) == gone_on
    assert set(gone_on) == {"store.json"} | {
        f"{code}.{split}.{column}.bin"
        for code in ("en", "de")
        for split in ("train", "validation")
        for column in ("tokens", "starts", "bytes")
    }


def any_in_session(leader: int) -> bool:
    """Whether any process lives in the session that a process has begun."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z" and int(process.name) != os.getpid():
            return True
    return False

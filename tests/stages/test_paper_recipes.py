"""The recipes at paper scale on stand-in corpora of the same layout: they are planned whole, and run for 20 steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

RECIPES = Path(__file__).parents[2] / "recipes" / "paper"
NOUNS, VERBS = (
    words.split()
    for words in (
        "house river garden teacher window mountain letter engine forest market village doctor",
        "sees builds remembers carries follows paints leaves finds opens watches",
    )
)
ALPHABETS = {
    "de": "äöüßabdefghijklmnopqrstuvw",
    "ru": "абвгдежзийклмнопрстуфхцчшщ",
    "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنه",
    "zh": "的一是不了人我在有他这中大来上国个到说们为子和你地出",
}
"""Twenty-six letters or characters for the words of made-up languages in the real scripts."""
LABELS = ("entailment", "neutral", "contradiction")
SMALL = """
--model.preset tiny --arms prealign --init.max-steps 20 --init.words-per-step 16
--init.words-per-forward 0 --init.lm-rows-per-step 2 --pretrain.max-steps 20 --pretrain.block-size 64
--pretrain.global-batch-rows 4 --pretrain.per-device-train-batch-size 4
--engine.no-torch-compile --engine.eval-steps 20 --engine.eval-tokens 300 --engine.save-steps 20
--store.validation-share 0.05 --dictionary.min-count 2 --knowledge.entities 8 --knowledge.mentions 1
--eval.max-words 20 --eval.batch-size 16 --eval.transfer.0.max-steps 3 --eval.transfer.0.max-test 6
--eval.lm-eval.tasks
"""
"""Reduced sizes; what the recipes ask of lm-eval is left out, since its data are on the hub."""


def sentence(number: int) -> str:
    noun, verb, other = NOUNS[number % 12], VERBS[number // 12 % 10], NOUNS[number // 120 % 12]
    return f"The {noun} {verb} the {other} {NOUNS[number * 5 % 12]}."


def to_language(text: str, code: str) -> str:
    """The text in made-up words, one letter for each of English's."""
    if code == "en":
        return text
    return text.lower().translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", ALPHABETS[code]))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for all files that the recipes name."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("mono", "parallel", "dict", "retrieval", "nli"):
        (folder / name).mkdir()

    def write(name: str, lines: list[str]) -> None:
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    for code in ("en", *ALPHABETS):
        texts = [" ".join(sentence(4 * n + k) for k in range(4)) for n in range(360 if code == "en" else 150)]
        write(f"mono/{code}.jsonl.zst", [json.dumps({"text": to_language(text, code)}) for text in texts])
        rows = [(sentence(n), sentence(n * 3 + 1), LABELS[n % 3]) for n in range(24)]
        write(f"nli/xnli.{code}.tsv", [f"{to_language(a, code)}\t{to_language(b, code)}\t{c}" for a, b, c in rows])
        if code == "en":
            write("nli/train.en.tsv", ["\t".join(row) for row in rows])
            continue
        pairs = [f"{sentence(n)}\t{to_language(sentence(n), code)}" for n in range(300)]
        write(f"parallel/en-{code}.tsv.zst", pairs)
        write(f"retrieval/tatoeba.en-{code}.tsv", pairs[:20])
        write(f"dict/muse.en-{code}.txt", [f"{word} {to_language(word, code)}" for word in (*NOUNS, *VERBS)])
    return folder


@pytest.mark.parametrize("name", ["en-clone", "zh-de-ar-ru"])
@pytest.mark.parametrize("preset", ["150m", "400m", "1.3b"])
def test_planned_whole(
    name: str, preset: str, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from prealign import cli

    flags = ["--data", str(corpora), "--output", str(tmp_path / "run"), "--model.preset", preset]
    assert cli.run(["run", str(RECIPES / f"{name}.yaml"), *flags, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "x 10,000 steps, 10,485,760,000 tokens each" in told
    assert not (tmp_path / "run").exists()


def test_missing_corpora_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from prealign import cli

    assert cli.run(["run", str(RECIPES / "zh-de-ar-ru.yaml"), "--data", str(tmp_path), "--dry-run"]) == 2
    told = capsys.readouterr().err
    for path in ("mono/zh.jsonl.zst", "parallel/en-ar.tsv.zst", "dict/muse.en-ru.txt", "nli/xnli.de.tsv"):
        assert f"{tmp_path / path} does not exist" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("en-clone", "--tokenizer.vocab-size 500 --languages.en-x-clone.clone-document-share 0.2"),
        ("zh-de-ar-ru", "--tokenizer.vocab-size 700"),
    ],
    ids=["en-clone", "zh-de-ar-ru"],
)
def test_twenty_steps(
    name: str, more: str, corpora: Path, tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    output = tmp_path / "run"
    flags = ["--data", str(corpora), "--output", str(output), *SMALL.split(), *more.split()]
    done = command("run", str(RECIPES / f"{name}.yaml"), *flags)
    assert done.returncode == 0, done.stderr
    results = json.loads((output / "eval" / "results.json").read_text(encoding="utf-8"))
    (model,) = results["arms"]["prealign"]
    assert {"bits_per_byte", "word_retrieval", "transfer xnli", "knowledge"} <= set(model["tasks"])
    assert (output / "report.html").is_file()

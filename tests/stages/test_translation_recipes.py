"""The recipes with sentence pairs on stand-in corpora of the same layout: planned whole, and run for a few steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from prealign.config.settings import TokenizerSettings
from prealign.tokenizer.load import load_tokenizer
from prealign.tokenizer.train import train_tokenizer

RECIPES = Path(__file__).parents[2] / "recipes"
XNLI, NOUNS, VERBS = (
    words.split()
    for words in (
        "ar bg de el es fr hi ru sw th tr ur vi zh",
        "house river garden teacher window mountain letter engine forest market village doctor",
        "sees builds remembers carries follows paints leaves finds opens watches",
    )
)
LABELS = ("entailment", "neutral", "contradiction")
FEW = """
--pretrain.max-steps 3 --pretrain.block-size 64 --pretrain.global-batch-rows 4
--pretrain.per-device-train-batch-size 4 --pretrain.optimizer.warmup-steps 1
--translations.contrast.pairs-per-step 4 --store.validation-share 0.05
--engine.no-torch-compile --engine.eval-steps 3 --engine.eval-tokens 200 --engine.save-steps 3 --eval.max-sentences 20
"""


def sentence(number: int) -> str:
    noun, verb, other = NOUNS[number % 12], VERBS[number // 12 % 10], NOUNS[number // 120 % 12]
    return f"The {noun} {verb} the {other} {NOUNS[number * 5 % 12]}."


def to_other(text: str, code: str) -> str:
    """Made-up words in the script of Chinese, Russian, Arabic or, for the others, of German."""
    alphabets = {
        "zh": "的一是不了人我在有他这中大来上国个到说们为子和你地出",
        "ru": "абвгдежзийклмнопрстуфхцчшщ",
        "bg": "абвгдежзийклмнопрстуфхцчшщ",
        "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنه",
        "ur": "ابتثجحخدذرزسشصضطظعغفقكلمنه",
        "el": "αβγδεζηθικλμνξοπρστυφχψωάέ",
        "hi": "कखगघङचछजझञटठडढणतथदधनपफबभमय",
        "th": "กขคงจฉชซญฎฏฐฑฒณดตถทธนบปผฝพ",
    }
    letters = alphabets.get(code, "äöüßabdefghijklmnopqrstuvw")
    return text.lower().translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", letters))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small stand-ins for all files that the recipes name."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("mono", "parallel", "retrieval", "nli"):
        (folder / name).mkdir()

    def write(name: str, lines: list[str]) -> None:
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    texts = [" ".join(sentence(4 * n + k) for k in range(4)) for n in range(150)]
    write("mono/wikipedia.en.txt.xz", texts)
    write("mono/mlqa-passages.de.txt.xz", [to_other(text, "de") for text in texts])
    for code in ("en", *XNLI):
        write(f"mono/{code}.jsonl.zst", [json.dumps({"text": to_other(t, code) if code != "en" else t}) for t in texts])
        rows = [f"{sentence(n)}\t{sentence(n * 3 + 1)}\t{LABELS[n % 3]}" for n in range(24)]
        write(f"nli/xnli.{code}.tsv", rows)
    write("nli/train.en.tsv", rows)
    for name, first in (("nli-train.en", 400), ("xnli.dev.en", 0), ("xnli.dev.de", 0)):
        texts = [(sentence(n), sentence(n * 3 + 1), LABELS[n % 3]) for n in range(first, first + 24)]
        write(f"nli/{name}.tsv.xz", ["\t".join(row) for row in texts])
    books = ("Gen.", "Isa.", "Matt.", "Rom.")
    verses = [f"{sentence(n)}\t{to_other(sentence(n), 'de')}\t{books[n % 4]}{n}.1" for n in range(200)]
    write("parallel/bible.en-de.tsv.xz", verses)
    for code in XNLI:
        pairs = [f"{sentence(n)}\t{to_other(sentence(n), code)}" for n in range(300)]
        write(f"parallel/en-{code}.tsv.zst", pairs)
        write(f"retrieval/tatoeba.en-{code}.tsv", pairs[:20])
        if code == "de":
            write("parallel/tatoeba.en-de.tsv.xz", pairs)
            write("retrieval/laser-tatoeba.eng-deu.tsv.xz", pairs[:20])
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model of two blocks with a tokenizer of its own, as a hub would hold it."""
    from transformers import LlamaConfig, LlamaForCausalLM  # takes seconds, which planning does not need

    folder = tmp_path_factory.mktemp("checkpoint")
    texts = [sentence(n) for n in range(900)]
    train_tokenizer(texts + [to_other(text, "de") for text in texts], TokenizerSettings(vocab_size=400), folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(load_tokenizer(folder)), **shape)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("infoxlm-tiny", "tlm       also reads {tlm:,} sentence pairs"),
        (
            "paper/infoxlm-base",
            "infoxlm   also reads 307,200,000 sentence pairs and 307,200,000 sentence pairs contrasted",
        ),
        ("afp", "xlco      also reads 128,000 sentence pairs contrasted"),
    ],
)
def test_planned_whole(name: str, told: str, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from prealign import cli

    flags = ["--data", str(corpora), "--output", str(tmp_path / "run")]
    assert cli.run(["run", str(RECIPES / f"{name}.yaml"), *flags, "--dry-run"]) == 0
    recipe = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    tlm = recipe["pretrain"]["max_steps"] * recipe["translations"]["tlm_pairs_per_step"]
    assert told.format(tlm=tlm) in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("infoxlm-tiny", "--seeds 1 --tokenizer.vocab-size 400 --translations.tlm-pairs-per-step 4"),
        (
            "paper/infoxlm-base",
            "--arms infoxlm --tokenizer.path None --tokenizer.vocab-size 600 --model.checkpoint None "
            "--model.preset tiny "
            "--translations.tlm-pairs-per-step 4 --translations.contrast.layer 3 --translations.contrast.queue-size 8 "
            "--eval.batch-size 16 --eval.transfer.0.max-steps 2 --eval.transfer.0.max-test 3",
        ),
        ("afp", "--tokenizer.path {checkpoint} --model.checkpoint {checkpoint}"),
    ],
    ids=["infoxlm-tiny", "infoxlm-base", "afp"],
)
def test_a_few_steps(
    name: str, more: str, corpora: Path, checkpoint: Path, tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    output = tmp_path / "run"
    flags = ["--data", str(corpora), "--output", str(output), *FEW.split(), *more.format(checkpoint=checkpoint).split()]
    done = command("run", str(RECIPES / f"{name}.yaml"), *flags)
    assert done.returncode == 0, done.stderr
    results = json.loads((output / "eval" / "results.json").read_text(encoding="utf-8"))
    for models in results["arms"].values():
        assert "sentence_retrieval" in models[0]["tasks"]
    left_out = json.loads((output / "translations" / "manifest.json").read_text(encoding="utf-8"))["summary"][
        "left_out"
    ]
    assert {counts["pairs with a sentence of a test"]["count"] for counts in left_out.values()} == {20}
    assert (output / "report.html").is_file()

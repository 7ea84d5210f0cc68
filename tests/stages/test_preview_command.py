"""`prealign preview` as a user meets it: from flags alone and from a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from prealign import cli

ENGLISH = """\
The house stands near the river, and the old man reads a book about water.
A dog and a cat drink water in the night. The sun is a star.
My mother has bread and milk in the house; my father sees a tree.
One hand, one eye: the old dog sleeps under the tree at night.
"""
WORDS = "house river man book water dog cat night sun star mother bread milk father tree hand eye"
GERMAN = "Haus Fluss Mann Buch Wasser Hund Katze Nacht Sonne Stern Mutter Brot Milch Vater Baum Hand Auge"
CHINESE = "房子 河 男人 书 水 狗 猫 夜晚 太阳 星星 母亲 面包 牛奶 父亲 树 手 眼睛"
ARABIC = "بيت نهر رجل كتاب ماء كلب قط ليل شمس نجم أم خبز حليب أب شجرة يد عين"
TARGETS = {"de": GERMAN, "zh": CHINESE, "ar": ARABIC}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text, three dictionaries and a byte-level tokenizer."""
    folder = tmp_path_factory.mktemp("preview")
    (folder / "text.txt").write_text(ENGLISH * 20, encoding="utf-8")
    (folder / "dictionary.en-de.txt").write_text(columns(GERMAN, "\t"), encoding="utf-8")
    (folder / "dictionary.en-zh.csv").write_text(columns(CHINESE, ","), encoding="utf-8")
    pairs = zip(WORDS.split(), ARABIC.split(), strict=True)
    lines = [json.dumps({"src_text": one, "tgt_text": other}) for one, other in pairs]
    (folder / "dictionary.en-ar.jsonl").write_text("\n".join(lines), encoding="utf-8")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<end>"],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([*ENGLISH.splitlines(), *TARGETS.values()] * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.save_pretrained(folder / "tokenizer")
    return folder


def columns(targets: str, between: str) -> str:
    return "".join(f"{one}{between}{other}\n" for one, other in zip(WORDS.split(), targets.split(), strict=True))


def flags(folder: Path, **changes: str | list[str]) -> list[str]:
    options: dict[str, str | list[str]] = {
        "dictionary": [str(path) for path in sorted(folder.glob("dictionary.*"))],
        "tokenizer": str(folder / "tokenizer"),
        "text": str(folder / "text.txt"),
        "ratio": "0.3",
        "block-size": "64",
    } | changes
    return ["preview", *(w for k, v in options.items() for w in (f"--{k}", *([v] if isinstance(v, str) else v)))]


def test_english_with_german_chinese_and_arabic(inputs, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert cli.run([*flags(inputs, samples="3", html=str(page)), "--tokens"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("en with ar, de, zh: ratio 30.0%, labels input_only, candidates by probability, seed 1")
    assert shown.count("\nrow ") == 3
    assert "asked 30.0%" in shown
    for words in TARGETS.values():
        assert sum(word in shown for word in words.split()) >= 5
    assert "input  " in shown
    assert "\x1b" not in shown  # no colour where stdout is no terminal
    for line in shown.splitlines():
        assert line.count("\u2068") == line.count("\u2069")
        for word in ARABIC.split():
            assert line.count(word) == 0 or "\u2068" in line
    assert "<ruby" in page.read_text(encoding="utf-8")


def test_the_same_flags_show_the_same_and_another_seed_does_not(inputs, capsys):
    told = []
    for seed in ("1", "1", "2"):
        assert cli.run(flags(inputs, seed=seed)) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert told[0] != told[2].replace("seed 2", "seed 1")


def test_nothing_switched_is_said(inputs, capsys, caplog):
    assert cli.run(flags(inputs, ratio="0")) == 0
    assert "none was switched" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text": "absent.txt", "dictionary": "no.en-de.txt"}, "do not exist:\n  - no.en-de.txt\n  - absent.txt"),
        ({"tokenizer": "{folder}"}, "{folder} has no tokenizer.json"),
        ({"tokenizer": "{folder}/no"}, "do not exist:\n  - {folder}/no"),
        ({"dictionary": ["{folder}/dictionary.en-de.txt", "{other}/d.fr-de.txt"]}, "translate from en and fr"),
        ({"text": "{other}/russian.txt"}, "No word of the text has an entry in the dictionaries from en"),
        ({"text": "{other}/empty.txt"}, "holds no text"),
        ({"text": "{folder}/tokenizer"}, "tokenizer"),
        ({"samples": "0"}, "--samples: input should be greater than or equal to 1, got '0'"),
        ({"ratio": "5"}, "--ratio: input should be less than or equal to 1, got '5'"),
        ({"block-size": "2"}, "--block-size: input should be greater than or equal to 8, got '2'"),
        ({"html": "{folder}"}, "--html {folder} is a folder"),
    ],
)
def test_mistakes_are_told_in_a_sentence(inputs, tmp_path, changes, sentence, capsys):
    (tmp_path / "d.fr-de.txt").write_text("maison Haus\n", encoding="utf-8")
    (tmp_path / "russian.txt").write_text("Дом стоит у реки.\n" * 9, encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")

    def placed(text: str) -> str:
        return text.format(folder=inputs, other=tmp_path)

    filled = {k: placed(v) if isinstance(v, str) else [*map(placed, v)] for k, v in changes.items()}
    assert cli.run(flags(inputs, **filled)) == 2
    told = capsys.readouterr().err
    assert placed(sentence) in told
    assert "Traceback" not in told


def test_from_a_recipe_before_anything_was_built(toy, tmp_path, capsys):
    recipe = toy(tmp_path / "run")
    assert cli.run(["preview", str(recipe), "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert all(part in plan for part in ("run/dictionary", "run/tokenizer", "run/store"))
    assert not any(part in plan for part in ("run/init", "trains", "report.html"))
    assert cli.run(["preview", str(recipe), "--samples", "2", "--html", str(tmp_path / "page.html")]) == 0
    shown = capsys.readouterr().out
    assert "asked 30.0%" in shown
    assert shown.count("\nrow ") == 2
    assert (tmp_path / "page.html").is_file()
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    assert cli.run(["preview", str(recipe), "--pretrain.switching.document-share", "0.5"]) == 0
    assert "in 50% of the rows" in capsys.readouterr().out


def test_a_finished_run_can_be_previewed_at_another_ratio(finished_run, capsys):
    folder, _ = finished_run
    recipe = folder / "recipe.yaml"
    before = recipe.read_text(encoding="utf-8")
    assert cli.run(["preview", str(recipe), "--pretrain.switching.ratio", "0.1"]) == 0
    assert "asked 10.0%" in capsys.readouterr().out
    assert recipe.read_text(encoding="utf-8") == before

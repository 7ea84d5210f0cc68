"""`prealign eval` on models of random weights with two tokenizers, without a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForMaskedLM

from prealign import cli
from prealign.stages.evaluate_flags import short_names

SENTENCES = [("the old house", "das alte Haus"), ("a green door", "eine grüne Tür"), ("my dog", "mein Hund")]
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def save(folder: Path, merges: list[tuple[str, str]], *, masked: bool = False) -> None:
    """A tiny model and its tokenizer of bytes and some merges."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges), "</s>", "<mask>"]
    core = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", mask_token="<mask>").save_pretrained(folder)
    torch.manual_seed(1)
    if masked:
        XLMRobertaForMaskedLM(
            XLMRobertaConfig(**SIZES, vocab_size=len(pieces), max_position_embeddings=66, type_vocab_size=1)
        ).save_pretrained(folder)
    else:
        config = LlamaConfig(**SIZES, vocab_size=len(pieces), max_position_embeddings=64)
        LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two models, a text, a dictionary and translated sentences."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "bytes", [])
    save(tmp_path / "pairs", [("t", "h"), ("th", "e"), ("a", "s")])
    text = "".join(f"{source} is {number} and {target}\n" for number in range(4) for source, target in SENTENCES)
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    (tmp_path / "words.en-de.tsv").write_text("house\tHaus\ndoor\tTür\ndog\tHund\n", encoding="utf-8")
    (tmp_path / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in SENTENCES), encoding="utf-8")
    return tmp_path


def evaluate(*arguments: str) -> int:
    return cli.run(["eval", *arguments, "--output", "out", "--block-size", "32"])


def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out/results.json").read_text(encoding="utf-8"))
    return found


def test_models_with_different_tokenizers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--text", "text.txt", "--words", "words.en-de.tsv", "--sentences", "pairs.tsv")
    given = ("bytes", "pairs", *files, "--source", "en", "--target", "de", "--baseline", "bytes")
    assert evaluate(*given) == 0
    assert "bits/byte" in capsys.readouterr().out
    found = results()
    assert list(found["arms"]) == ["bytes", "pairs"]
    texts = [part[0]["tasks"]["bits_per_byte"]["scores"]["text.txt"] for part in found["arms"].values()]
    assert texts[0]["tokens"] > texts[1]["tokens"]
    assert texts[0]["bytes"] == texts[1]["bytes"] == (folder / "text.txt").stat().st_size - 12  # line ends are no text
    rows = {(row["name"], row["of"]): row for row in found["comparison"] if row["arm"] == "pairs"}
    assert rows["bits/byte", "text.txt"]["difference"] == pytest.approx(texts[1]["value"] - texts[0]["value"])
    assert rows["bits/byte", "text.txt"]["n_items"] == 12
    assert rows["perplexity", "text.txt"]["difference"] is None  # it compares models with one tokenizer only
    assert rows["P@1", "en–de words.en-de.tsv"]["headline"]
    assert rows["P@1", "en–de words.en-de.tsv"]["difference"] is not None
    assert ("sentence P@1", "en–de pairs.tsv") in rows
    assert len(Path("out/items/pairs-0/bits_per_byte.jsonl").read_text().splitlines()) == 12
    assert evaluate(*given) == 0  # reused
    assert evaluate(*given[:-2]) == 2
    assert "baseline: made with bytes, now None" in capsys.readouterr().err


def test_a_masked_model(folder: Path) -> None:
    save(folder / "encoder", [], masked=True)
    assert evaluate("encoder", "--text", "text.txt") == 0
    (part,) = results()["arms"]["encoder"]
    assert list(part["tasks"]) == ["masked_lm_loss"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Name the models to evaluate"),
        (("bytes",), "nothing to measure on"),
        (("bytes", "--text", "none.txt"), "none.txt"),
        (("bytes", "--sentences", "pairs.tsv"), "--source and --target"),
        (("bytes", "--text", "text.txt", "--baseline", "joint"), "--baseline is joint, but the models are bytes"),
        (("bytes", "bytes", "--text", "text.txt"), "named twice"),
        (("bytes", "--text", "text.txt", "--block-size", "128"), "bytes has 64 positions"),
    ],
)
def test_mistakes(folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str) -> None:
    sizes = () if "--block-size" in arguments else ("--block-size", "32")
    assert cli.run(["eval", *arguments, "--output", "out", *sizes]) == 2
    assert told in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_names_are_as_short_as_they_can_be() -> None:
    models = ["runs/a/pretrain/joint/model", "runs/a/pretrain/prealign/model"]
    assert list(short_names(models)) == ["joint/model", "prealign/model"]
    assert short_names(["gpt2-like/small"]) == {"small": "gpt2-like/small"}


@pytest.mark.parametrize("first", ["recipe.yaml", "runs/missing.yaml", "recipes/quickstart.yml"])
def test_a_recipe_is_no_model(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not cli._is_model(first)
    assert cli._is_model("organisation/model")

"""`build-dict --aligner`: links kept and read again, a model kept and applied, mistakes told before any reading."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from prealign import cli
from prealign.alignment import aligners
from prealign.dictionary import induce

WHO = {"my aunt": "meine Tante", "the doctor": "der Arzt", "a girl": "ein Mädchen", "our uncle": "unser Onkel"}
DOES = {"sees": "sieht", "paints": "malt", "sells": "verkauft"}
WHAT = {"the house": "das Haus", "a cat": "eine Katze", "an island": "eine Insel"}
PAIRS = [(f"{a} {b} {c}.", f"{WHO[a]} {DOES[b]} {WHAT[c]}.") for a, b, c in product(WHO, DOES, WHAT)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    return path


def command(corpus: Path, name: str, *more: str) -> list[str]:
    ends = ["--source", "en", "--target", "de", "--output", str(corpus.parent / name)]
    return ["build-dict", "--parallel", str(corpus), *ends, *more]


def entries(folder: Path) -> list[str]:
    return (folder / "entries.tsv").read_text(encoding="utf-8").lower().splitlines()


def card(folder: Path) -> dict[str, object]:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def test_links_that_were_kept_make_the_same_dictionary(corpus: Path) -> None:
    first, again = corpus.parent / "first", corpus.parent / "again"
    assert cli.run(command(corpus, "first", "--save-links", "--symmetrisation", "grow-diag")) == 0
    words, links = first / "links" / "words.txt", first / "links" / "links.pharaoh"
    assert words.read_text(encoding="utf-8").startswith("my aunt sees the house ||| meine Tante sieht das Haus\n")
    assert len(links.read_text(encoding="utf-8").splitlines()) == len(PAIRS)
    kept = ["--parallel", str(words), "--aligner", "links", "--links", str(links)]
    assert cli.run([*command(corpus, "again"), *kept]) == 0
    assert entries(again) == entries(first)
    assert card(first)["aligner"]["name"] == "statistical"
    assert card(again)["aligner"] == {"name": "links"}
    assert card(again)["symmetrisation"] is None
    manifest = json.loads((again / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["options"]["thresholds.aligner"] == "links"
    assert str(links) in manifest["inputs"]


def test_a_recipe_names_links_beside_its_text(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = corpus.parent
    (folder / "corpus.tsv").write_text("red house\trotes Haus\na dog\tСобака\ngreen house\tHaus grünes\n" * 2)
    (folder / "links").write_text("0-0 1-1\n0-0\n0-1 1-0\n" * 2)
    path = folder / "recipe.yaml"
    recipe = (
        f"data: {folder}\noutput: {folder / 'run'}\n"
        "languages: {en: {text: [corpus.tsv]}, de: {text: [corpus.tsv]}}\n"
        "dictionary:\n  aligner: links\n  min_count: 1\n"
        "  pairs: [{source: en, target: de, parallel: [{path: corpus.tsv, links: links}]}]\n"
    )
    path.write_text(recipe, encoding="utf-8")
    assert cli.run(["build-dict", str(path)]) == 0
    made = [line.split("\t")[:3] for line in entries(folder / "run" / "dictionary" / "en--de")[1:]]
    assert made == [["green", "grünes", "1"], ["house", "haus", "2"], ["red", "rotes", "1"]]
    manifest = json.loads((folder / "run" / "dictionary" / "en--de" / "manifest.json").read_text(encoding="utf-8"))
    assert "corpus 1, links" in manifest["inputs"]
    capsys.readouterr()
    path.write_text(recipe.replace("aligner: links", "aligner: statistical"), encoding="utf-8")
    assert cli.run(["build-dict", str(path)]) == 2
    assert "names `links`, but the aligner statistical makes its own" in capsys.readouterr().err


def test_a_trained_aligner_is_kept_and_applied(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("thot", reason="sil-thot is not installed (extra `thot`)")
    made, applied = corpus.parent / "made", corpus.parent / "applied"
    assert cli.run(command(corpus, "made", "--aligner", "thot-hmm", "--save-model")) == 0
    assert json.loads((made / "aligner" / "aligner.json").read_text(encoding="utf-8"))["name"] == "thot-hmm"
    model = ["--aligner", "thot-hmm", "--model", str(made / "aligner")]
    assert cli.run(command(corpus, "applied", *model)) == 0
    assert entries(applied) == entries(made)
    capsys.readouterr()
    assert cli.run(command(corpus, "other", "--aligner", "thot-ibm1", *model[2:])) == 2
    assert "was trained with the aligner thot-hmm, but `aligner` is thot-ibm1" in capsys.readouterr().err


def test_a_missing_aligner_stops_before_any_reading(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligners, "find_spec", lambda package: None)
    assert cli.run(command(corpus, "made", "--aligner", "thot-eflomal")) == 2
    error = capsys.readouterr().err
    assert error.endswith("is not installed. Run: pip install 'prealign[thot]'\n")
    assert "reading" not in error
    assert [path.name for path in corpus.parent.iterdir()] == ["corpus.tsv"]


def test_flags_that_do_not_go_together(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags, sentence in (
        (["--links", str(corpus)], "--links names 1 files, but --aligner statistical wants 0"),
        (["--aligner", "links"], "--links names 0 files, but --aligner links wants 1"),
        (["--model", str(corpus.parent / "nowhere")], "These files do not exist"),
        (["--save-model", "--aligner", "links", "--links", str(corpus)], "The aligner links keeps no model"),
        (["--aligner", "neural"], "the aligner neural needs `encoder`"),
        (["--aligner", "fast_align", "--train-sentence-pairs", "5"], "fast_align learns from all the text that it"),
        (["--aligner", "fast_align", "--shard", "1/2"], "fast_align learns from all the text that it links and keeps"),
        (["--aligner", "links", "--train-sentence-pairs", "5"], "the aligner links learns nothing from the text"),
        (["--aligner", "thot-hmm", "--shard", "1/2"], "--shard needs --model with the aligner thot-hmm"),
    ):
        assert cli.run(command(corpus, "made", *flags)) == 2
        assert sentence in capsys.readouterr().err


@pytest.fixture
def linked(corpus: Path) -> Path:
    """The corpus with a dictionary `first` and the links that it was made from."""
    assert cli.run(command(corpus, "first", "--save-links", "--symmetrisation", "grow-diag")) == 0
    return corpus.parent / "first" / "links"


def test_links_that_exist_are_counted_in_chunks_and_shards(
    corpus: Path, linked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ["--parallel", str(linked / "words.txt"), "--aligner", "links", "--links", str(linked / "links.pharaoh")]
    monkeypatch.setattr(induce, "PAIRS_PER_CHUNK", 7)
    assert cli.run([*command(corpus, "chunks"), *kept]) == 0
    shards = [corpus.parent / f"shard-{number}" for number in (1, 2)]
    for number, shard in enumerate(shards, start=1):
        assert cli.run([*command(corpus, shard.name), *kept, "--shard", f"{number}/2"]) == 0
    ends = ["--source", "en", "--target", "de", "--output", str(corpus.parent / "sum")]
    assert cli.run(["build-dict", "--counts", *map(str, shards), *ends]) == 0
    for name in ("chunks", "sum"):
        assert entries(corpus.parent / name) == entries(corpus.parent / "first"), name
    with (linked / "links.pharaoh").open("a", encoding="utf-8") as file:
        file.write("\n")
    with (linked / "words.txt").open("a", encoding="utf-8") as file:
        file.write("one more ||| noch eins\n")
    assert cli.run([*command(corpus, "other"), *kept, "--shard", "2/2"]) == 0
    assert cli.run(["build-dict", "--counts", str(shards[0]), str(corpus.parent / "other"), *ends[:-1], "x"]) == 2
    assert "was counted with another parallel text" in capsys.readouterr().err


def encoder(folder: Path, seed: int) -> str:
    """A folder with a small random BERT that knows the letters."""
    letters = "abcdefghijklmnopqrstuvwxyzäöüß"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + letter for letter in letters)]
    tokenizer = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(pieces), max_position_embeddings=64, **sizes)).save_pretrained(folder)
    return str(folder)


def test_an_encoder_links_in_chunks_and_shards(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    neural = ["--aligner", "neural", "--encoder-layer", "1", "--encoder", encoder(corpus.parent / "bert", seed=1)]
    assert cli.run([*command(corpus, "whole"), *neural, "--save-links"]) == 0
    monkeypatch.setattr(induce, "PAIRS_PER_CHUNK", 7)
    assert cli.run([*command(corpus, "chunks"), *neural]) == 0
    for shard in ("1", "2"):
        assert cli.run([*command(corpus, shard), *neural, "--shard", f"{shard}/2"]) == 0
    ends = ["--source", "en", "--target", "de", "--output", str(corpus.parent / "sum"), "--counts"]
    folders = [str(corpus.parent / shard) for shard in ("1", "2")]
    assert cli.run(["build-dict", *ends, *folders]) == 0
    for name in ("chunks", "sum"):
        assert entries(corpus.parent / name) == entries(corpus.parent / "whole"), name
    encoder(corpus.parent / "bert", seed=2)
    assert cli.run([*command(corpus, "3"), *neural, "--shard", "2/2"]) == 0
    ends[-2] += "-again"
    assert cli.run(["build-dict", *ends, folders[0], str(corpus.parent / "3")]) == 2
    assert "3 was counted with another trained model or encoder than" in capsys.readouterr().err


def test_a_shard_knows_an_encoder_on_the_hub_by_its_name(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, opened = encoder(corpus.parent / "bert", seed=1), aligners.open_aligner
    local = {"encoder": folder}
    monkeypatch.setattr(
        aligners, "open_aligner", lambda settings, model: opened(settings.model_copy(update=local), model)
    )
    neural = ["--aligner", "neural", "--encoder-layer", "1", "--encoder", "someone/bert"]
    assert cli.run([*command(corpus, "1"), *neural, "--shard", "1/1"]) == 0
    assert json.loads((corpus.parent / "1" / "counted.json").read_text())["knowledge"] == "someone/bert"


def test_a_moses_pair_has_one_file_of_links(corpus: Path) -> None:
    folder = corpus.parent
    for number, language in enumerate(("en", "de")):
        lines = [pair[number] + "\n" for pair in PAIRS]
        (folder / f"c.{language}").write_text("".join(lines), encoding="utf-8")
    (folder / "c.links").write_text("1-1 2-2 4-4\n" * len(PAIRS), encoding="utf-8")
    sides = ["--parallel", str(folder / "c.en"), str(folder / "c.de")]
    assert cli.run([*command(corpus, "made"), *sides, "--aligner", "links", "--links", str(folder / "c.links")]) == 0
    assert "house\thaus\t12\t1\t1" in entries(folder / "made")


def test_doctor_names_every_aligner(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligners, "find_program", lambda program: None)
    assert cli.run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["aligners"]
    assert found["statistical"] == "ready"
    assert found["eflomal"] is None
    assert cli.run(["doctor"]) == 0
    assert "missing; pip install eflomal" in capsys.readouterr().out

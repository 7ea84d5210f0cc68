"""`build-dict` on small corpora in several formats: weights, strictness, rejects, the plan before the work."""

from __future__ import annotations

import json
import re
from datetime import date
from itertools import product
from pathlib import Path

import duckdb
import pytest

from prealign import __version__, cli, files
from prealign.config.settings import Recipe
from prealign.dictionary import induce
from prealign.stages.layout import Layout

WHO = {"my aunt": "meine Tante", "the doctor": "der Arzt", "a girl": "ein Mädchen"}
DOES = {"sees": "sieht", "paints": "malt", "sells": "verkauft"}
WHAT = {"the house": "das Haus", "a cat": "eine Katze"}
PAIRS = [(f"{a} {b} {c}.", f"{WHO[a]} {DOES[b]} {WHAT[c]}.") for a, b, c in product(WHO, DOES, WHAT)]


def as_tmx(source: str, target: str) -> str:
    sides = (("en-GB", source), ("de", target))
    inner = "".join(f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in sides)
    return f"<tu>{inner}</tu>"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The pairs spread over four formats, with one pair that is left out."""
    lines = ["\t".join(pair) for pair in PAIRS[:5]] + ["a dog\tСобака"]
    (tmp_path / "a.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n".join(" ||| ".join(pair) for pair in PAIRS[5:9]), encoding="utf-8")
    lines = [json.dumps({"translation": dict(zip(("en", "de"), pair))}) for pair in PAIRS[9:14]]
    (tmp_path / "c.jsonl").write_text("\n".join(lines), encoding="utf-8")
    units = "".join(as_tmx(*pair) for pair in PAIRS[14:])
    (tmp_path / "d.tmx").write_text(f"<tmx><body>{units}</body></tmx>", encoding="utf-8")
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    files = [str(folder / name) for name in ("a.tsv", "b.txt", "c.jsonl", "d.tmx")]
    ends = ["--source", "en", "--target", "de", "--output", str(folder / "made")]
    return ["build-dict", "--parallel", *files, *ends, *more]


def entries(folder: Path) -> dict[tuple[str, str], int]:
    rows = [line.split("\t") for line in (folder / "entries.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    return {(row[0], row[1]): int(row[2]) for row in rows}


def test_all_formats_make_one_dictionary(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(corpus)) == 0
    assert "reading 4 files, 0.0 MB, about 19 sentence pairs" in capsys.readouterr().err
    card = json.loads((corpus / "made" / "card.json").read_text(encoding="utf-8"))
    assert card["sentence_pairs"] == len(PAIRS)
    assert list(card["corpora"]) == ["corpus 1, a.tsv", "corpus 2, b.txt", "corpus 3, c.jsonl", "corpus 4, d.tmx"]
    assert card["prealign"] == __version__
    assert date.fromisoformat(card["date"])
    assert entries(corpus / "made")["cat", "Katze"] == 9
    rejects = (corpus / "made.rejects.tsv").read_text(encoding="utf-8").splitlines()
    assert rejects[1:] == [f"pairs with a side in the wrong script\t{corpus / 'a.tsv'}\t6\ta dog\tСобака"]


def test_strict_stops_and_leaves_the_rejects_to_be_read(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(corpus, "--strict")) == 2
    assert f"First: pairs with a side in the wrong script: {corpus / 'a.tsv'}, line 6" in capsys.readouterr().err
    assert not (corpus / "made").exists()
    assert "Собака" in (corpus / "made.rejects.tsv").read_text(encoding="utf-8")
    assert cli.run(command(corpus)) == 0
    assert cli.run(command(corpus, "--strict")) == 2  # what was made without it is not taken for clean
    assert "thresholds.strict: made with False, now True" in capsys.readouterr().err


def test_dry_run_says_how_much_and_does_nothing(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(corpus, "--dry-run")) == 0
    said = capsys.readouterr().out
    assert "4 files, 0.0 MB, about 19 sentence pairs" in said
    assert str(corpus / "made.rejects.tsv") in said
    assert not list(corpus.glob("made*"))


def recipe(folder: Path, parallel: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        f"""
data: {folder}
output: {folder / "run"}
languages: {{en: {{text: [a.tsv]}}, de: {{text: [a.tsv]}}}}
dictionary:
  pairs: [{{source: en, target: de, target_segmenter: spaces, parallel: {parallel}}}]
""",
        encoding="utf-8",
    )
    return path


def test_a_recipe_weighs_corpora_and_chooses_segmenters(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "[a.tsv, b.txt, {path: c.jsonl, weight: 2}, d.tmx]"
    assert cli.run(["build-dict", str(recipe(corpus, text)), "--dry-run"]) == 0
    assert "4 files, 0.0 MB, about 19 sentence pairs" in capsys.readouterr().out
    assert cli.run(["build-dict", str(recipe(corpus, text))]) == 0
    folder = corpus / "run" / "dictionary" / "en--de"
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["target_segmenter"] == "spaces"
    doubled = sum("paints" in source for source, _ in PAIRS[9:14])
    assert entries(folder)["paints", "malt"] == 6 + doubled
    assert (corpus / "run" / "dictionary" / "en--de.rejects.tsv").is_file()
    capsys.readouterr()
    assert cli.run(["build-dict", str(recipe(corpus, text.replace("weight: 2", "weight: 3")))]) == 2
    assert "corpus 3, weight: made with 2.0, now 3.0" in capsys.readouterr().err


def test_a_corpus_that_is_absent_is_told_with_its_line(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["build-dict", str(recipe(corpus, "[a.tsv, {path: x.tsv, weight: 2}]"))]) == 2
    error = capsys.readouterr().err
    assert "recipe.yaml:6: " in error
    assert "x.tsv does not exist" in error
    assert cli.run(["build-dict", str(recipe(corpus, "[{path: a.tsv, weight: 0}]"))]) == 2
    assert "greater than 0" in capsys.readouterr().err


def test_corpora_of_one_name_and_moved_ones_are_told_by_content(tmp_path: Path) -> None:
    def stage(*texts: str, folder: str) -> str:
        names = []
        for number, text in enumerate(texts):
            place = tmp_path / folder / str(number) / "c.tsv"
            place.parent.mkdir(parents=True)
            place.write_text(text, encoding="utf-8")
            names.append(str(place))
        pairs = {"pairs": [{"source": "en", "target": "de", "parallel": names}]}
        languages = {"en": {"text": ["x.txt"]}, "de": {"text": ["x.txt"]}}
        layout = Layout(Recipe.model_validate({"languages": languages, "dictionary": pairs}))
        return layout.dictionary(layout.recipe.dictionary.pairs[0]).fingerprint

    before = stage("a\tb\n", "c\td\n", folder="one")
    assert stage("a\tb\n", "c\td\n", folder="moved") == before
    assert stage("changed\tb\n", "c\td\n", folder="changed") != before


def test_chunks_and_shards_count_what_the_whole_does(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model trained on all pairs, applied in one chunk, in chunks of seven pairs, and in three shards."""
    made = corpus / "made"
    assert cli.run(command(corpus, "--max-sentence-pairs", "18", "--save-model")) == 0
    apply = ["--model", str(made / "aligner")]
    assert cli.run([*command(corpus, *apply), "--output", str(corpus / "one")]) == 0
    monkeypatch.setattr(induce, "PAIRS_PER_CHUNK", 7)
    assert cli.run([*command(corpus, "--train-sentence-pairs", "18"), "--output", str(corpus / "chunks")]) == 0
    shards = [corpus / f"shard-{number}" for number in (1, 2, 3)]
    for number, shard in enumerate(shards, start=1):
        assert cli.run([*command(corpus, *apply, "--shard", f"{number}/3"), "--output", str(shard)]) == 0
    ends = ["--source", "en", "--target", "de", "--output", str(corpus / "sum")]
    assert cli.run(["build-dict", "--counts", *map(str, shards), *ends]) == 0
    cards = {name: json.loads((corpus / name / "card.json").read_text()) for name in ("one", "chunks", "sum")}
    for name, card in cards.items():
        assert entries(corpus / name) == entries(corpus / "one"), name
        assert card["sentence_pairs"] == len(PAIRS)
        assert card["dropped"]["pairs with a side in the wrong script"]["count"] == 1, (
            name
        )  # once, in one of the shards
    assert entries(corpus / "one") == entries(made)
    model = files.fingerprint(made / "aligner")
    told = {name: {k: card.get(k) for k in ("knowledge", "train_sentence_pairs")} for name, card in cards.items()}
    assert told["one"] == told["sum"] == {"knowledge": model, "train_sentence_pairs": None}
    assert told["chunks"] == {"knowledge": None, "train_sentence_pairs": 18}
    assert json.loads((made / "card.json").read_text())["max_sentence_pairs"] == 18


def test_shards_tie_the_runs_that_the_whole_ties(corpus: Path) -> None:
    """Shards count the runs that only others of them tie to a word."""
    both = ["--symmetrisation", "grow-diag", "--multi-word", "--aligner", "links"]
    lines = ["no one sees ||| niemand sieht", "no one came ||| niemand kam", "no one left ||| da ging er"]
    lines += ["phone number ||| Telefonnummer", "a phone number ||| eine Telefonnummer", "my phone number ||| so nicht"]
    (corpus / "runs.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (corpus / "runs.links").write_text("0-0 1-0 2-1\n0-0 1-0 2-1\n\n0-0 1-0\n0-0 1-1 2-1\n\n", encoding="utf-8")
    start = ["build-dict", "--source", "en", "--target", "de", "--output"]
    text = ["--parallel", str(corpus / "runs.txt"), "--links", str(corpus / "runs.links"), *both[2:]]
    assert cli.run([*start, str(corpus / "whole"), *text]) == 0
    shards = [str(corpus / f"shard-{number}") for number in (1, 2, 3)]
    for number, shard in enumerate(shards, start=1):
        assert cli.run([*start, shard, *text, "--shard", f"{number}/3"]) == 0
        assert json.loads((Path(shard) / "counted.json").read_text())["extent"]["sentence_pairs"] > 0
    assert cli.run([*start, str(corpus / "sum"), "--counts", *shards]) == 0
    whole, together = ((corpus / name / "entries.tsv").read_text(encoding="utf-8") for name in ("whole", "sum"))
    assert together == whole
    assert "no one\tniemand\t2\t0.666667\t1\n" in whole
    assert "phone number\tTelefonnummer\t2\t0.666667\t1\n" in whole


@pytest.mark.parametrize("ignored", [["--train-sentence-pairs", "9"], ["--save-model"]])
def test_a_trained_aligner_leaves_nothing_to_train_or_save(
    corpus: Path, ignored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(command(corpus, "--model", str(corpus), *ignored)) == 2
    assert f"nothing is trained or saved; leave out {ignored[0]}, or --model" in capsys.readouterr().err
    path = recipe(corpus, f"[a.tsv], model: {corpus}")
    name, value = ignored[0].removeprefix("--").replace("-", "_"), "".join(ignored[1:]) or "true"
    path.write_text(path.read_text().replace("dictionary:", f"dictionary:\n  {name}: {value}"), encoding="utf-8")
    assert cli.run(["build-dict", str(path)]) == 2
    told = capsys.readouterr().err
    assert "dictionary pair en-de names a `model`, an aligner that is trained already, so nothing is trained" in told
    assert f"leave out {name}, or `model`" in told


def test_the_clone_can_be_learnt_from_a_sample(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text("\n".join(f"{a} {b} {c}." for a, b, c in product(WHO, DOES, WHAT)))
    (tmp_path / "recipe.yaml").write_text(
        f"data: {tmp_path}\noutput: {tmp_path / 'run'}\n"
        "languages: {en: {text: [en.txt]}, en-x-clone: {clone_of: en}}\n"
        "dictionary: {train_sentence_pairs: 15, save_model: true, pairs: [{source: en, target: en-x-clone}]}\n"
    )
    assert cli.run(["build-dict", str(tmp_path / "recipe.yaml")]) == 0
    made = tmp_path / "run" / "dictionary" / "en--en-x-clone"
    assert json.loads((made / "card.json").read_text())["train_sentence_pairs"] == 15
    assert (made / "aligner" / "aligner.json").is_file()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--shard", "1/2"], "--shard needs --model"),
        (["--shard", "3/2", "--model", "."], "--shard is i/n with i from 1 to n"),
        (["--counts", "."], "Give either --parallel .* or --counts"),
        (
            ["--shard", "1/2", "--model", ".", "--max-sentence-pairs", "9", "--save-links", "--save-model"],
            "leave out --max-sentence-pairs, --save-links, --save-model",
        ),
        (["--shard", "1/2", "--model", ".", "--train-sentence-pairs", "9"], "leave out --train-sentence-pairs"),
        (["--target", "German"], "'German' is not a BCP 47 code such as en, zh or pt-BR"),
        (["--target", "en"], "source and target are both en"),
        (["--min-count", "999"], "No entry en-de is left of 18 sentence pairs and .* with min_count 999, .* below min"),
    ],
)
def test_flags_that_do_not_go_together(
    corpus: Path, flags: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(corpus)
    assert cli.run(command(corpus, *flags)) == 2
    assert re.search(sentence, capsys.readouterr().err)


def test_counts_that_do_not_add_up(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(corpus, "--save-model")) == 0
    trained = ["--model", str(corpus / "made" / "aligner")]

    def count(name: str, *more: str) -> None:
        assert cli.run([*command(corpus, *trained, "--shard", *more), "--output", str(corpus / name)]) == 0

    def said(names: str, source: str = "en", *more: str) -> str:
        folders = [str(corpus / name) for name in names.split()]
        ends = ["--source", source, "--target", "de", "--output", str(corpus / "sum"), *more]
        capsys.readouterr()
        assert cli.run(["build-dict", "--counts", *folders, *ends]) == 2
        return capsys.readouterr().err

    count("1", "1/2")
    count("2", "2/2")
    count("union", "2/2", "--symmetrisation", "union")
    count("thirds", "2/3")
    assert "union was counted with another symmetrisation than" in said("1 union")
    assert "thirds was counted with another number of shards than" in said("1 thirds")
    assert "made holds no counts: it has no counted.json" in said("made")
    assert "1.rejects.tsv is none. Leave out what stands beside them" in said("1 2 1.rejects.tsv")
    assert "hold shard 1/2; name it once" in said("1 2 1")
    assert "1 of 2 shards are missing: 2/2" in said("1")
    assert "1 holds counts of en-de, but fr-de was asked for" in said("1 2", "fr")
    assert "1 of 2 shards are missing: 1/2" in said("2", "en", "--dry-run")
    ignored = ["--seed", "2", "--source-segmenter", "spaces", "--aligner", "eflomal", "--save-links"]
    assert "leave out --source-segmenter, --seed, --aligner, --save-links." in said("1 2", "en", *ignored)

    with (corpus / "a.tsv").open("a", encoding="utf-8") as file:
        file.write("one more\tnoch eins\n")
    count("longer", "2/2")
    assert "longer was counted with another parallel text than" in said("1 longer")
    assert cli.run([*command(corpus, "--save-model"), "--output", str(corpus / "other")]) == 0
    trained[1] = str(corpus / "other" / "aligner")
    count("retrained", "2/2")
    assert "retrained was counted with another trained model or encoder than" in said("longer retrained")


def test_counts_are_planned_and_leave_the_folders_of_others_alone(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(command(corpus, "--save-model")) == 0
    shard = ["--model", str(corpus / "made" / "aligner"), "--shard", "1/1"]
    counts = corpus / "finished" / "counts"
    assert cli.run([*command(corpus, *shard), "--output", str(counts)]) == 0
    before = sorted(path.name for path in counts.iterdir())
    ends = ["--source", "en", "--target", "de", "--output", str(corpus / "out" / "sum")]
    capsys.readouterr()
    assert cli.run(["build-dict", "--counts", str(counts), *ends, "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        f"reads   counts of 18 sentence pairs in {counts}\nwrites  {corpus / 'out' / 'sum'}\n"
    )
    spilled: list[Path] = []
    connect = duckdb.connect

    def watched(config: dict[str, str]) -> object:
        spilled.append(Path(config["temp_directory"]))
        return connect(config=config)

    monkeypatch.setattr(duckdb, "connect", watched)
    assert cli.run(["build-dict", "--counts", str(counts), *ends]) == 0
    assert spilled
    assert all(path.is_relative_to(corpus / "out") for path in spilled)
    assert sorted(path.name for path in counts.iterdir()) == before
    assert [path.name for path in counts.parent.iterdir() if path.is_dir()] == ["counts"]
    assert [path.name for path in (corpus / "out").iterdir()] == ["sum"]
    card = json.loads((corpus / "out" / "sum" / "card.json").read_text(encoding="utf-8"))
    assert list(card["corpora"]) == ["corpus 1, a.tsv", "corpus 2, b.txt", "corpus 3, c.jsonl", "corpus 4, d.tmx"]
    assert card["prealign"] == __version__


def test_a_recipe_that_leaves_no_entry_is_told(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe(corpus, "[a.tsv, b.txt]")
    assert cli.run(["build-dict", str(path), "--dictionary.min-count", "999"]) == 2
    assert "No entry en-de is left of 9 sentence pairs" in capsys.readouterr().err
    assert not (corpus / "run" / "dictionary" / "en--de").exists()
    (corpus / "empty.tsv").write_text("source\ttarget\tcount\tp_target_given_source\tp_source_given_target\n")
    path.write_text(path.read_text().replace("parallel: [a.tsv, b.txt]", "path: empty.tsv"), encoding="utf-8")
    assert cli.run(["build-dict", str(path)]) == 2
    assert "The dictionary en-de has no entries." in capsys.readouterr().err

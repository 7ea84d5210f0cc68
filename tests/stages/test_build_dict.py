"""`build-dict` on small corpora in several formats: weights, strictness, rejects, the plan before the work."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from prealign import cli
from prealign.config.settings import Recipe
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

"""`prealign dictionary` through the front door: what it prints, what it writes, its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign import cli
from prealign.dictionary.dictionary import Dictionary


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an en-de and an en-ar dictionary."""
    monkeypatch.chdir(tmp_path)
    german = Dictionary.from_pairs([("bank", "Bank")] * 3 + [("bank", "Ufer"), ("river", "Fluss")], "en", "de")
    german.card |= {"aligner": {"name": "statistical"}, "licence": "CC0"}
    german.write(tmp_path / "en-de")
    Dictionary.from_pairs([("bank", "بنك"), ("river", "نهر"), ("ice cream", "مثلجات")], "en", "ar").write(
        tmp_path / "en-ar"
    )
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run(["dictionary", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_show_the_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "en-de", "--top", "2") == (
        0,
        "en-de: en-de, 3 entries, 2 source words, 3 target words\n"
        "  aligner: name statistical\n"
        "  licence: CC0\n"
        "\n"
        "source  target  count  p(target|source)  p(source|target)\n"
        "bank    Bank    3      0.750             1.000\n"
        "bank    Ufer    1      0.250             1.000\n",
    )


def test_show_words_without_regard_to_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = run(capsys, "show", "en-ar", "River", "ICE  cream", "shore")
    assert code == 0
    assert told == (
        "source     target  count  p(target|source)  p(source|target)\n"
        "river      \u2068نهر\u2069     1      1.000             1.000\n"
        "ice cream  \u2068مثلجات\u2069  1      1.000             1.000\n"
        "shore: not in the dictionary\n"
    )


def test_coverage_of_a_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.txt").write_text("The river bank.\nThe Bank of the river!\n")
    assert run(capsys, "coverage", "en-de", "--text", "text.txt") == (
        0,
        "covers 50.0% of 8 running words of text.txt\n"
        "   50.0% of the words 1-4 by frequency\n"
        "top missing: the (3), of (1)\n",
    )
    (folder / "de.txt").write_text("Der Fluss\n")
    assert "covers 50.0% of 2" in run(capsys, "coverage", "en-de", "--text", "de.txt", "--language", "de")[1]
    code, told = run(capsys, "coverage", "en-de", "--text", "de.txt", "--language", "fr")
    assert (code, "en-de is en-de; it cannot cover text in fr" in told) == (2, True)


def test_merge_invert_and_pivot(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "more.en-de.txt").write_text("bank Bank\nsea Meer\n")
    code, told = run(capsys, "merge", "en-de", "more.en-de.txt", "--output", "merged")
    assert (code, told) == (0, "merged: en-de, 4 entries, 3 source words, 4 target words\n")
    assert [part["counted"] for part in Dictionary.read(folder / "merged").card["merged_from"]] == [True, False]
    assert run(capsys, "invert", "en-de", "--output", "de-en")[1].startswith("de-en: de-en, 3 entries")
    code, told = run(capsys, "pivot", "de-en", "en-ar", "--output", "de-ar", "--top-k", "1")
    assert (code, told) == (0, "de-ar: de-ar, 3 entries, 3 source words, 2 target words\n")
    assert Dictionary.read(folder / "de-ar").by_source()["Fluss"][0].target == "نهر"


def test_export_and_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "export", "en-ar", "lex.f2e") == (
        0,
        "lex.f2e: 2 entries; left out: 1 entries with a space in a word\n",
    )
    assert run(capsys, "export", "en-de", "words.jsonl", "--format", "words")[1] == "words.jsonl: 3 entries\n"
    flags = ("--source", "en", "--target", "ar", "--output", "again", "--licence", "CC BY 4.0, by us")
    assert run(capsys, "import", "lex.e2f", *flags)[0] == 0
    again = Dictionary.read(folder / "again")
    assert [entry.target for entry in again.entries] == ["بنك", "نهر"]
    assert again.card["licence"] == "CC BY 4.0, by us"
    assert again.card["imported_from"]["file"] == "lex.e2f"


def test_import_with_thresholds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "list.en-de.tsv").write_text("bank\tBank\nbank\tUfer\nsea\tMeer\n")
    code, told = run(capsys, "import", "list.en-de.tsv", "--output", "list", "--top-k", "1")
    assert code == 0
    assert "left out: 1 entries below --min-probability or beyond --top-k" in told
    assert Dictionary.read(folder / "list").card["thresholds"] == {"min_probability": 0.0, "top_k": 1, "left_out": 1}


def test_check_tells_errors_by_its_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "en-de") == (0, "nothing looks wrong\n")
    assert run(capsys, "check", "en-ar") == (0, 'remark: no "licence" in the card\n')
    (folder / "bad.en-de.txt").write_text("bank Bank\nice cream Eis\nTom Tom\n")
    code, told = run(capsys, "check", "bad.en-de.txt")
    assert code == 1
    assert told.startswith("error: 1 lines cannot be read\n    line 2: 'ice cream Eis' holds 3 words")
    assert "remark: 1 entries the same on both sides" in told


MISTAKES = [
    (("show", "absent"), "absent does not exist"),
    (("show", "more.txt"), "neither the call nor a card nor the file's name says the source_language"),
    (("merge", "en-de", "en-ar", "--output", "o"), "Only dictionaries of the same two languages can be merged"),
    (("merge", "en-de", "--output", "o"), "Merging takes at least two dictionaries"),
    (("invert", "en-de", "--output", "en-ar"), "en-ar exists already. Remove it, or choose another --output."),
    (("pivot", "en-de", "en-de", "--output", "o"), "have both languages in common"),
    (
        ("pivot", "en-de", "en-ar", "--output", "o", "--min-probability", "2"),
        "--min-probability: input should be less than or equal to 1, got '2'",
    ),
    (
        ("pivot", "en-de", "en-ar", "--output", "o", "--top-k", "0"),
        "--top-k: input should be greater than or equal to 1, got '0'",
    ),
    (("pivot", "en-de", "other.en-fr.txt", "--output", "o"), "No entries are left to write"),
    (("export", "en-de", "table.xls"), "The suffix of table.xls tells no format"),
    (("coverage", "en-de", "--text", "absent.txt"), "absent.txt does not exist"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
def test_mistakes(folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str) -> None:
    (folder / "more.txt").write_text("bank Bank\n")
    (folder / "other.en-fr.txt").write_text("sea mer\n")
    code, told = run(capsys, *arguments)
    assert code == 2
    assert sentence in told
    assert "Traceback" not in told
    assert not (folder / "o").exists()

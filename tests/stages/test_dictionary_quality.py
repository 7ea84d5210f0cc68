"""`prealign dictionary links` and `quality` through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prealign import cli
from prealign.dictionary.dictionary import Dictionary

GOLD = "the house\tla maison\t0-0 1-1\t-\nhear , hear !\tbravo !\t3-1\t0-0 1-0 2-0\n"
"""Two sentence pairs: 3 sure links, 3 possible ones."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gold.tsv").write_text(GOLD)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run(["dictionary", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_files_of_links(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "good.links").write_text("0-0 1-1\n0-0 3-1\n")
    (folder / "bad.links").write_text("0-1\n0-1\n")
    code, told = run(capsys, "links", "--gold", "gold.tsv", "--links", "good.links", "bad.links")
    assert code == 0
    # good: A = 4, S = 3, A & S = 3, A & P = 4; bad: A = 2, nothing right
    rows = [line.replace("\u00a0", " ").split("   ") for line in told.splitlines()]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows[2:4]] == [
        ["good.links", "100.0 %", "100.0 %", "100.0 %", "0.0 %"],
        ["bad.links", "0.0 %", "0.0 %", "0.0 %", "100.0 %"],
    ]
    assert "gold.tsv: 2 sentence pairs, 3 sure links, 3 possible ones" in told
    assert "counted from 0" in told


def test_links_counted_from_one_against_gold_counted_from_zero(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "links").write_text("1-1 2-2\n4-2\n")
    code, told = run(capsys, "links", "--gold", "gold.tsv", "--links", "links", "--links-count-from", "1", "--json")
    assert code == 0
    assert json.loads(told)["links"]["alignment_error_rate"] == {"value": 0.0}
    code, told = run(capsys, "links", "--gold", "gold.tsv", "--links", "links")
    assert code == 2
    assert "links, line 1: a link names source word 2, but the sentence has 2 words" in told


def test_an_aligner_links_the_gold_sentences(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.tsv").write_text("".join(f"the house {n}\tla maison {n}\nthe {n}\tla {n}\n" for n in range(30)))
    flags = ("--gold", "gold.tsv", "--aligner", "statistical", "--source", "en", "--target", "fr", "--json")
    code, told = run(capsys, "links", *flags, "--parallel", "text.tsv")
    assert code == 0
    assert json.loads(told)["statistical"]["recall"]["value"] >= 2 / 3  # "the" and "house" are easy after this text


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "Give either --links"),
        (("--links", "x", "--aligner", "statistical"), "Give either --links"),
        (("--aligner", "statistical"), "--aligner needs --source and --target"),
        (("--aligner", "links", "--source", "en", "--target", "fr"), "give their file with --links"),
        (("--aligner", "neural", "--source", "en", "--target", "fr"), "needs `encoder`"),
        (("--aligner", "statistical", "--source", "en", "--target", "en"), "source and target are both en"),
        (
            ("--aligner", "statistical", "--source", "en", "--target", "fr", "--model", "m", "--parallel", "x.tsv"),
            "nothing is learnt here",
        ),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str) -> None:
    code, found = run(capsys, "links", "--gold", "gold.tsv", *flags)
    assert code == 2
    assert told in found


def test_an_aligner_needs_the_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pharaoh").write_text("0-0 1?1\n")
    flags = ("--aligner", "statistical", "--source", "en", "--target", "fr")
    code, told = run(capsys, "links", "--gold", "pharaoh", *flags)
    assert (code, "has links but no words" in told) == (2, True)


def test_a_dictionary_against_gold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Dictionary.from_pairs([("bank", "Bank"), ("dog", "Hund")], "en", "de").write(folder / "ours")
    (folder / "gold.en-de.tsv").write_text("bank\tUfer\ndog\thund\nsea\tMeer\n")
    code, told = run(capsys, "quality", "ours", "--gold", "gold.en-de.tsv", "--json")
    assert code == 0
    found = json.loads(told)["gold.en-de.tsv"]
    assert found["precision_at_1"] == {"value": 0.5}
    assert found["coverage"]["value"] == pytest.approx(2 / 3)
    code, told = run(capsys, "quality", "ours", "--gold", "gold.en-de.tsv")
    assert (code, "gold.en-de.tsv 3" in told) == (0, True)
    (folder / "b").mkdir()
    (folder / "b" / "gold.en-de.tsv").write_text("dog\thund\n")
    code, told = run(capsys, "quality", "ours", "--gold", "gold.en-de.tsv", "b/gold.en-de.tsv")
    assert [line.split()[0] for line in told.splitlines() if ".tsv  " in line] == ["gold.en-de.tsv", "b/gold.en-de.tsv"]


def test_a_gold_dictionary_of_other_languages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Dictionary.from_pairs([("bank", "Bank")], "en", "de").write(folder / "ours")
    Dictionary.from_pairs([("Bank", "bank")], "de", "en").write(folder / "gold")
    code, told = run(capsys, "quality", "ours", "--gold", "gold")
    assert (code, "its card says source_language de, but en was asked for" in told) == (2, True)


def test_gold_of_another_direction_and_no_gold_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ours.en-de.tsv", "gold.en-fr.tsv"):
        (folder / name).write_text("house\tHaus\n", encoding="utf-8")
    code, told = run(capsys, "quality", "ours.en-de.tsv", "--gold", "gold.en-fr.tsv")
    assert code == 2
    assert "gold.en-fr.tsv is named as a dictionary of en-fr, but ours.en-de.tsv is en-de" in told
    code, told = run(capsys, "quality", "ours.en-de.tsv", "--gold")
    assert code == 2
    assert "--gold names no file" in told

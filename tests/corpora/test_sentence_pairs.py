"""Reading parallel text: what comes through, what is dropped and why, and what is refused."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest

from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import Corpus, SentencePair, clone_pairs, corpora, read_pairs
from prealign.errors import PrealignError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def read(
    *paths: Path, languages: tuple[str, str] = ("en", "de"), **options: Any
) -> tuple[list[tuple[str, str]], Drops]:
    """The pairs of these files without their weights, and what was left out."""
    drops = Drops()
    found = corpora([(path, 1.0) for path in paths], *languages)
    return [pair[:2] for pair in read_pairs(found, *languages, drops, **options)], drops


def test_tsv_gives_its_first_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.en-de.tsv.xz"
    path.write_bytes(lzma.compress(b"A cat.\tEine Katze.\tGen.1.1\nA form feed\x0cis no line end.\tEin Blatt.\n"))
    pairs, drops = read(path)
    assert pairs == [("A cat.", "Eine Katze."), ("A form feed\x0cis no line end.", "Ein Blatt.")]
    assert str(drops) == "nothing"


DIRTY = [
    b"A cat.\tEine Katze.",
    b"\tEine Katze.",
    b"A cat.\t ",
    b"word " * 500 + b"\t" + b"Wort " * 500,
    b"Yes.\t" + b"Ja und nein und so weiter. " * 5,
    b"Madrid\tMadrid",
    b"A cat.\tEine Katze.",
    b"no tab here",
    "A dog.\tСобака.".encode(),
    b"A caf\xe9.\tEin Caf\xe9.",
    b"1984\t1.984",
]


def test_what_is_dropped_is_counted_by_reason_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"\n".join(DIRTY) + b"\n")
    rejects = tmp_path / "rejects.tsv"
    pairs, drops = read(path, rejects=rejects)
    assert pairs == [("A cat.", "Eine Katze."), ("1984", "1.984")]
    assert drops.counts == {
        "pairs with an empty side": 2,
        "pairs with a side that is too long": 1,
        "pairs with an odd length ratio": 1,
        "pairs with identical sides": 1,
        "pairs with a side in the wrong script": 1,
        "pairs that are not UTF-8": 1,
        "duplicate pairs": 1,
        "lines without a second column": 1,
    }
    assert drops.samples["duplicate pairs"] == ["a.tsv, line 7: A cat. | Eine Katze."]
    shown = [line.split("\t") for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert shown[0] == ["reason", "file", "line", "source", "target"]
    assert [line[2] for line in shown[1:]] == ["2", "3", "4", "5", "6", "7", "8", "9", "10"]
    assert shown[8] == ["pairs with a side in the wrong script", str(path), "9", "A dog.", "Собака."]
    assert shown[9][3] == r"A caf\xe9.\tEin Caf\xe9."


def test_strict_refuses_at_the_end_with_the_first_fault_and_the_counts(tmp_path: Path) -> None:
    path, rejects = tmp_path / "a.tsv", tmp_path / "rejects.tsv"
    path.write_bytes(b"\n".join(DIRTY) + b"\n")
    with pytest.raises(PrealignError) as error:
        read(path, rejects=rejects, strict=True)
    assert f"First: pairs with an empty side: {path}, line 2. In all: 2 pairs with an empty side, 1 dup" in str(
        error.value
    )
    assert len(rejects.read_text(encoding="utf-8").splitlines()) == 10
    clean = write(tmp_path / "clean.tsv", "A cat.\tEine Katze.\n")
    assert read(clean, strict=True)[0] == [("A cat.", "Eine Katze.")]


def test_a_faulty_line_takes_its_partner_along(tmp_path: Path) -> None:
    (tmp_path / "c.en").write_bytes(b"One.\nTw\xff.\nThree.\n\nFive.\nSix.\n")
    (tmp_path / "c.de").write_bytes(b"Eins.\nZwei.\nDr\xc3.\nVier.\nF\xc3\xbcnf.\nSechs.\n")
    pairs, drops = read(tmp_path / "c.en")
    assert pairs == [("One.", "Eins."), ("Five.", "Fünf."), ("Six.", "Sechs.")]
    assert drops.counts == {"pairs that are not UTF-8": 2, "pairs with an empty side": 1}


def test_half_a_surrogate_pair_can_be_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"en": "cat", "de": "Katze"}\n{"en": "half \\ud83d", "de": "halb"}\n')
    pairs, drops = read(path, rejects=tmp_path / "rejects.tsv")
    assert pairs == [("cat", "Katze")]
    assert drops.samples == {"pairs that are not UTF-8": ["a.jsonl, line 2: half \\ud83d | halb"]}
    assert (tmp_path / "rejects.tsv").read_text(encoding="utf-8").endswith("\t2\thalf \\ud83d\thalb\n")


def test_sides_are_nfc(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "Cafe\u0301.\tEin Café.\nCafé.\tEin Cafe\u0301.\n")
    pairs, drops = read(path)
    assert pairs == [("Café.", "Ein Café.")]
    assert drops.counts == {"duplicate pairs": 1}


def test_duplicates_are_found_across_files_and_weights_stay_with_the_first(tmp_path: Path) -> None:
    one = write(tmp_path / "one.tsv", "A cat.\tEine Katze.\n")
    two = write(tmp_path / "two.tsv", "A cat.\tEine Katze.\nA dog.\tEin Hund.\n")
    drops = Drops()
    found = list(read_pairs(corpora([(one, 1.0), (two, 0.5)], "en", "de"), "en", "de", drops))
    assert found == [SentencePair("A cat.", "Eine Katze.", 1.0), SentencePair("A dog.", "Ein Hund.", 0.5)]
    assert drops.counts == {"duplicate pairs": 1}


def test_a_pair_of_files_is_found_from_either_side(tmp_path: Path) -> None:
    for name in ("c.en", "c.de", "d.en.gz", "d.de.gz", "lonely.en"):
        write(tmp_path / name, "")
    both = Corpus(tmp_path / "c.en", tmp_path / "c.de")
    assert corpora([(tmp_path / "c.en", 1.0), (tmp_path / "c.de", 1.0)], "en", "de") == [both]
    assert corpora([(tmp_path / "c.de", 1.0)], "en", "de") == [both]
    assert corpora([(tmp_path / "d.en.gz", 2.0)], "en", "de") == [
        Corpus(tmp_path / "d.en.gz", tmp_path / "d.de.gz", 2.0)
    ]
    assert corpora([(tmp_path / "x.en-de.tsv.xz", 1.0)], "en", "de") == [Corpus(tmp_path / "x.en-de.tsv.xz")]
    with pytest.raises(PrealignError, match=r"lonely\.en looks like the en side .*lonely\.de does not exist"):
        corpora([(tmp_path / "lonely.en", 1.0)], "en", "de")


def test_clone_pairs_are_sentences_with_their_clones() -> None:
    documents = ["Too short. This one is kept. Here is\nanother one.", "This one is kept. And a fourth one."]
    assert list(clone_pairs(documents, limit=10)) == [
        SentencePair(text, clone(text)) for text in ("This one is kept.", "Here is another one.", "And a fourth one.")
    ]
    assert len(list(clone_pairs(documents, limit=2))) == 2


def test_real_corpora_lose_little(shared_data: Path) -> None:
    for name in ("tatoeba.en-zh", "newstest.2012-2016.en-ru", "tatoeba.en-ar", "lafand.dev.en-sw"):
        languages = ("en", name[-2:])
        kept, drops = read(shared_data / "parallel" / f"{name}.tsv.xz", languages=languages)
        for reason in ("pairs with an odd length ratio", "pairs with a side in the wrong script"):
            assert drops.counts.get(reason, 0) < 0.002 * len(kept), (name, drops.samples)

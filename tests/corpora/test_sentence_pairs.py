"""Reading parallel text: what comes through, what is dropped and why, and what is refused."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from prealign.corpora.clone import clone
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import clone_pairs, pair_files, read_pairs
from prealign.errors import PrealignError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_tsv_gives_its_first_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.en-de.tsv.xz"
    path.write_bytes(lzma.compress(b"A cat.\tEine Katze.\tGen.1.1\nA form feed\x0cis no line end.\tEin Blatt.\n"))
    drops = Drops()
    assert list(read_pairs([path], drops)) == [
        ("A cat.", "Eine Katze."),
        ("A form feed\x0cis no line end.", "Ein Blatt."),
    ]
    assert str(drops) == "nothing"


def test_what_is_dropped_is_counted_by_reason(tmp_path: Path) -> None:
    long = "word " * 500
    lines = [
        "A cat.\tEine Katze.",
        "\tEine Katze.",
        "A cat.\t ",
        f"{long}\t{long}x",
        f"Yes.\t{'Ja und nein und so weiter. ' * 5}",
        "Madrid\tMadrid",
        "A cat.\tEine Katze.",
        "no tab here",
        "我喜欢学习汉语。\tI like to learn the Chinese language.",
    ]
    drops = Drops()
    pairs = list(read_pairs([write(tmp_path / "a.tsv", "\n".join(lines) + "\n")], drops))
    assert pairs == [("A cat.", "Eine Katze."), ("我喜欢学习汉语。", "I like to learn the Chinese language.")]
    assert drops.counts == {
        "pairs with an empty side": 2,
        "pairs with a side that is too long": 1,
        "pairs with an odd length ratio": 1,
        "pairs with identical sides": 1,
        "duplicate pairs": 1,
        "lines without a second column": 1,
    }
    assert drops.samples["duplicate pairs"] == ["a.tsv, line 7: A cat. | Eine Katze."]


def test_duplicates_are_found_across_files(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, "A cat.\tEine Katze.\n") for name in ("one.tsv", "two.tsv"))
    drops = Drops()
    assert len(list(read_pairs([one, two], drops))) == 1
    assert drops.counts == {"duplicate pairs": 1}


def test_a_file_that_is_no_tsv_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "corpus.txt", "A cat.\nA dog.\n")
    with pytest.raises(PrealignError, match=r"corpus\.txt, line 1 has no tab: .* corpus\.en and corpus\.de"):
        list(read_pairs([path], Drops()))


def test_moses_files_pair_by_line(tmp_path: Path) -> None:
    source = write(tmp_path / "c.en", "A cat.\nA\u2028dog.\n")
    target = write(tmp_path / "c.de", "Eine Katze.\nEin Hund.\n")
    assert list(read_pairs([(source, target)], Drops())) == [("A cat.", "Eine Katze."), ("A\u2028dog.", "Ein Hund.")]


def test_unequal_files_are_refused_with_counts_and_place(tmp_path: Path) -> None:
    lengths = [5, 40, 12, 70, 25, 55, 9, 33] * 25
    left = ["a" * length for length in lengths]
    right = ["b" * length for length in lengths]
    del right[119]  # from line 120 on, every line pairs with a stranger
    source = write(tmp_path / "c.en", "\n".join(left) + "\n")
    target = write(tmp_path / "c.de", "\n".join(right) + "\n")
    with pytest.raises(
        PrealignError, match=r"c\.en has 200 lines and .*c\.de 199; .* Lengths first differ much near line 120\."
    ):
        list(read_pairs([(source, target)], Drops()))


def test_surplus_at_the_end_is_told(tmp_path: Path) -> None:
    source = write(tmp_path / "c.en", "A cat.\n" * 20)
    target = write(tmp_path / "c.de", "Eine Katze.\n" * 18)
    with pytest.raises(PrealignError, match=r"20 lines and .* 18; .* the surplus may be at the end\."):
        list(read_pairs([(source, target)], Drops()))


def test_pair_files(tmp_path: Path) -> None:
    for name in ("c.en", "c.de", "d.en.gz", "d.de.gz", "lonely.en"):
        write(tmp_path / name, "")
    assert pair_files(tmp_path / "c.en", "en", "de") == (tmp_path / "c.en", tmp_path / "c.de")
    assert pair_files(tmp_path / "d.en.gz", "en", "de") == (tmp_path / "d.en.gz", tmp_path / "d.de.gz")
    assert pair_files(tmp_path / "x.en-de.tsv.xz", "en", "de") == tmp_path / "x.en-de.tsv.xz"
    with pytest.raises(PrealignError, match=r"lonely\.de does not exist"):
        pair_files(tmp_path / "lonely.en", "en", "de")


def test_clone_pairs_are_sentences_with_their_clones() -> None:
    documents = ["Too short. This one is kept. Here is\nanother one.", "This one is kept. And a fourth one."]
    assert list(clone_pairs(documents, limit=10)) == [
        ("This one is kept.", clone("This one is kept.")),
        ("Here is another one.", clone("Here is another one.")),
        ("And a fourth one.", clone("And a fourth one.")),
    ]
    assert len(list(clone_pairs(documents, limit=2))) == 2


def test_real_corpora_lose_little(shared_data: Path) -> None:
    for name in ("tatoeba.en-zh", "newstest.2012-2016.en-ru", "tatoeba.en-ar", "lafand.dev.en-sw"):
        drops = Drops()
        kept = sum(1 for _ in read_pairs([shared_data / "parallel" / f"{name}.tsv.xz"], drops))
        ratio = drops.counts.get("pairs with an odd length ratio", 0)
        assert ratio < 0.002 * kept, (name, drops.samples)

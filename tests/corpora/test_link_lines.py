"""Links beside a corpus: a pair and its line of links stay and go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import LinkLine, corpora, read_pairs
from prealign.errors import PrealignError


def read(folder: Path, text: str, links: str, name: str = "c.tsv") -> list[tuple[str, LinkLine | None]]:
    (folder / name).write_text(text, encoding="utf-8")
    (folder / "c.links").write_text(links, encoding="utf-8")
    found = corpora([(folder / name, 1.0)], "en", "de", {folder / name: folder / "c.links"})
    return [(pair.source, pair.links) for pair in read_pairs(found, "en", "de", Drops())]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.tsv", "A cat.\tEine Katze.\n\nno second column\nA cat.\tEine Katze.\nA dog.\tEin Hund.\n"),
        (
            "c.jsonl",
            '{"en": "A cat.", "de": "Eine Katze."}\nnot json\n{"en": 1, "de": "x"}\n{"en": "", "de": ""}\n'
            '{"en": "A dog.", "de": "Ein Hund."}\n',
        ),
    ],
)
def test_dropped_pairs_drop_their_links(tmp_path: Path, name: str, text: str) -> None:
    links = tmp_path / "c.links"
    expected = [("A cat.", LinkLine("0-0", links, 1)), ("A dog.", LinkLine("4-4", links, 5))]
    assert read(tmp_path, text, "0-0\n1-1\n2-2\n3-3\n4-4\n", name) == expected


def test_unequal_lengths_are_refused(tmp_path: Path) -> None:
    text = "A cat.\tEine Katze.\nA dog.\tEin Hund.\n"
    with pytest.raises(PrealignError, match=r"c\.tsv goes on where .*c\.links ends, after 1 pairs"):
        read(tmp_path, text, "0-0\n")
    with pytest.raises(PrealignError, match=r"c\.links goes on where .*c\.tsv ends, after 2 pairs"):
        read(tmp_path, text, "0-0\n\n0-0\n")

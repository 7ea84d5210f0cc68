"""Moses's lexical tables: which file is which direction, and what is wrong with a line."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from prealign.dictionary.entries import Entry
from prealign.dictionary.imports import read_entries
from prealign.errors import PrealignError

# Source German (Moses's f), target English (its e): europa is "europe" in 0.9 of its links.
F2E = "europe europa 0.9000000\neuropean europa 0.1000000\nbank bank 1.0000000\nNULL doch 1.0000000\n"
E2F = "europa europe 0.8000000\neuropa european 0.2500000\nbank bank 0.5000000\ndoch NULL 0.0100000\n"


@pytest.mark.parametrize("named", ["lex.f2e", "lex.e2f"])
def test_both_tables_are_read_whichever_is_named(tmp_path: Path, named: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "lex.f2e").write_text(F2E)
    (tmp_path / "lex.e2f").write_text(E2F)
    with caplog.at_level(logging.INFO, logger="prealign"):
        entries = read_entries(tmp_path / named)
    assert sorted(entries, key=lambda e: (e.source, e.target)) == [
        Entry("bank", "bank", 1, 1.0, 0.5),
        Entry("europa", "europe", 1, 0.9, 0.8),
        Entry("europa", "european", 1, 0.1, 0.25),
    ]
    assert caplog.text.count("left out 1 pairs with NULL") == 2


def test_a_missing_partner_is_estimated(tmp_path: Path) -> None:
    path = tmp_path / "de-en.lex.f2e.gz"
    path.write_bytes(gzip.compress(b"bank bank 0.75\nbank ufer 0.25\nshore ufer 0.75\nbench bank 0.25\n"))
    # bank competes for "bank" with ufer: 0.75 / (0.75 + 0.25)
    assert {(e.source, e.target): (e.p_target_given_source, e.p_source_given_target) for e in read_entries(path)} == {
        ("bank", "bank"): (0.75, 0.75),
        ("ufer", "bank"): (0.25, 0.25),
        ("ufer", "shore"): (0.75, 1.0),
        ("bank", "bench"): (0.25, 1.0),
    }
    backward = tmp_path / "alone.e2f"
    backward.write_text("bank bank 0.75\nufer bank 0.25\n")
    assert read_entries(backward) == [Entry("bank", "bank", 1, 1.0, 0.75), Entry("ufer", "bank", 1, 1.0, 0.25)]


FAULTS = [
    ("europe europa\n", "lex.f2e, line 1: 'europe europa' is not two words and a probability"),
    ("a b 0.5\n\nc d e 0.5\n", "lex.f2e, line 3: 'c d e 0.5' is not two words"),
    ("europe europa often\n", "lex.f2e, line 1: 'often' is not a probability"),
    ("europe europa 1.5\n", "a probability lies between 0 and 1, not at 1.5"),
    ("europe europa nan\n", "a probability lies between 0 and 1, not at nan"),
    ("a b 0.5\na b 0.5\n", "lex.f2e, line 2: the pair 'b', 'a' stands in the table twice"),
    ("", "lex.f2e has no entries"),
    ("NULL b 1\n", "has no entries: the file is empty, or holds nothing but NULL"),
]


@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_faults_are_told_with_file_and_line(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "lex.f2e").write_text(text)
    with pytest.raises(PrealignError) as caught:
        read_entries(tmp_path / "lex.f2e")
    assert sentence in str(caught.value)


def test_tables_of_two_trainings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lex.f2e").write_text("europe europa 1\n")
    (tmp_path / "lex.e2f").write_text("europa europe 1\nbank bank 1\n")
    with pytest.raises(PrealignError, match="do not hold the same pairs: 'bank bank' stands in one of them"):
        read_entries(tmp_path / "lex.e2f")

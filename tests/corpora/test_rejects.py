"""The file that shows what was left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from prealign.corpora import rejects
from prealign.corpora.rejects import rejects_beside, rejects_file


def test_lines_are_whole_and_limited_per_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "PER_REASON", 2)
    path = tmp_path / "new" / "r.tsv"
    with rejects_file(path) as shown:
        assert not path.exists()
        assert shown is not None
        for number in range(5):
            shown.add("empty", "a.tsv", number, "tab\t, line\r\n", "\ud800 half")
        shown.add("long", "b.tsv", 7, "x" * 5000, "")
    assert path.read_text(encoding="utf-8").split("\n") == [
        "reason\tfile\tline\tsource\ttarget",
        "empty\ta.tsv\t0\ttab\\t, line\\r\\n\t\\ud800 half",
        "empty\ta.tsv\t1\ttab\\t, line\\r\\n\t\\ud800 half",
        "long\tb.tsv\t7\t" + "x" * 1000 + "\t",
        "",
    ]


def test_nothing_stays_of_a_file_that_was_not_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), rejects_file(tmp_path / "r.tsv"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with rejects_file(None) as shown:
        assert shown is None


def test_place() -> None:
    assert rejects_beside(Path("dictionary/en--de")) == Path("dictionary/en--de.rejects.tsv")

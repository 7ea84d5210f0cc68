"""Fingerprints of inputs that are remembered: when they may be, and when a file must be read again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from prealign import files
from prealign.stages import inputs
from prealign.stages.inputs import Inputs


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file and a folder of two, all of them large and settled."""
    monkeypatch.setattr(inputs, "LARGE", 4)
    monkeypatch.setattr(inputs, "SETTLED_S", 0.0)
    folder = tmp_path / "data"
    (folder / "parts").mkdir(parents=True)
    for name in ("text.txt", "parts/a.txt", "parts/b.txt"):
        (folder / name).write_text(f"some text of {name}\n", encoding="utf-8")
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes are read."""
    seen: list[str] = []
    plain = files.fingerprint

    def fingerprint(path: Path, of_file=None) -> str:
        if path.is_file() and of_file is None:
            seen.append(path.name)
        return plain(path, of_file)

    monkeypatch.setattr(files, "fingerprint", fingerprint)
    return seen


def asked(run: Path, *paths: Path) -> list[str]:
    """What a command finds out."""
    found = Inputs(run)
    told = [found.fingerprint(path) for path in paths]
    found.write()
    return told


def test_a_second_command_reads_nothing_and_finds_the_same(corpus: Path, read: list[str], tmp_path: Path) -> None:
    paths = (corpus / "text.txt", corpus / "parts")
    expected = [files.fingerprint(path) for path in paths]
    read.clear()
    assert asked(tmp_path, *paths) == expected
    assert sorted(read) == ["a.txt", "b.txt", "text.txt"]
    read.clear()
    assert asked(tmp_path, *paths) == expected
    assert read == []
    kept = json.loads((tmp_path / "inputs.json").read_text(encoding="utf-8"))["files"]
    assert list(kept) == sorted(str(corpus / name) for name in ("parts/a.txt", "parts/b.txt", "text.txt"))


def test_a_change_is_seen_also_when_size_and_date_are_as_before(corpus: Path, read: list[str], tmp_path: Path) -> None:
    path = corpus / "text.txt"
    (before,), seen = asked(tmp_path, path), path.stat()
    path.write_text("SOME text of text.txt\n", encoding="utf-8")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (seen.st_size, seen.st_mtime_ns)
    (after,) = asked(tmp_path, path)
    assert after != before
    assert after == files.fingerprint(path)


def test_what_changed_just_now_and_what_is_small_is_read_every_time(
    corpus: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "SETTLED_S", 3600.0)
    for _ in range(2):
        asked(tmp_path, corpus / "text.txt")
    monkeypatch.setattr(inputs, "SETTLED_S", 0.0)
    monkeypatch.setattr(inputs, "LARGE", 1000)
    asked(tmp_path, corpus / "text.txt")
    assert read == ["text.txt"] * 3
    assert not (tmp_path / "inputs.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": []}', '{"files": {"x": 1}}', '{"files": {"x": {}}}'])
def test_a_broken_file_is_as_good_as_none(corpus: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "inputs.json").write_text(text, encoding="utf-8")
    assert asked(tmp_path, corpus / "text.txt") == [files.fingerprint(corpus / "text.txt")]
    assert asked(tmp_path, corpus / "text.txt") == [files.fingerprint(corpus / "text.txt")]

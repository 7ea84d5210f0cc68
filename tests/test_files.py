"""Outputs are whole or invisible; content alone decides a fingerprint."""

from __future__ import annotations

import pytest

from prealign import files
from prealign.errors import PrealignError


def test_a_failed_write_leaves_nothing_and_keeps_the_older_output(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    (place / "kept").write_text("old")

    def fail():
        with files.whole(place) as folder:
            folder.mkdir()
            (folder / "half").write_text("new")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (place / "kept").read_text() == "old"


def test_a_finished_folder_replaces_the_older_one(tmp_path):
    for text in ("one", "two"):
        with files.whole(tmp_path / "out") as folder:
            folder.mkdir()
            (folder / text).write_text(text)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_fingerprint_sees_content_and_relative_names_only(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "file").write_text("same")
    assert files.fingerprint(tmp_path / "a") == files.fingerprint(tmp_path / "b")
    (tmp_path / "b" / "inner" / "file").write_text("other")
    assert files.fingerprint(tmp_path / "a") != files.fingerprint(tmp_path / "b")
    (tmp_path / "b" / "inner" / "file").rename(tmp_path / "b" / "inner" / "renamed")
    (tmp_path / "b" / "inner" / "renamed").write_text("same")
    assert files.fingerprint(tmp_path / "a") != files.fingerprint(tmp_path / "b")


def test_broken_and_missing_json_are_told_in_a_sentence(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(PrealignError, match=r"x\.json is not valid JSON"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(PrealignError, match=r"y\.json does not exist"):
        files.read_json(tmp_path / "y.json")

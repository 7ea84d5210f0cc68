"""Programs as subprocesses: the files they are given, the files they give back, and what is said when they fail.

The programs are small scripts with the options and formats of the real ones; the real eflomal runs where it is found.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from prealign.alignment.aligners import open_aligner
from prealign.alignment.parallel_words import ParallelWords
from prealign.alignment.programs import find_program
from prealign.config.dictionary import DictionarySettings
from prealign.errors import PrealignError

EFLOMAL = """
import argparse, pathlib
known = argparse.ArgumentParser()
for flag in ("-s", "-t", "-f", "-r", "--priors", "--model"):
    known.add_argument(flag)
known.add_argument("--overwrite", action="store_true")
given = known.parse_args()
sides = [pathlib.Path(name).read_text(encoding="utf-8").splitlines() for name in (given.s, given.t)]
pathlib.Path(LOG).write_text(repr((sides, given.priors)), encoding="utf-8")
forward = [" ".join(f"{j}-{j}" for j in range(min(len(s.split()), len(t.split())))) for s, t in zip(*sides)]
pathlib.Path(given.f).write_text("\\n".join(forward) + "\\n")
pathlib.Path(given.r).write_text("\\n".join("0-0" for _ in sides[0]) + "\\n")
"""
PRIORS = """
import sys
open(sys.argv[sys.argv.index("--priors") + 1], "w").write("LEX\\ta\\tb\\t1\\n")
"""
FAST_ALIGN = """
import pathlib, sys
pairs = [line.split(" ||| ") for line in pathlib.Path(sys.argv[-1]).read_text(encoding="utf-8").splitlines()]
assert all(len(pair) == 2 for pair in pairs) and sys.argv[1:4] == ["-d", "-o", "-v"]
for source, target in pairs:
    sys.stderr.write(".")
    print(f"0-{len(target.split()) - 1}" if "-r" in sys.argv else f"{len(source.split()) - 1}-0")
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a script on the PATH under a program's name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, text: str) -> None:
        log = f"LOG = {str(tmp_path / 'log')!r}\n"
        (folder / name).write_text(f"#!{sys.executable}\n{log}{text}", encoding="utf-8")
        (folder / name).chmod(0o755)

    return put


def run(aligner: str, text: ParallelWords, method: str = "union", **folders: Path) -> list[list[list[int]]]:
    found = open_aligner(DictionarySettings.model_validate({"aligner": aligner}), **folders)
    offsets, links = found.links(text, method)  # type: ignore[arg-type]
    return [links[start:end].tolist() for start, end in pairwise(offsets)]


TEXT = ParallelWords.of([(["a", "b"], ["c", "d"]), ([], ["e"]), (["10\u00a0000", "|||"], ["ж"])])


def test_eflomal_reads_and_writes_its_files(program, tmp_path: Path) -> None:
    program("eflomal-align", EFLOMAL)
    assert run("eflomal", TEXT) == [[[0, 0], [1, 1]], [], [[0, 0]]]
    assert run("eflomal", TEXT, "intersect") == [[[0, 0]], [], [[0, 0]]]
    sides = [["a b", "10_000 ___"], ["c d", "ж"]]
    assert (tmp_path / "log").read_text(encoding="utf-8") == repr((sides, None))


def test_eflomal_keeps_priors_as_its_model(program, tmp_path: Path) -> None:
    program("eflomal-align", EFLOMAL)
    program("eflomal-makepriors", PRIORS)
    run("eflomal", TEXT, save=tmp_path / "kept")
    assert (tmp_path / "kept" / "priors").read_text(encoding="utf-8").startswith("LEX")
    run("eflomal", TEXT, model=tmp_path / "kept")
    assert str(tmp_path / "kept" / "priors") in (tmp_path / "log").read_text(encoding="utf-8")


def test_fast_align_gives_both_directions(program) -> None:
    program("fast_align", FAST_ALIGN)
    assert run("fast_align", TEXT) == [[[0, 1], [1, 0]], [], [[0, 0], [1, 0]]]
    assert run("fast_align", TEXT, "intersect") == [[], [], []]


def test_a_program_that_fails_is_quoted(program) -> None:
    program("fast_align", "import sys; sys.exit('out of memory')")
    with pytest.raises(PrealignError, match=r"fast_align ended with exit code 1\. It said last:\n  out of memory"):
        run("fast_align", TEXT)


def test_links_that_do_not_fit_the_text_are_refused(program) -> None:
    program("fast_align", "print('0-0')")
    with pytest.raises(PrealignError, match="given 2 sentence pairs and gave links for 1"):
        run("fast_align", TEXT)
    program("fast_align", "print('0-0'); print('5-0')")
    with pytest.raises(PrealignError, match="a link names source word 5, but the sentence has 2 words"):
        run("fast_align", TEXT)


def test_the_real_eflomal_finds_known_links(known_text: ParallelWords, error_rate, tmp_path: Path) -> None:
    if find_program("eflomal-align") is None:
        pytest.skip("eflomal is not installed (pip install eflomal)")
    settings = DictionarySettings(aligner="eflomal")
    saving = open_aligner(settings, save=tmp_path)
    assert error_rate(saving.links(known_text, "intersect")) < 0.2
    applying = open_aligner(settings, model=tmp_path)
    assert error_rate(applying.links(known_text, "intersect")) < 0.2

"""Word aligners that are programs of their own: eflomal and fast_align, run as subprocesses.

They are never imported (eflomal is GPL) and exchange plain files: words between single spaces, links in Pharaoh's form.
Sentence pairs with an empty side are kept from them; they stop at such lines or shift the others.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.links import Symmetrisation, parse_pharaoh
from prealign.alignment.parallel_words import Links, ParallelWords, WordPair
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

PROGRAMS = {"eflomal": "eflomal-align", "fast_align": "fast_align"}
"""Aligner -> the program that does the work."""
PRIORS = "priors"
"""File of an eflomal model: what eflomal-makepriors counted in the links of the text it was trained on."""
WHITE_SPACE = re.compile(r"\s")


def find_program(program: str) -> str | None:
    """Where a program lies: on the PATH, or beside the Python that is running (an environment not activated)."""
    return shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))


class ProgramAligner(ABC):
    """What the programs share: the files they read and write."""

    cased = False

    def __init__(self, name: str, model: Path | None = None, save: Path | None = None) -> None:
        """model: folder of a trained model to apply; save: folder for the trained model."""
        self.name, self._model, self._save = name, model, save

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        """See `aligners.Aligner.links`."""
        directions = text.directions()
        full = text.full()
        if not full.any():
            return directions.join(symmetrisation)
        with tempfile.TemporaryDirectory(prefix="prealign-") as name:
            folder = Path(name)
            self._align(folder, list(compress(text, full)))
            for direction, put in (("forward", directions.set_forward), ("backward", directions.set_backward)):
                self._read(folder / direction, text, np.flatnonzero(full).tolist(), put)
        return directions.join(symmetrisation)

    @abstractmethod
    def signature(self) -> dict[str, Any]:
        """See `aligners.Aligner.signature`."""

    @abstractmethod
    def _align(self, folder: Path, pairs: list[WordPair]) -> None:
        """Leave the files `forward` and `backward` in the folder: links of one pair a line, source first."""

    def _read(
        self, file: Path, text: ParallelWords, places: list[int], put: Callable[[int, NDArray[np.integer]], None]
    ) -> None:
        lines = file.read_text(encoding="utf-8").splitlines()
        if len(lines) != len(places):
            raise PrealignError(
                f"{self.name} was given {len(places):,} sentence pairs and gave links for {len(lines):,}, so it is not "
                "known which belong together. Run it by hand to see what it says, or choose another `aligner`."
            )
        source_words, target_words = np.diff(text.source.offsets), np.diff(text.target.offsets)
        for place, line in zip(places, lines, strict=True):
            put(place, parse_pharaoh(line, int(source_words[place]), int(target_words[place])))


class Eflomal(ProgramAligner):
    """Gibbs sampling with fertility (Östling and Tiedemann 2016). It takes no seed: runs differ a little."""

    def train(self, text: ParallelWords) -> None:
        """See `aligners.Learner.train`; its priors are counted in the links."""
        self.links(text, "intersect")

    def signature(self) -> dict[str, Any]:
        return {"name": "eflomal", "version": _version_of("eflomal"), "model": 3}

    def _align(self, folder: Path, pairs: list[WordPair]) -> None:
        for side, name in enumerate(("source", "target")):
            _write(folder / name, (_line(pair[side]) for pair in pairs))
        text = ["-s", folder / "source", "-t", folder / "target"]
        links = ["-f", folder / "forward", "-r", folder / "backward"]
        priors = [] if self._model is None else ["--priors", self._model / PRIORS]
        _run(["eflomal-align", "--overwrite", "--model", "3", *text, *links, *priors])
        if self._save is not None:
            _run(["eflomal-makepriors", *text, *links, "--priors", self._save / PRIORS])


class FastAlign(ProgramAligner):
    """IBM 2 with a prior for the diagonal (Dyer, Chahuneau, Smith 2013), its options as its authors advise."""

    def signature(self) -> dict[str, Any]:
        return {"name": "fast_align", "version": "unknown", "options": "-d -o -v"}

    def _align(self, folder: Path, pairs: list[WordPair]) -> None:
        _write(folder / "both", (f"{_line(source)} ||| {_line(target)}" for source, target in pairs))
        for name, flags in (("forward", []), ("backward", ["-r"])):
            told = _run(["fast_align", "-d", "-o", "-v", *flags, "-i", folder / "both"])
            (folder / name).write_bytes(told)


def _line(words: list[str]) -> str:
    """Words between spaces. White space inside a word, which some segmenters allow, becomes an underscore, and so does
    the separator of fast_align's files: the line must have as many words as the sentence."""
    return " ".join("___" if word == "|||" else WHITE_SPACE.sub("_", word) for word in words)


def _write(path: Path, lines: Any) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)


def _run(command: list[Any]) -> bytes:
    """Run a program to its end; what it wrote to its standard output."""
    program = find_program(command[0])
    if program is None:
        raise PrealignError(f"{command[0]} was not found, neither on the PATH nor beside {sys.executable}.")
    log.debug("running %s", " ".join(map(str, command)))
    told = subprocess.run([program, *map(str, command[1:])], capture_output=True, check=False)
    if told.returncode:
        last = told.stderr.decode("utf-8", errors="replace").strip().splitlines()[-5:]
        raise PrealignError(
            f"{command[0]} ended with exit code {told.returncode}. It said last:\n  " + "\n  ".join(last or ["nothing"])
        )
    return told.stdout


def _version_of(package: str) -> str:
    """The version of the package beside the running Python; the programs themselves do not tell theirs."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"

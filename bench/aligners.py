"""Word aligners side by side: alignment error rate, CPU and wall seconds, peak memory.

Every aligner links the gold sentences together with the same training text, both directions, in a process of its own,
on the same files (lower-cased, segmented, one sentence per line). Ours is always there; sil-thot's when it is
installed (`pip install 'prealign[thot]'`), `eflomal-align` and `fast_align` when they are on the PATH.

    python bench/aligners.py --data DATA --pairs 10000 100000 --gold en-fr en-ru en-zh

Text is repeated where more pairs are asked for than there are: types and pairs of types then grow no further. The
neural aligners need a trained encoder and are not here.

Times include starting Python and reading the text, and for ours loading the compiled code (compiled once before).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prealign.alignment.gold_links import read_gold, score_links
from prealign.alignment.links import METHODS, format_pharaoh, parse_pharaoh, symmetrise
from prealign.alignment.parallel_words import ParallelWords
from prealign.alignment.statistical import StatisticalAligner, align
from prealign.alignment.thot_models import CHAINS, train
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import Corpus, read_pairs
from prealign.corpora.words import Segmenter
from prealign.draws import key

Links = list[NDArray[np.int32]]


class Gold(NamedTuple):
    """Gold sentences, already segmented, and the corpora of the same language pair, if there are any."""

    links: str
    corpora: list[str]


GOLD = {
    "en-fr": Gold("hansards.test", ["newstest.2009-2012", "bible", "multi30k.train", "tatoeba"]),
    "en-ru": Gold("xlwa.test", ["newstest.2012-2016", "bible", "tatoeba"]),
    "en-it": Gold("xlwa.test", []),
    "en-nl": Gold("xlwa.test", []),
    "en-pt": Gold("xlwa.test", []),
    "en-zh": Gold("tsinghua.test", ["newstest.2017-2018", "bible", "tatoeba"]),
}
COLUMNS = ("gold", "pairs", "aligner", "CPU s", "wall s", "peak MB", "forward", "backward", *METHODS)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, help="folder with align/ and parallel/")
    arguments.add_argument("--pairs", type=int, nargs="+", default=[10_000, 30_000, 100_000], help="training pairs")
    arguments.add_argument("--gold", nargs="+", choices=GOLD, default=["en-fr"])
    arguments.add_argument("--aligners", nargs="+", help="only these; default: all that are installed")
    arguments.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments.add_argument("--worker", nargs=2, metavar=("ALIGNER", "FOLDER"), help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.worker:
        aligner, folder = options.worker
        if aligner == "prealign":
            _prealign(Path(folder))
        else:
            _thot(Path(folder), aligner)
        return
    if options.data is None:
        arguments.error("--data is needed")
    align([(["compile"], ["kernels"])])
    aligners = options.aligners or [name for name in COMMANDS if _is_installed(name)]
    rows = []
    print(" | ".join(COLUMNS))
    for language_pair in options.gold:
        for n_pairs in options.pairs if GOLD[language_pair].corpora else [0]:
            with tempfile.TemporaryDirectory() as folder:
                sure, possible = write_text(options.data, language_pair, n_pairs, Path(folder))
                for aligner in aligners:
                    row = [language_pair, n_pairs, aligner, *measure(aligner, Path(folder), sure, possible)]
                    rows.append(dict(zip(COLUMNS, row, strict=True)))
                    print(" | ".join(str(value) for value in row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def write_text(data: Path, language_pair: str, n_pairs: int, folder: Path) -> tuple[Links, Links]:
    """Write `source` and `target`, the gold sentences first; return the gold links, sure and possible."""
    gold = GOLD[language_pair]
    source_language, target_language = language_pair.split("-")
    segmenters = Segmenter(source_language), Segmenter(target_language)
    known = read_gold(data / "align" / f"{gold.links}.{language_pair}.tsv")
    assert known.words is not None
    with (
        (folder / "source").open("w", encoding="utf-8") as source,
        (folder / "target").open("w", encoding="utf-8") as target,
    ):
        for left, right in known.words:
            source.write(" ".join(left).lower() + "\n")
            target.write(" ".join(right).lower() + "\n")
        corpora = [Corpus(data / "parallel" / f"{name}.{language_pair}.tsv.xz") for name in gold.corpora]
        read = read_pairs(corpora, source_language, target_language, Drops())
        pairs = sorted(read, key=lambda pair: key("bench", pair.source, pair.target))
        for pair in islice(cycle(pairs), n_pairs):
            source.write(" ".join(segmenters[0].words(pair.source.lower())) + "\n")
            target.write(" ".join(segmenters[1].words(pair.target.lower())) + "\n")
    return known.sure, known.possible


def measure(aligner: str, folder: Path, sure: Links, possible: Links) -> list[float]:
    """Run one aligner: CPU and wall seconds, peak megabytes, then the error rates in per cent."""
    seconds = wall = memory = 0.0
    for command in COMMANDS[aligner](folder):
        told = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *command], check=True, stdout=subprocess.PIPE)
        used = json.loads(told.stdout.splitlines()[-1])
        seconds, wall, memory = seconds + used["cpu_s"], wall + used["wall_s"], max(memory, used["peak_mb"])
    directions = []
    for name in ("forward", "backward"):
        with (folder / name).open(encoding="utf-8") as file:
            directions.append([parse_pharaoh(line) for line, _ in zip(file, sure, strict=False)])
    joined = [_join(*directions, method, folder) for method in METHODS]
    rates = [100 * score_links(links, sure, possible).alignment_error_rate for links in (*directions, *joined)]
    return [round(value, 1) for value in (seconds, wall, memory, *rates)]


def _join(forward: Links, backward: Links, method: str, folder: Path) -> Links:
    """Symmetrise the gold sentences' links; all aligners here give a word at most one partner in a direction."""
    sides = []
    for name, links, column in (("target", forward, 1), ("source", backward, 0)):
        with (folder / name).open(encoding="utf-8") as file:
            lengths = [len(line.split()) for line, _ in zip(file, links, strict=False)]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        partners = np.full(offsets[-1], -1, dtype=np.int32)
        for start, of_pair in zip(offsets[:-1], links, strict=True):
            partners[start + of_pair[:, column]] = of_pair[:, 1 - column]
        sides.append((partners, offsets))
    (ahead, target_offsets), (back, source_offsets) = sides
    offsets, links = symmetrise(ahead, back, source_offsets, target_offsets, method)
    return np.split(links, offsets[1:-1])


def _words(folder: Path, name: str) -> Iterator[list[str]]:
    with (folder / name).open(encoding="utf-8") as file:
        for line in file:
            yield line.split()


def _prealign(folder: Path) -> None:
    text = ParallelWords.of(zip(_words(folder, "source"), _words(folder, "target"), strict=True))
    aligner = StatisticalAligner(text)
    aligner.train()
    forward, backward = aligner.directions()
    for name, side, partners in (("forward", text.target, forward), ("backward", text.source, backward)):
        offsets, every = side.offsets.tolist(), partners.tolist()
        with (folder / name).open("w", encoding="utf-8") as file:
            for start, end in pairwise(offsets):
                links = [(partner, place) for place, partner in enumerate(every[start:end]) if partner >= 0]
                if name == "backward":
                    links = [(place, partner) for partner, place in links]
                file.write(" ".join(f"{i}-{j}" for i, j in links) + "\n")


def _thot(folder: Path, aligner: str) -> None:
    for name in ("forward", "backward"):
        sides = ("source", "target") if name == "forward" else ("target", "source")
        pairs = list(zip(*(_words(folder, side) for side in sides), strict=True))
        trained = train(aligner, pairs)
        with (folder / name).open("w", encoding="utf-8") as file:
            for source, target in pairs:
                links = np.argwhere(trained.get_best_alignment(source, target)[1].to_numpy())
                file.write(format_pharaoh(links if name == "forward" else links[:, ::-1]) + "\n")


def _worker(aligner: str) -> Callable[[Path], list[list[str]]]:
    return lambda folder: [[sys.executable, __file__, "--worker", aligner, str(folder)]]


def _eflomal(folder: Path) -> list[list[str]]:
    names = (("-s", "source"), ("-t", "target"), ("-f", "forward"), ("-r", "backward"))
    files = [part for flag, name in names for part in (flag, str(folder / name))]
    return [["eflomal-align", "--overwrite", "--model", "3", *files]]


def _fast_align(folder: Path) -> list[list[str]]:
    def command(flags: str, name: str) -> list[str]:
        both = f"paste -d '\t' {folder}/source {folder}/target | sed 's/\t/ ||| /' > {folder}/both"
        return ["sh", "-c", f"{both} && fast_align -d -o -v {flags} -i {folder}/both > {folder}/{name} 2> /dev/null"]

    return [command("", "forward"), command("-r", "backward")]


COMMANDS: dict[str, Callable[[Path], list[list[str]]]] = {
    "prealign": _worker("prealign"),
    "eflomal": _eflomal,
    "fast_align": _fast_align,
    **{name: _worker(name) for name in CHAINS},
}
"""What to run for each aligner, so that the files `forward` and `backward` stand in the folder afterwards."""
LAUNCHER = """
import json, os, sys, time
begin = time.perf_counter()
_, status, used = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
wall = time.perf_counter() - begin
print(json.dumps(dict(cpu_s=used.ru_utime + used.ru_stime, wall_s=wall, peak_mb=used.ru_maxrss / 1024)))
sys.exit(status != 0)
"""
"""Starts a command from a small process: a child's peak memory counts that of the process it was forked from."""


def _is_installed(aligner: str) -> bool:
    programs = {"eflomal": "eflomal-align", "fast_align": "fast_align"}
    if aligner in programs:
        return shutil.which(programs[aligner]) is not None
    return aligner == "prealign" or importlib.util.find_spec("thot") is not None


if __name__ == "__main__":
    main()

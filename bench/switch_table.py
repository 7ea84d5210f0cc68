"""What compiling a switching table costs: CPU seconds, memory, disk, and how long a worker takes to load it.

    python bench/switch_table.py [--sources 100000] [--data DATA]

One source language and four target languages, one translation in each for every source: 100,000 sources give 400,000
translations. With `--data` (or $PREALIGN_DATA) the words are the most frequent ones of its monolingual corpora. Without
it the sources are those of Python's documentation, and the translations are other words of it, spelt with letters of
the target's script. Where a corpus has too few words, neighbouring words of the text are joined to entries of two.
Real words and real text then, but translations drawn by lot: what is measured does not depend on their meaning.

The tokenizers have 32,000 pieces and are trained on the same text in all five languages. Every table is compiled in a
process of its own, so that its peak memory is its own; CPU seconds count that process only, on one core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import platform
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from prealign import draws
from prealign.codeswitch.table import CodeSwitchTable
from prealign.config.settings import TokenizerSettings
from prealign.corpora.documents import read_lines
from prealign.corpora.python_docs import python_documents
from prealign.corpora.words import Segmenter
from prealign.dictionary.dictionary import Dictionary
from prealign.tokenizer.train import train_tokenizer

CORPORA = {"en": "wikipedia", "de": "commonvoice", "fr": "assemblee", "ru": "eltec", "zh": "wikipedia"}
FIRST_LETTERS = {"de": "a", "fr": "à", "ru": "а", "zh": "一"}
"""Made-up spellings: the letters a to z become 26 letters from this one on."""
CHARACTERS = 6_000_000
"""So much text of each language is used."""
PIECES = 32_000
KINDS = {"byte-level BPE": "bpe", "SentencePiece unigram": "unigram"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sources", type=int, default=100_000, help="source words and phrases")
    data = os.environ.get("PREALIGN_DATA")
    arguments.add_argument("--data", type=Path, default=Path(data) if data else None, help="folder with mono/")
    arguments.add_argument("--folder", type=Path, help="keep tokenizers, dictionaries and tables here")
    options = arguments.parse_args()

    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "dictionaries").is_dir():
            prepare(options.data, options.sources, folder)
        for kind, name in KINDS.items():
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as compiler:
                row = compiler.submit(compiled, folder, name).result()
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as worker:
                row |= worker.submit(loaded, folder / f"table-{name}").result()
            print(f"\n{kind}")
            for what, value in row.items():
                print(f"  {what:44}{value}")


def compiled(folder: Path, name: str) -> dict[str, Any]:
    """Compile and save one table; what that cost."""
    dictionaries = [Dictionary.read(folder / "dictionaries" / code, "en", code) for code in FIRST_LETTERS]
    tokenizer = AutoTokenizer.from_pretrained(folder / name)
    CodeSwitchTable.compile([Dictionary.from_pairs([("dog", "Hund")], "en", "de")], tokenizer)  # compiled code is read
    before = peak_mb()
    began = time.process_time()
    table = CodeSwitchTable.compile(dictionaries, tokenizer)
    spent = time.process_time() - began
    table.save(folder / f"table-{name}")
    report = table.report
    return {
        "sources, target languages": f"{report.sources:,}, {len(report.translations)}",
        "translations": f"{report.kept:,}",
        "forms, keys": f"{report.forms:,}, {report.keys:,}",
        "self-test": f"{report.match_rate:.1%}",
        "fingerprint": table.fingerprint,
        "compiling, CPU s": f"{spent:.1f}",
        "peak memory, MB (before compiling)": f"{peak_mb():.0f} ({before:.0f})",
        "arrays, MB": f"{report.bytes / 1e6:.1f}",
        "arrays, bytes per translation": f"{report.bytes / report.kept:.0f}",
    }


def loaded(folder: Path) -> dict[str, Any]:
    """Load a table in a fresh process; once to import what is needed, then timed."""
    CodeSwitchTable.load(folder)
    began = time.perf_counter()
    table = CodeSwitchTable.load(folder)
    load_ms = (time.perf_counter() - began) * 1000
    sent = pickle.dumps(table)
    began = time.perf_counter()
    pickle.loads(sent)
    return {
        "loading, ms": f"{load_ms:.1f}",
        "sent to a worker, bytes; received, ms": f"{len(sent)}; {(time.perf_counter() - began) * 1000:.1f}",
        "on disk, MB": f"{sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f}",
    }


def peak_mb() -> float:
    """The most memory that this process has held (Linux; `getrusage` would count the parent before exec as well)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def prepare(data: Path | None, sources: int, folder: Path) -> None:
    """Write four dictionaries and two tokenizers."""
    texts = {code: list(text_of(code, data)) for code in CORPORA}
    entries = {code: words(code if data else "en", lines, sources) for code, lines in texts.items()}
    print(f"{sum(' ' not in word for word in entries['en']):,} of the {len(entries['en']):,} sources are single words.")
    for code in FIRST_LETTERS:
        order = draws.Permutation(len(entries[code]), draws.key("bench translations", code))
        translations = [entries[code][place] for place in order(np.arange(len(entries["en"])) % len(entries[code]))]
        pairs = [(a, b) for a, b in zip(entries["en"], translations) if a != b]
        (folder / "dictionaries").mkdir(parents=True, exist_ok=True)
        Dictionary.from_pairs(pairs, "en", code).write(folder / "dictionaries" / code)
    together = [line for lines in texts.values() for line in lines]
    byte_level(together).save_pretrained(folder / "bpe")
    settings = TokenizerSettings(model="unigram", vocab_size=PIECES)
    train_tokenizer(iter(together), settings, folder / "unigram")


def text_of(code: str, data: Path | None) -> Iterator[str]:
    """Some text of a language, or a made-up spelling of English."""
    if data is not None:
        lines: Iterable[str] = (line for _, line in read_lines(data / "mono" / f"{CORPORA[code]}.{code}.txt.xz"))
    else:
        first = ord(FIRST_LETTERS.get(code, "a"))
        spelt = {ord("a") + place: first + place for place in range(26)}
        lines = (document.lower().translate(spelt) for document in python_documents())
    left = CHARACTERS
    for line in lines:
        yield line
        left -= len(line)
        if left < 0:
            break


def words(code: str, lines: list[str], count: int) -> list[str]:
    """The most frequent words of a text, then its most frequent pairs of neighbouring words."""
    segmenter = Segmenter(code)
    join = "" if code == "zh" else " "
    singles: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for line in lines:
        found = segmenter.words(line)
        singles.update(found)
        pairs.update(f"{a}{join}{b}" for a, b in pairwise(found) if a.isalpha() and b.isalpha())
    usable = [word for word, _ in singles.most_common() if re.fullmatch(r"[^\W\d_]+", word)]
    return list(dict.fromkeys(islice((*usable, *(pair for pair, _ in pairs.most_common())), 0, 2 * count)))[:count]


def byte_level(texts: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", name_or_path="bench BPE"
    )


if __name__ == "__main__":
    main()

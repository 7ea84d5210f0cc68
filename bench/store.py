"""The token store: how fast it is written, against `datasets.map`, and how fast random rows are read from it.

    python bench/store.py --text TEXT.txt --tokenizer FOLDER --workers 2

Writing: the same text, tokenizer and number of processes, in turns; every candidate in a process of its own. Ours is
`write_store` from the text file on, with duplicates dropped and the split drawn; theirs is `load_dataset("text")` and
`map` with batches of 1,000, timed from the loaded dataset on (that is, without reading the text). Reading: rows of
1,025 tokens at random places, as int64 arrays. `datasets` is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prealign import draws
from prealign.config.settings import Recipe
from prealign.corpora.drops import Drops
from prealign.corpora.language_text import language_documents, n_bytes
from prealign.corpora.store import TokenStore
from prealign.corpora.store_writer import write_store
from prealign.tokenizer.load import load_tokenizer

ROW = 1025
ROWS = 20_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--text", type=Path, required=True, help="a plain .txt file, one document per line")
    arguments.add_argument("--tokenizer", type=Path, nargs="+", required=True)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--repeats", type=int, default=2)
    arguments.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.worker:
        candidate, folder, tokenizer = options.worker
        print(json.dumps(WRITERS[candidate](options.text, Path(tokenizer), Path(folder), options.workers)))
        return
    candidates = [name for name in WRITERS if name == "prealign" or importlib.util.find_spec("datasets")]
    print("tokenizer | candidate | tokens | wall s | CPU s | million tokens per wall s | per CPU s")
    with tempfile.TemporaryDirectory() as scratch:
        for tokenizer in options.tokenizer:
            for repeat in range(options.repeats):
                for candidate in candidates:
                    folder = Path(scratch) / f"{candidate}-{tokenizer.name}-{repeat}"
                    row = _apart(candidate, folder, tokenizer, options)
                    print(" | ".join([str(tokenizer), candidate, *row]), flush=True)
        store = next(Path(scratch).glob("prealign-*"))
        dataset = next(Path(scratch).glob("datasets-*"), None)
        read_rows(store, dataset)


def _apart(candidate: str, folder: Path, tokenizer: Path, options: argparse.Namespace) -> list[str]:
    """Run one writer in a process of its own."""
    command = [sys.executable, __file__, "--text", str(options.text), "--tokenizer", str(tokenizer)]
    command += ["--workers", str(options.workers), "--worker", candidate, str(folder), str(tokenizer)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    tokens, wall, cpu = json.loads(done.stdout.splitlines()[-1])
    return [f"{tokens:,}", f"{wall:.1f}", f"{cpu:.1f}", f"{tokens / wall / 1e6:.2f}", f"{tokens / cpu / 1e6:.2f}"]


def _clock() -> NDArray[np.float64]:
    """Wall and CPU seconds of this process and those that it has started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)])


def _prealign(text: Path, tokenizer: Path, folder: Path, workers: int) -> list[float]:
    opened = load_tokenizer(tokenizer)
    recipe = Recipe.model_validate({"data": str(text.parent), "languages": {"en": {"text": [text.name]}}})

    def documents(drops: Drops) -> Iterator[tuple[str, int]]:
        return ((document, n_bytes(recipe, "en", document)) for document in language_documents(recipe, "en", drops))

    start = _clock()
    found = write_store(folder, {"en": documents}, opened, validation_share=0.01, seed=1, workers=workers)
    used = _clock() - start
    return [sum(split["tokens"] for split in found["languages"]["en"].values()), *used.tolist()]


def _datasets(text: Path, tokenizer: Path, folder: Path, workers: int) -> list[float]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    opened = load_tokenizer(tokenizer)
    end = opened.eos_token_id

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        ids = opened(batch["text"], add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return {"input_ids": [[*one, end] for one in ids]}

    rows = load_dataset(
        "text", data_files=str(text), split="train", cache_dir=str(folder.with_name(f"cache-{folder.name}"))
    )
    start = _clock()
    made = rows.map(encode, batched=True, num_proc=workers, remove_columns=["text"])
    used = _clock() - start
    made.save_to_disk(str(folder))
    tokens = sum(len(batch["input_ids"].combine_chunks().flatten()) for batch in made.with_format("arrow").iter(1000))
    return [tokens, *used.tolist()]


WRITERS: dict[str, Callable[[Path, Path, Path, int], list[float]]] = {"prealign": _prealign, "datasets": _datasets}


def read_rows(store: Path, dataset: Path | None) -> None:
    """Print million tokens per CPU second of random rows."""
    stream = TokenStore(store).stream("en", "train")
    plain = np.memmap(store / "en.train.tokens.bin", dtype=stream.tokens.dtype, mode="r").view(np.ndarray)
    places = draws.Permutation(len(stream) - ROW, draws.key("bench"))(np.arange(ROWS)).tolist()
    readers: dict[str, Callable[[int], NDArray[np.int64]]] = {
        "plain memory map": lambda place: plain[place : place + ROW].astype(np.int64),
        "TokenStream.window": lambda place: stream.window(place, ROW).astype(np.int64),
    }
    if dataset is not None:
        from datasets import load_from_disk

        rows = load_from_disk(str(dataset)).with_format("numpy", columns=["input_ids"])
        readers["datasets, one document at a time"] = lambda place: rows[place % len(rows)]["input_ids"]
    print("\nreader | million tokens per CPU s, best of 3")
    for name, read in readers.items():
        some = places if "datasets" not in name else places[: ROWS // 10]
        best = max(_speed(read, some) for _ in range(3))
        print(f"{name} | {best:.0f}")


def _speed(read: Callable[[int], NDArray[np.int64]], places: list[int]) -> float:
    start, tokens = time.process_time(), 0
    for place in places:
        tokens += len(read(place))
    return tokens / (time.process_time() - start) / 1e6


if __name__ == "__main__":
    main()

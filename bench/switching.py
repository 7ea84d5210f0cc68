"""How fast switching is: tokens per second on one core, beside the reference algorithm and a plain copy.

    python bench/switching.py [--seconds 3]

Text is the documentation of the running Python, the tokenizer a byte-level BPE trained on it, and the dictionary 50,000
entries from words of that text to others. Batches are taken from all over the text, so that none is warm when its turn
comes (timing one batch again and again doubles the figure). Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from prealign import draws
from prealign.codeswitch.collator import CodeSwitchCollator
from prealign.codeswitch.switch import switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.corpora.python_docs import python_documents
from prealign.dictionary.dictionary import Dictionary

RATIO = 0.05
ENTRIES = 50_000
TURNS = 20
SHAPES = ((16, 1024), (64, 2048))

Rows = list[NDArray[np.uint16]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3.0, help="CPU seconds per measurement")
    seconds = arguments.parse_args().seconds
    torch.set_num_threads(1)

    texts = list(python_documents())
    tokenizer = train(texts)
    dictionary = dictionary_of(texts)
    began = time.process_time()
    table = CodeSwitchTable.compile([dictionary], tokenizer)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{table.report}\ncompiled in {time.process_time() - began:.1f} CPU s")
    store = np.concatenate([np.array([*row, 2], dtype=np.uint16) for row in tokenizer(texts)["input_ids"]])
    print(f"{len(store):,} tokens of text\n")

    print(f"{'million tokens per second':38}" + "".join(f"{f'{rows} x {length}':>14}" for rows, length in SHAPES))
    results: dict[str, list[float]] = {}
    for rows, length in SHAPES:
        for what, speed in measure(steps(table, dictionary, tokenizer, length), store, rows, length, seconds).items():
            results.setdefault(what, []).append(speed)
    for what, speeds in results.items():
        print(f"{what:38}" + "".join(f"{speed / 1e6:14.2f}" for speed in speeds))
    reference, ours = results["reference loop"], results["switch_rows, exact length"]
    collated, copied = results["CodeSwitchCollator"], results["plain copy to two int64 arrays"]
    for what, top, bottom in (
        ("switch_rows / reference loop", ours, reference),
        ("CodeSwitchCollator / reference loop", collated, reference),
        ("plain copy / switch_rows", copied, ours),
    ):
        print(f"{what:38}" + "".join(f"{a / b:13.1f}x" for a, b in zip(top, bottom)))


def steps(
    table: CodeSwitchTable, dictionary: Dictionary, tokenizer: PreTrainedTokenizerFast, length: int
) -> dict[str, Callable[[Rows, int], object]]:
    """What is measured: each takes rows and the number of the batch."""
    reference = Reference(dictionary, tokenizer)
    collate = CodeSwitchCollator(tokenizer, table, RATIO, max_length=length, seed=1)

    def exact(rows: Rows, number: int) -> object:
        keys = draws.bits(draws.key(1, "bench", number), len(rows))
        done = switch_rows(table, rows, keys=keys, ratio=RATIO, length=length)
        return torch.from_numpy(done.input_ids), torch.from_numpy(done.labels)

    def collated(rows: Rows, number: int) -> object:
        return collate([{"input_ids": row, "example": number * len(rows) + place} for place, row in enumerate(rows)])

    def copied(rows: Rows, number: int) -> object:
        ids = np.stack([row[:length] for row in rows]).astype(np.int64)
        return torch.from_numpy(ids), torch.from_numpy(ids.copy())

    return {
        "reference loop": reference,
        "switch_rows, exact length": exact,
        "CodeSwitchCollator": collated,
        "plain copy to two int64 arrays": copied,
    }


class Reference:
    """The reference algorithm, its slips mended: a Python loop over token strings with a look-up for each."""

    def __init__(self, dictionary: Dictionary, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.translations = {
            "Ġ" + source: [tokenizer(" " + entry.target)["input_ids"] for entry in entries]
            for source, entries in dictionary.by_source().items()
        }

    def __call__(self, rows: Rows, number: int) -> object:
        all_ids, all_labels = [], []
        for row in rows:
            ids: list[int] = []
            labels: list[int] = []
            row_ids = row.tolist()
            for token, piece in zip(row_ids, self.tokenizer.convert_ids_to_tokens(row_ids)):
                if piece in self.translations and random.random() < RATIO:
                    chosen = random.choice(self.translations[piece])
                    ids.extend(chosen)
                    labels.extend([token] + [-100] * (len(chosen) - 1))
                else:
                    ids.append(token)
                    labels.append(token)
            all_ids.append(ids[: len(row)])
            all_labels.append(labels[: len(row)])
        width = max(map(len, all_ids))
        return (
            torch.tensor([ids + [0] * (width - len(ids)) for ids in all_ids]),
            torch.tensor([labels + [-100] * (width - len(labels)) for labels in all_labels]),
        )


def measure(
    steps: dict[str, Callable[[Rows, int], object]], store: NDArray[np.uint16], rows: int, length: int, seconds: float
) -> dict[str, float]:
    """Tokens per CPU second of each step; rows are a little longer than the block, as the token store hands them out.

    The steps take turns, so that a busy machine slows all of them alike.
    """
    window = length + length // 32
    places = draws.Permutation(len(store) - window, draws.key("bench rows"))

    def batch(number: int) -> Rows:
        return [
            store[start : start + window] for start in places(np.arange(rows) + (number * rows) % (len(store) // 2))
        ]

    for step in steps.values():
        step(batch(0), 0)  # compiles
    spent, number = dict.fromkeys(steps, 0.0), dict.fromkeys(steps, 0)
    while min(spent.values()) < seconds:
        for what, step in steps.items():
            until = spent[what] + seconds / TURNS
            while spent[what] < until:
                number[what] += 1
                data = batch(number[what])
                began = time.process_time()
                step(data, number[what])
                spent[what] += time.process_time() - began
    return {what: number[what] * rows * length / spent[what] for what in steps}


def train(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 32,000 pieces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=32_000, special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", name_or_path="bench BPE"
    )


def dictionary_of(texts: Sequence[str]) -> Dictionary:
    """50,000 entries: the words of the text (their translations are other words of it), filled up with pairs of
    words."""
    counts = Counter(word for text in texts for word in re.findall(r"\b[a-z]{2,}\b", text))
    words = [word for word, _ in counts.most_common(ENTRIES)]
    shuffled = [
        words[place] for place in draws.Permutation(len(words), draws.key("bench words"))(np.arange(len(words)))
    ]
    pairs = [pair for pair in zip(words, shuffled) if pair[0] != pair[1]]
    shift = 1
    while len(pairs) < ENTRIES:
        pairs += [(a, b) for a, b in zip(words, shuffled[shift:]) if a != b][: ENTRIES - len(pairs)]
        shift += 1
    return Dictionary.from_pairs(pairs, "en", "de")


if __name__ == "__main__":
    main()

"""Extending a tokenizer of English for other languages: tokens per word before and after, and what English loses.

    python bench/extension.py --data CORPORA

CORPORA holds mono/wikipedia.en, mono/tydiqa-passages.{sw,ru}, mono/mlqa-passages.de and mono/wikipedia.zh (.txt.xz, a
document per line). A tenth of each new language and 2,000 other English documents are held out. Every held-out text is
also checked for the promise of `tokenizer/extend.py`: new tokens, spelt out, are the old tokens.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from prealign.config.settings import TokenizerSettings
from prealign.corpora.documents import read_lines
from prealign.tokenizer.extend import extend_tokenizer, measure, read_new_pieces
from prealign.tokenizer.train import train_tokenizer

OLD, NEW = 8_000, 4_000
TEXTS = {
    "sw": ("tydiqa-passages.sw.txt.xz", 1_900),
    "de": ("mlqa-passages.de.txt.xz", 2_000),
    "ru": ("tydiqa-passages.ru.txt.xz", 768),
    "zh": ("wikipedia.zh.txt.xz", 4_000),
}
Texts = Sequence[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    mono = parser.parse_args().data / "mono"
    english = lines(mono / "wikipedia.en.txt.xz", 0, 12_000)
    held_out = lines(mono / "wikipedia.en.txt.xz", 50_000, 52_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in ("bpe", "unigram"):
            train_tokenizer(english, TokenizerSettings(model=model, vocab_size=OLD), folder / model)
        print("| tokenizer | language | before | after | English before | after | with a new piece | broken | CPU s |")
        for model in ("bpe", "unigram"):
            for code, (file, n) in TEXTS.items():
                text = lines(mono / file, 0, n)
                cut = n * 9 // 10
                target = folder / f"{model}-{code}"
                began = time.process_time()
                extend_tokenizer(folder / model, target, {code: text[:cut]}, {"en": english[:6_000]}, OLD + NEW)
                seconds = time.process_time() - began
                tests = {code: text[cut:], "en": held_out}
                print(row(f"{model} | {code}", folder / model, target, tests), f"{seconds:.0f} |", flush=True)
        text = lines(mono / TEXTS["sw"][0], 0, 1_900)
        compare(folder, text[:1_710], {"sw": text[1_710:], "en": held_out})


def lines(path: Path, begin: int, end: int) -> list[str]:
    return [text for _, text in islice(read_lines(path), begin, end)]


def core(folder: Path) -> Any:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return found


def row(name: str, source: Path, target: Path, tests: Mapping[str, Texts]) -> str:
    """One line of the first table."""
    before, after, pieces = core(source), core(target), read_new_pieces(target)
    broken, cells = 0, [name]
    for code, texts in tests.items():
        found = measure(before, after, set(pieces), texts, code)
        cells += [f"{found['tokens_per_word_before']:.3f}", f"{found['tokens_per_word']:.3f}"]
        for text in texts:
            broken += [old for number in ids(after, text) for old in pieces.get(number, [number])] != ids(before, text)
    return f"| {' | '.join(cells)} | {found['new_pieces_per_word']:.2%} | {broken} |"


def compare(folder: Path, text: Texts, tests: Mapping[str, Texts]) -> None:
    """Other ways to give the BPE tokenizer a second language's pieces."""
    train_tokenizer(text, TokenizerSettings(model="bpe", vocab_size=4_500), folder / "alone")
    own, second = (json.loads((folder / name / "tokenizer.json").read_text()) for name in ("bpe", "alone"))
    known, model = set(own["model"]["vocab"]), own["model"]
    wanted = sorted(second["model"]["vocab"], key=second["model"]["vocab"].__getitem__)
    wanted = [piece for piece in wanted if piece not in known][:NEW]
    added = AutoTokenizer.from_pretrained(folder / "bpe")
    added.add_tokens(wanted)
    for piece in wanted:
        model["vocab"][piece] = len(model["vocab"])
    merges = {tuple(merge) for merge in model["merges"]}
    model["merges"] += [
        merge
        for merge in second["model"]["merges"]
        if tuple(merge) not in merges and {*merge, "".join(merge)} <= model["vocab"].keys()
    ]
    ways = {
        "on the old tokens": core(folder / "bpe-sw"),
        "second vocabulary behind": Tokenizer.from_str(json.dumps(own)),
        "add_tokens": added.backend_tokenizer,
        "alone": core(folder / "alone"),
    }
    print("| way | sw | en | new pieces | in use |")
    for name, tokenizer in ways.items():
        cells = [f"{measure(tokenizer, tokenizer, set(), t, code)['tokens_per_word']:.3f}" for code, t in tests.items()]
        new = set(range(OLD, tokenizer.get_vocab_size()))
        used = {number for t in text for number in ids(tokenizer, t)} & new
        print(f"| {name} | {' | '.join(cells)} | {len(new)} | {len(used) / max(1, len(new)):.0%} |")


if __name__ == "__main__":
    main()

"""A tokenizer whose ids can be read off the text, and stores made with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from prealign.corpora.drops import Drops
from prealign.corpora.store_writer import Documents, write_store

EOS = 1


class WordTokenizer:
    """Numbers as words: "7 12" -> [7, 12]; as much of a fast tokenizer as the store needs."""

    eos_token_id: int | None = EOS

    def __init__(self, size: int = 600) -> None:
        vocabulary = {"<unk>": 0, "</s>": EOS} | {str(number): number for number in range(2, size)}
        self.backend_tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        self.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size()


def numbers(start: int, documents: int) -> list[str]:
    """Documents of one to five numbers."""
    return [" ".join(str(2 + (start + n * 31 + k) % 500) for k in range(1 + n % 5)) for n in range(documents)]


def stream_of(documents: list[str]) -> Documents:
    def opened(_: Drops) -> Iterator[tuple[str, int]]:
        return ((text, len(text)) for text in documents)

    return opened


def write(
    folder: Path, tokenizer: Any = None, share: float = 0.1, seed: int = 3, workers: int = 1,
    batch_characters: int = 300, **texts: list[str],
) -> dict[str, Any]:  # fmt: skip
    streams = {code: stream_of(documents) for code, documents in (texts or {"en": numbers(0, 400)}).items()}
    return write_store(
        folder, streams, tokenizer or WordTokenizer(), validation_share=share, seed=seed, workers=workers,
        batch_characters=batch_characters,
    )  # fmt: skip


@pytest.fixture(scope="session")
def word_tokenizer() -> type[WordTokenizer]:
    """Makes a tokenizer of a given number of pieces, 600 by default."""
    return WordTokenizer


@pytest.fixture(scope="session")
def number_texts() -> Callable[[int, int], list[str]]:
    """Makes documents of one to five numbers, from a start and a count."""
    return numbers


@pytest.fixture(scope="session")
def write_texts() -> Callable[..., dict[str, Any]]:
    """Writes texts into a store, in batches of 300 characters; 400 documents of "en" by default."""
    return write

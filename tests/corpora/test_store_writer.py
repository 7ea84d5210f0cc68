"""Stores do not depend on processes, batches or interruptions; what goes wrong while writing is a sentence."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prealign.corpora import tokenise
from prealign.corpora.drops import Drops
from prealign.corpora.store import TokenStore
from prealign.corpora.store_writer import has_progress, write_store
from prealign.errors import PrealignError

Write = Callable[..., dict[str, Any]]
Texts = Callable[[int, int], list[str]]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_processes_and_batches_make_no_difference(tmp_path: Path, write_texts: Write, number_texts: Texts) -> None:
    texts = {"en": number_texts(0, 900), "de": number_texts(7, 300)}
    whole = write_texts(tmp_path / "whole", batch_characters=1 << 20, **texts)
    assert write_texts(tmp_path / "batches", batch_characters=100, **texts) == whole
    assert write_texts(tmp_path / "processes", batch_characters=2000, workers=2, **texts) == whole
    assert content(tmp_path / "batches") == content(tmp_path / "whole")
    assert content(tmp_path / "processes") == content(tmp_path / "whole")


class Cut(Exception):  # noqa: N818
    """Stands for whatever ends the process."""


@pytest.mark.parametrize("cuts", [[200], [350, 700, 1050], [899, 1199]])
def test_an_interrupted_store_goes_on_to_the_same_bytes(
    tmp_path: Path, write_texts: Write, number_texts: Texts, word_tokenizer: type[Any], cuts: list[int]
) -> None:
    texts = {"en": number_texts(0, 900), "de": number_texts(7, 300)}
    whole = write_texts(tmp_path / "whole", **texts)
    handed_out = 0

    def documents(code: str, cut: int | None) -> Callable[[Drops], Iterator[tuple[str, int]]]:
        def opened(drops: Drops) -> Iterator[tuple[str, int]]:
            nonlocal handed_out
            before = 0 if code == "en" else 900
            for number, text in enumerate(texts[code]):
                if before + number == cut:
                    raise Cut
                handed_out += 1
                yield text, len(text)

        return opened

    for cut in [*cuts, None]:
        streams = {code: documents(code, cut) for code in texts}
        arguments = {"validation_share": 0.1, "seed": 3, "batch_characters": 300}
        try:
            found = write_store(tmp_path / "cut", streams, word_tokenizer(), **arguments)
        except Cut:
            assert has_progress(tmp_path / "cut")
            continue
    assert found == whole
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    if max(cuts) > 900:
        assert handed_out < 900 * len(cuts) + 300 * 2, "a language that was finished was read again"


def test_what_was_tokenised_is_not_tokenised_again(
    tmp_path: Path, number_texts: Texts, word_tokenizer: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = number_texts(0, 900)
    seen: list[int] = []

    encode = tokenise._encode

    def counting(tokenizer: Any, texts: list[str], end: int) -> tokenise.Encoded:
        seen.append(len(texts))
        return encode(tokenizer, texts, end)

    monkeypatch.setattr(tokenise, "_encode", counting)

    def until(end: int) -> Callable[[Drops], Iterator[tuple[str, int]]]:
        def opened(_: Drops) -> Iterator[tuple[str, int]]:
            yield from ((text, len(text)) for text in documents[:end])
            if end < len(documents):
                raise Cut

        return opened

    def go(end: int) -> None:
        write_store(
            tmp_path, {"en": until(end)}, word_tokenizer(), validation_share=0.1, seed=3, batch_characters=300
        )  # fmt: skip

    with pytest.raises(Cut):
        go(600)
    marked = json.loads((tmp_path / "en.progress.json").read_text())
    there = sum(split["documents"] for split in marked["splits"].values())
    assert 400 < there <= 600
    seen.clear()
    go(900)
    assert sum(seen) == 900 - there


def test_a_full_disk_is_a_sentence_and_the_same_call_goes_on_when_there_is_room(
    tmp_path: Path, write_texts: Write, number_texts: Texts
) -> None:
    texts = {"en": number_texts(0, 2000)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # no file may grow beyond
    try:
        with pytest.raises(
            PrealignError, match=r"cannot be written \(File too large\)\. Make room and run .* [\d,]{4,} documents"
        ):
            write_texts(tmp_path / "cut", **texts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert write_texts(tmp_path / "cut", **texts) == write_texts(tmp_path / "whole", **texts)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_further_documents_go_to_training_only(tmp_path: Path, number_texts: Texts, word_tokenizer: type[Any]) -> None:
    texts, further = number_texts(0, 50), ["17 18 19"] * 30

    def opened(_: Drops) -> Iterator[tuple[str, int]]:
        return ((text, len(text)) for text in texts)

    def written(folder: Path, **options: Any) -> dict[str, Any]:
        split = {"validation_share": 0.3, "seed": 3, "batch_characters": 100}
        write_store(folder, {"en": opened}, word_tokenizer(), **split, **options)
        return {name: np.asarray(TokenStore(folder).stream("en", name).tokens) for name in ("train", "validation")}

    plain = written(tmp_path / "plain")
    more = written(tmp_path / "more", training_only={"en": lambda: iter(further)})
    assert more["validation"].tolist() == plain["validation"].tolist()
    assert more["train"].tolist() == plain["train"].tolist() + [17, 18, 19, 1] * 30

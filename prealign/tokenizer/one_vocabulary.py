"""The other way to read English-Clone: twins are one id. For the arm `full_alignment`, the method's upper bound.

A doubled tokenizer (`clone`) gives clone text ids of its own, which a model has to bring together with those of
English. Here the twins leave the vocabulary, and the tokenizer swaps the clone's characters back before it cuts a text.
So a text and its clone have the same ids, a model has one row for both, and whoever loads the tokenizer of such a model
reads clone text with it. It writes English.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign import files
from prealign.corpora.clone import CLONE, clone
from prealign.tokenizer.clone import BYTE_PIECE, COPIED, TOKENIZER_FILE


def merge_twins(doubled: Path, folder: Path) -> NDArray[np.int64]:
    """Write the tokenizer without twins of the doubled tokenizer's folder into `folder`.

    Returns:
        [ids of the doubled tokenizer] the id that each of them is now. Those of the original pieces stay; tokens that
        were added behind the twins, such as a mask, move down.
    """
    content = files.read_json(doubled / TOKENIZER_FILE)
    pieces = _pieces(content)
    earlier = _earlier_twins(pieces, special={token["content"] for token in content["added_tokens"]})
    last = max(earlier)
    first = next(number for number in range(last, -1, -1) if number - 1 not in earlier)
    numbers = np.arange(len(pieces))
    canonical = np.array([earlier.get(number, number) for number in numbers.tolist()])
    reads_as = np.where(canonical > last, canonical - (last + 1 - first), canonical)
    _leave_out(content, {pieces[number] for number in range(first, last + 1)}, reads_as)
    content["normalizer"] = _reading_clones(content["normalizer"])
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / TOKENIZER_FILE, content)
    for name in COPIED:
        if (doubled / name).is_file():
            shutil.copyfile(doubled / name, folder / name)
    return reads_as


def _pieces(content: dict[str, Any]) -> list[str]:
    """All pieces by id, added tokens included."""
    vocabulary = content["model"]["vocab"]
    named = dict(enumerate(p for p, _ in vocabulary)) if isinstance(vocabulary, list) else {}
    named |= {number: piece for piece, number in vocabulary.items()} if isinstance(vocabulary, dict) else {}
    named |= {token["id"]: token["content"] for token in content["added_tokens"]}
    return [named[number] for number in range(len(named))]


def _earlier_twins(pieces: list[str], special: set[str]) -> dict[int, int]:
    """Id of a twin -> id of the piece that it is the clone of, which comes before it."""
    numbers = {piece: number for number, piece in enumerate(pieces)}
    found = {}
    for number, piece in enumerate(pieces):
        twin = numbers.get(clone(piece), number)
        if twin < number and piece not in special and not BYTE_PIECE.fullmatch(piece):
            found[number] = twin
    return found


def _leave_out(content: dict[str, Any], twins: set[str], reads_as: NDArray[np.int64]) -> None:
    """Take the twins that doubling added, which follow each other, out of the vocabulary and its merges, in place."""
    model = content["model"]
    if isinstance(model["vocab"], list):  # Unigram
        model["vocab"] = [[piece, score] for piece, score in model["vocab"] if piece not in twins]
    else:
        kept = {piece: number for piece, number in model["vocab"].items() if piece not in twins}
        model["vocab"] = {piece: int(reads_as[number]) for piece, number in kept.items()}
        merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [[left, right] for left, right in merges if twins.isdisjoint((left, right, left + right))]
    for token in content["added_tokens"]:
        token["id"] = int(reads_as[token["id"]])


def _reading_clones(normalizer: dict[str, Any] | None) -> dict[str, Any]:
    """The normaliser behind one that swaps the clone's characters for those of English."""
    swaps = [{"type": "Replace", "pattern": {"String": mark}, "content": clone(mark)} for mark in CLONE]
    return {"type": "Sequence", "normalizers": [*swaps, *([normalizer] if normalizer else [])]}

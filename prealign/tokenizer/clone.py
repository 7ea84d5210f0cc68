"""Doubling a tokenizer for English-Clone: every piece gets a cloned twin.

Clone text is then cut exactly where English is, and shares no id with it except those of special tokens, bytes and
pieces without a character to clone (white space, accented letters, other scripts). Ids of the original pieces stay;
twins follow in the same order, so that an embedding table can be extended.

Twins carry the score (unigram) or rank (BPE) of their originals. Should the original vocabulary hold two pieces that
are each other's clones already, both take the better score, and that is counted.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

from prealign import files
from prealign.corpora.clone import ENGLISH, clone
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

TOKENIZER_FILE = "tokenizer.json"
COPIED = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json")
"""What stays valid; the SentencePiece model does not, since it knows no twins."""
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


def double_tokenizer(source: Path, folder: Path) -> dict[str, int]:
    """Write the doubled tokenizer of the folder `source` into `folder`.

    Returns:
        How many `pieces` there were, how many `twins` were added, how many pieces are `shared` by English and clone,
        and how many were `paired` (each other's twins) from the start.
    Raises:
        PrealignError: there is no tokenizer.json, or its model cannot be doubled (byte-level BPE, WordPiece), or it
            lacks a printable ASCII character, whose clone would then be cut differently.
    """
    content = files.read_json(source / TOKENIZER_FILE)
    model = content["model"]
    _check_can_be_doubled(content, source)
    take_in_added_tokens(model, content["added_tokens"])
    special = {token["content"] for token in content["added_tokens"]}
    if model["type"] == "Unigram":
        original = [piece for piece, _ in model["vocab"]]
        twins = _twins(original, special)
        paired = _double_unigram(model, twins)
    else:
        original = sorted(model["vocab"], key=model["vocab"].__getitem__)
        twins = _twins(original, special)
        paired = _double_bpe(model, twins)
    if missing := sorted(set(ENGLISH) - set(original)):
        raise PrealignError(
            f"The tokenizer in {source} has no piece for {' '.join(missing)}, so the clone of such text would be cut "
            "differently. Leave out tokenizer.path: a tokenizer trained by prealign has all ASCII characters."
        )
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / TOKENIZER_FILE, content)
    for name in COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    counts = {
        "pieces": len(original),
        "twins": len(twins) - paired,
        "shared": len(original) - len(twins),
        "paired": paired,
    }
    log.info(
        "Doubled the tokenizer: %s pieces, %s cloned twins added, %s shared (special tokens, bytes, nothing to clone), "
        "%s were each other's twins already.",
        *(f"{count:,}" for count in counts.values()),
    )
    return counts


def _check_can_be_doubled(content: dict[str, Any], source: Path) -> None:
    kind = content["model"]["type"]
    parts = str([content.get("pre_tokenizer"), content.get("decoder")])
    if "ByteLevel" in parts:
        kind = "byte-level BPE"
    if kind not in ("Unigram", "BPE"):
        raise PrealignError(
            f"The tokenizer in {source} is of kind {kind}; only Unigram and BPE over characters can be doubled "
            "for a cloned language. Leave out tokenizer.path, so that prealign trains one."
        )


def take_in_added_tokens(model: dict[str, Any], added: list[dict[str, Any]]) -> None:
    """Give added tokens whose ids follow the model's vocabulary a place in it, so that new pieces come after them.

    They are found in text before the model sees it, so their score is never used.
    """
    for token in sorted(added, key=lambda token: token["id"]):
        if token["id"] < len(model["vocab"]):
            continue
        if token["id"] > len(model["vocab"]):
            raise PrealignError(
                f"The tokenizer's added token {token['content']} has id {token['id']:,}, but the ids from "
                f"{len(model['vocab']):,} on belong to nothing; a vocabulary with holes cannot grow."
            )
        if model["type"] == "Unigram":
            model["vocab"].append([token["content"], 0.0])
        else:
            model["vocab"][token["content"]] = token["id"]


def _twins(pieces: list[str], special: set[str]) -> dict[str, str]:
    """piece -> its clone, for the pieces that have one of their own; in the order of the vocabulary."""
    return {
        piece: clone(piece)
        for piece in pieces
        if piece not in special and not BYTE_PIECE.fullmatch(piece) and clone(piece) != piece
    }


def _double_unigram(model: dict[str, Any], twins: dict[str, str]) -> int:
    """Append the twins with the scores of their originals; returns how many originals were each other's twins."""
    scores: dict[str, float] = dict(model["vocab"])
    paired = 0
    for piece, twin in twins.items():
        if twin in twins:
            scores[piece] = max(scores[piece], scores[twin])
            paired += 1
    added = [[twin, scores[piece]] for piece, twin in twins.items() if twin not in twins]
    model["vocab"] = [[piece, scores[piece]] for piece, _ in model["vocab"]] + added
    return paired


def _double_bpe(model: dict[str, Any], twins: dict[str, str]) -> int:
    """Append the twins, put each merge's twin right behind it; returns how many originals were each other's twins."""
    vocabulary: dict[str, int] = model["vocab"]
    paired = sum(twin in twins for twin in twins.values())
    for twin in twins.values():
        vocabulary.setdefault(twin, len(vocabulary))
    merges: dict[tuple[str, str], None] = {}  # a set that keeps its order
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        merges[left, right] = None
        merges[twins.get(left, left), twins.get(right, right)] = None
    model["merges"] = [list(merge) for merge in merges]
    return paired

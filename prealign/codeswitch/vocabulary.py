"""What every token of a vocabulary writes, and what it may border on.

Matching works on token ids alone, so everything about text is found out here, once: the bytes that each id stands for,
whether it begins a word or continues one, and which tokens hold only a part of a character. Four families of tokenizers
differ in how they write bytes:

    byte-level BPE      GPT-2's 256 printable stand-ins for bytes; a token may end inside a character
    SentencePiece       "▁" for a space; `<0xE4>` for a byte that no piece covers
    WordPiece           no spaces at all; "##" continues a word
    word level          no spaces at all; every token is a word
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prealign.codeswitch import characters
from prealign.corpora.text_tokenizer import FastTokenizer
from prealign.errors import PrealignError
from prealign.files import fingerprint_of

BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
SPACE_MARK = "▁"
REPLACEMENT = "\ufffd"
HELD_BYTES = 4
"""UTF-8 needs no more than 4 bytes for a character, so this many from either end of a token decide any border."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The text side of a vocabulary; all arrays have one row per token id."""

    surfaces: list[bytes]
    """The bytes that a token writes, its leading space included; empty for special tokens."""
    n_bytes: NDArray[np.int64]
    """Length of each surface."""
    begins: NDArray[np.uint8]
    """How each token begins (`characters.BEGINS`)."""
    joins: NDArray[np.uint8]
    """Which beginnings its end joins (`characters.JOINS`)."""
    head: NDArray[np.uint8]
    """[vocab, 4]: its first bytes."""
    tail: NDArray[np.uint8]
    """[vocab, 4]: its last bytes, the very last one in column 3."""
    unusable: NDArray[np.bool_]
    """Special and unknown tokens: never part of a key or a translation."""
    has_spaces: bool
    """Whether tokens write spaces (byte level, SentencePiece) or only mark continuation (WordPiece, word level)."""
    fingerprint: str
    """Stands for the tokenizer: pieces, merges, normalisation."""

    def __len__(self) -> int:
        return len(self.surfaces)


def cutting_fingerprint(tokenizer: FastTokenizer) -> str:
    """16 hex digits for everything that decides how text is cut; padding, truncation and the choice of an end token
    (which the fingerprint of a token store covers as well) do not count."""
    return fingerprint_of(_definition(tokenizer))


def read_vocabulary(tokenizer: FastTokenizer) -> Vocabulary:
    """Find out what every token of a fast Hugging Face tokenizer writes.

    Raises:
        PrealignError: the tokenizer is not a fast one, or does not mark word borders in a way that is supported.
    """
    definition = _definition(tokenizer)
    model = definition["model"]
    if model.get("end_of_word_suffix"):
        raise PrealignError(
            f"The tokenizer {tokenizer_name(tokenizer)} marks the ends of words ({model['end_of_word_suffix']!r}), "
            f"which code-switching does not support; use a byte-level, SentencePiece or WordPiece tokenizer."
        )
    parts = {part.get("type") for part in _parts(definition["pre_tokenizer"]) + _parts(definition["decoder"])}
    byte_level = "ByteLevel" in parts
    prefix = model.get("continuing_subword_prefix") or ""
    pieces: dict[str, int] = _backend(tokenizer).get_vocab(with_added_tokens=True)
    has_spaces = byte_level or any(piece.startswith(SPACE_MARK) for piece in pieces)
    if not (has_spaces or prefix or model["type"] == "WordLevel"):
        raise PrealignError(
            f"The tokenizer {tokenizer_name(tokenizer)} ({model['type']}) marks neither spaces nor the continuation of "
            "words, so its tokens do not tell where words begin. Train it with byte-level or Metaspace "
            "pre-tokenisation, or with continuing_subword_prefix."
        )
    added = {item["content"]: bool(item["special"]) for item in definition["added_tokens"]}

    size = max(len(tokenizer), max(pieces.values()) + 1)
    surfaces = [b""] * size
    unusable = np.ones(size, dtype=np.bool_)
    continues = np.zeros(size, dtype=np.bool_)
    for piece, token in pieces.items():
        if added.get(piece):
            continue
        unusable[token] = False
        continues[token] = bool(prefix) and piece.startswith(prefix)
        if piece in added:
            surfaces[token] = piece.encode()
        else:
            surfaces[token] = _surface(piece.removeprefix(prefix) if continues[token] else piece, byte_level)
    unknown = _unknown_id(model, pieces)
    for token in [*tokenizer.all_special_ids, *([] if unknown is None else [unknown])]:
        surfaces[token], unusable[token] = b"", True

    begins, joins = _borders(surfaces)
    if not has_spaces:
        begins, joins = _borders_without_spaces(surfaces, continues)
    elif unknown is not None:  # it may stand for a letter inside a word
        begins[unknown], joins[unknown] = characters.BEGINS_UNKNOWN, characters.JOINS_ALL
    return Vocabulary(
        surfaces=surfaces,
        n_bytes=np.array([len(surface) for surface in surfaces], dtype=np.int64),
        begins=begins,
        joins=joins,
        head=_held(surfaces, first=True),
        tail=_held(surfaces, first=False),
        unusable=unusable,
        has_spaces=has_spaces,
        fingerprint=fingerprint_of(definition),
    )


def _backend(tokenizer: FastTokenizer) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise PrealignError(
            f"The tokenizer {tokenizer_name(tokenizer)} ({type(tokenizer).__name__}) is not a fast one. Load it with "
            f"AutoTokenizer.from_pretrained, which gives a fast one wherever a tokenizer.json can be made."
        )
    return backend


def _definition(tokenizer: FastTokenizer) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(_backend(tokenizer).to_str())
    definition.pop("truncation", None)
    definition.pop("padding", None)
    return definition


def tokenizer_name(tokenizer: FastTokenizer) -> str:
    """What messages call the tokenizer."""
    return str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)


def _parts(component: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The members of a pre-tokenizer or decoder, sequences opened."""
    if component is None:
        return []
    inner = component.get("pretokenizers") or component.get("decoders")
    return [part for item in inner for part in _parts(item)] if inner else [component]


def _unknown_id(model: dict[str, Any], pieces: dict[str, int]) -> int | None:
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return pieces.get(model.get("unk_token") or "")


def _stand_ins() -> dict[str, int]:
    """GPT-2's printable character for each byte: printable Latin-1 stands for itself, the others follow from U+0100
    on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + place): byte for place, byte in enumerate(others)}


STAND_INS = _stand_ins()


def _surface(piece: str, byte_level: bool) -> bytes:
    if byte_level:
        if all(character in STAND_INS for character in piece):
            return bytes(STAND_INS[character] for character in piece)
        return piece.encode()
    byte = BYTE_TOKEN.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE_MARK, " ").encode()


def _borders(surfaces: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How each token begins and what its end joins."""
    begins = np.zeros(len(surfaces), dtype=np.uint8)
    joins = np.zeros(len(surfaces), dtype=np.uint8)
    for token, surface in enumerate(surfaces):
        if surface:
            text = surface.decode(errors="replace")  # a part of a character becomes U+FFFD
            begins[token] = characters.PARTIAL if text[0] == REPLACEMENT else characters.beginning(text)
            joins[token] = characters.PARTIAL if text[-1] == REPLACEMENT else characters.ending(text)
    return begins, joins


def _borders_without_spaces(
    surfaces: list[bytes], continues: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The same where a token either continues a word or begins one, and the unknown token is a whole word.

    `end. Next` and `os.path` have the same tokens here, so that a period is a border always, and a code character (`_`)
    never.
    """
    is_word = np.array([bool(surface) for surface in surfaces])
    begins = np.where(continues, characters.BEGINS_LETTER, characters.BEGINS_APART).astype(np.uint8)
    joins = np.where(is_word, characters.JOINS_LETTERS, characters.JOINS_NOTHING).astype(np.uint8)
    begins[~is_word] = 0
    for token, surface in enumerate(surfaces):
        text = surface.decode(errors="replace")
        if text and characters.is_code_character(text[0]):
            begins[token] |= characters.BEGINS_LETTER
        if text and characters.is_code_character(text[-1]):
            joins[token] |= characters.BEGINS_APART
    return begins, joins


def _held(surfaces: list[bytes], *, first: bool) -> NDArray[np.uint8]:
    pad = bytes(HELD_BYTES)
    joined = b"".join((s + pad)[:HELD_BYTES] if first else (pad + s)[-HELD_BYTES:] for s in surfaces)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(surfaces), HELD_BYTES)

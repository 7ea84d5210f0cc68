"""Reading running text: lines and documents from plain or compressed files, as a stream.

The first step of every corpus reader. Text comes out as NFC, so that one word has one spelling from here on. Lines end
at `\\n` and nowhere else: `str.splitlines` would also cut at U+2028, form feeds and others, and files of a parallel
corpus would no longer pair.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from prealign.corpora.drops import Drops
from prealign.errors import PrealignError

COMPRESSED = {".gz", ".xz", ".bz2", ".zst"}
MAGIC_XZ = b"\xfd7zXZ\x00"
MAGIC_ZSTD = b"\x28\xb5\x2f\xfd"
OPENERS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, MAGIC_XZ: lzma.open, b"BZh": bz2.open}
"""First bytes of a compressed file -> what opens it."""
BROKEN = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
"""What the decompressors raise on a damaged or truncated file."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading its content, decompressed if its first bytes say that it is gzip, xz, bzip2 or zstd."""
    if path.is_dir():
        raise PrealignError(f"{path} is a folder; name a file of text.")
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise PrealignError(f"{path} does not exist.") from None
    except PermissionError:
        raise PrealignError(f"{path} may not be read by this user.") from None
    head = file.peek(len(MAGIC_XZ))
    if head.startswith(MAGIC_ZSTD):
        return cast("BinaryIO", io.BufferedReader(_ZstdFrames(file)))
    for magic, opener in OPENERS.items():
        if head.startswith(magic):
            file.close()
            return opener(path)
    return file


def byte_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, bytes): decompressed, without line end, `\r` before it, or byte order mark.

    Raises:
        PrealignError: the file is missing or damaged.
    """
    number = 0
    with open_bytes(path) as file:
        try:
            for line in file:
                number += 1
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        except BROKEN as error:
            raise PrealignError(
                f"{path} breaks off or is damaged after line {number} ({error}). Fetch it again."
            ) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text): `byte_lines` as NFC text.

    Raises:
        PrealignError: the file is missing, damaged, or not UTF-8 (file and line are named).
    """
    for number, line in byte_lines(path):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PrealignError(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8 ({error.reason}). "
                "Convert the file, for example with: iconv -f LATIN1 -t UTF-8"
            ) from None
        yield number, unicodedata.normalize("NFC", text)


def read_documents(path: Path, drops: Drops) -> Iterator[str]:
    """Yield the documents of a `.txt` file (one per line) or a `.jsonl` file (field "text"), compressed or not.

    Empty documents are dropped and counted. A line that is not JSON, or has no "text", is an error.
    """
    suffixes = [suffix for suffix in path.suffixes[-2:] if suffix not in COMPRESSED]
    kind = suffixes[-1] if suffixes else ""
    if kind not in (".txt", ".jsonl"):
        raise PrealignError(
            f'{path}: running text is read from .txt (one document per line) or .jsonl (a "text" field), '
            "with .gz, .xz, .bz2 or .zst after it if compressed. Rename or convert the file."
        )
    for number, line in read_lines(path):
        text = line if kind == ".txt" else _text_field(path, number, line)
        text = text.strip()
        if not text:
            drops.add("empty documents", f"{path.name}, line {number}")
        else:
            yield text


def _text_field(path: Path, number: int, line: str) -> str:
    """The NFC text of one JSON line; blank lines count as empty documents."""
    if not line.strip():
        return ""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise PrealignError(
            f"{path}, line {number} is not JSON: {error}. Every line must be one JSON object."
        ) from None
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise PrealignError(f'{path}, line {number} has no string under "text". Rename the field that holds the text.')
    # A lone surrogate can be escaped in JSON but is no character: UTF-8 cannot hold it.
    text = text.encode("utf-8", errors="replace").decode("utf-8")
    return unicodedata.normalize("NFC", text)


class _ZstdFrames(io.RawIOBase):
    """Content of all zstd frames of a file. Unlike zstandard's own reader it raises when the last frame is cut off."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._frame_begun = False
        self._compressed = b""
        self._content = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._content:
            self._compressed = self._compressed or self._raw.read(1 << 17)
            if not self._compressed:
                if self._frame_begun:
                    raise EOFError("the last zstd frame is cut off")
                return 0
            self._content = memoryview(self._frame.decompress(self._compressed))
            self._compressed = self._frame.unused_data
            self._frame_begun = not self._frame.eof
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()

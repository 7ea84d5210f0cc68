"""Reading running text: the lines of plain or compressed files, as a stream.

The first step of every corpus reader. Text comes out as NFC, so that one word has one spelling from here on. Lines end
at `\\n` and nowhere else: `str.splitlines` would also cut at U+2028, form feeds and others, and files of a parallel
corpus would no longer pair.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from prealign.errors import PrealignError

COMPRESSED = {".gz", ".xz", ".bz2", ".zst"}
MAGIC_XZ = b"\xfd7zXZ\x00"
MAGIC_ZSTD = b"\x28\xb5\x2f\xfd"
MAGIC_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 2 to 4 of a zstd frame without content, which parallel writers put first; 0x50 to 0x5f stands before them."""
OPENERS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, MAGIC_XZ: lzma.open, b"BZh": bz2.open}
"""First bytes of a compressed file -> what opens it."""
BROKEN = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
"""What the decompressors raise on a damaged or truncated file."""
MAX_LINE_BYTES = 1 << 28
"""A longer line is no line of text, and would fill the memory before anyone could look at it."""
ZSTD_WINDOW = 1 << 31
"""Bytes that a zstd frame may refer back, as much as `zstd --long=31` writes; memory is taken as a frame asks for it.
The library's own limit is 128 MiB."""


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
    if head.startswith(MAGIC_ZSTD) or (head[1:4] == MAGIC_SKIPPABLE and head[0] & 0xF0 == 0x50):
        return cast("BinaryIO", io.BufferedReader(_ZstdFrames(file)))
    for magic, opener in OPENERS.items():
        if head.startswith(magic):
            file.close()
            return opener(path)
    return file


def byte_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, bytes): decompressed, without line end, `\r` before it, or byte order mark.

    Raises:
        PrealignError: the file is missing or damaged, or a line is longer than 256 MiB.
    """
    number = 0
    with open_bytes(path) as file:
        try:
            for line in iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise PrealignError(
                        f"{path}, line {number} goes on for more than {MAX_LINE_BYTES >> 20} MiB without a line end, "
                        "so this is no file of lines. Cut it into lines, or convert it."
                    )
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


class _ZstdFrames(io.RawIOBase):
    """Content of all zstd frames of a file. Unlike zstandard's own reader it raises when the last frame is cut off."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
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
                self._frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()

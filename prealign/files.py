"""Files on disk: written whole or not at all, and known by their content.

Everything the package writes goes to a temporary name first and is renamed when complete, so that a reader never
meets half a file. A fingerprint is a hash of content; names and dates do not count.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prealign.errors import PrealignError

PARTIAL = ".partial"
OLDER = ".older"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What the system says when the disk or a quota is full."""


def partial_of(path: Path) -> Path:
    """The temporary name under which `path` is written: same folder, so that the rename is atomic."""
    return path.with_name(path.name + PARTIAL)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path for a file or folder; rename it to `path` when the block ends well, remove it when it
    fails."""
    temporary = partial_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(temporary)
    try:
        yield temporary
    except BaseException:
        remove(temporary)
        raise
    put_in_place(temporary, path)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished file or folder to its name; an older one there is replaced."""
    if path.is_dir():
        older = path.with_name(path.name + OLDER)
        remove(older)
        path.rename(older)
        temporary.rename(path)
        remove(older)
    else:
        temporary.replace(path)


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def system_error(error: BaseException) -> int | None:
    """The system's number of an error (`errno`), if it comes from the system.

    What is written in Rust (safetensors, tokenizers) raises errors of its own, with the number in their text.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends, whole or not at all, and flushed to the disk."""
    temporary = partial_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in UTF-8, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a file that is missing or broken is a user's mistake and says so."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PrealignError(f"{path} does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PrealignError(
            f"{path} is not valid JSON: {error}. Restore it or remove the folder it stands in."
        ) from None


def fingerprint(path: Path, of_file: Callable[[Path], str] | None = None) -> str:
    """16 hex digits that stand for the content of a file, or of all files of a folder with their relative names.

    `of_file` may know a file's fingerprint without reading it.
    """
    if of_file is not None and path.is_file():
        return of_file(path)
    digest = hashlib.blake2b(digest_size=8)
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{fingerprint(file, of_file)}\0".encode())
    else:
        with path.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def fingerprint_of(value: Any) -> str:
    """16 hex digits that stand for a value that JSON can hold."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True, ensure_ascii=False).encode(), digest_size=8).hexdigest()

"""What is known of a run's input files, so that no command has to read a hundred gigabytes to know that they are as
they were.

A stage is known by the content of what it read (stage.py), and content by a hash of every byte. `inputs.json` in the
run folder keeps the hashes of large files, with what the system says of each: size, inode, and the times of the last
change of its content and of anything about it. As long as all four are the same, so is the file; at any doubt it is
read again. The last of them (ctime) is what makes this safe: programs cannot set it, so that a file which was changed
and given its old date back is noticed. A file that changed only just before it was read is not remembered, since one
more change within the same tick of the file system's clock would leave no trace.

The file can be read, and removed at any time.
"""

from __future__ import annotations

import json
import logging
import time
from functools import cache
from pathlib import Path
from typing import Any

from prealign import files

log = logging.getLogger(__name__)

INPUTS = "inputs.json"
LARGE = 1 << 20
"""Bytes from which on a file is worth remembering; a smaller one is read in a millisecond."""
TOLD = 1 << 30
"""Bytes from which on reading is said beforehand; a gigabyte takes about a second."""
SETTLED_S = 5.0
"""Age of a change that is surely over. File systems tell times to 2 seconds at worst (FAT)."""


class Inputs:
    """The fingerprints of a run's inputs, each found out once in a process."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / INPUTS
        self._remembered = _read(self._place)
        self._asked: dict[Path, str] = {}
        self._changed = False

    def fingerprint(self, path: Path) -> str:
        """What `files.fingerprint` gives for a file or folder."""
        if path not in self._asked:
            self._asked[path] = files.fingerprint(path, of_file=self._of_file)
        return self._asked[path]

    def write(self) -> None:
        """Remember what was found out."""
        if self._changed:
            files.write_json(self._place, {"files": dict(sorted(self._remembered.items()))})
            self._changed = False

    def _of_file(self, path: Path) -> str:
        name, before = str(path.resolve()), _looks(path)
        if before["size"] < LARGE:
            return files.fingerprint(path)
        known = self._remembered.get(name)
        if known is not None and known == before | {"fingerprint": known.get("fingerprint")}:
            return str(known["fingerprint"])
        if before["size"] >= TOLD:
            log.info("reading %s (%.1f GB) to know its content", path, before["size"] / 1e9)
        began = time.time_ns()
        found = files.fingerprint(path)
        is_settled = max(before["modified_ns"], before["changed_ns"]) < began - SETTLED_S * 1e9
        if is_settled and _looks(path) == before:
            self._remembered[name] = before | {"fingerprint": found}
            self._changed = True
        return found


@cache
def inputs_of(folder: Path) -> Inputs:
    """The inputs of a run folder, shared by all layouts of a process."""
    return Inputs(folder)


def _looks(path: Path) -> dict[str, Any]:
    seen = path.stat()
    return {
        "size": seen.st_size,
        "inode": seen.st_ino,
        "modified_ns": seen.st_mtime_ns,
        "changed_ns": seen.st_ctime_ns,
    }


def _read(place: Path) -> dict[str, dict[str, Any]]:
    """What was remembered; nothing where the file is missing or no such file."""
    try:
        found = json.loads(place.read_text(encoding="utf-8"))["files"]
        return {name: known for name, known in found.items() if isinstance(known["fingerprint"], str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}

"""What every stage of a run has in common: a folder, an identity, a manifest.

A stage is known by its name, the settings that shape its output and the fingerprints of its inputs. It writes under
a temporary name and is renamed when finished, with a `manifest.json` that records all of this. Asked again with the
same identity it is reused, and says so; with another, it stops and names the field that differs and the way out.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from prealign import __version__, files
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
STARTED = "started.json"
RECORDED_VERSIONS = ("torch", "transformers", "tokenizers", "sentencepiece", "numpy", "numba", "icu4py")

FOLLOWERS = {
    "dictionary": ("pairs", "init", "pretrain", "eval", "report"),
    "tokenizer": ("store", "pairs", "translations", "init", "pretrain", "eval", "report"),
    "store": ("translations", "init", "pretrain", "eval", "report"),
    "pairs": ("init", "pretrain", "eval", "report"),
    "translations": ("pretrain", "eval", "report"),
    "init": ("pretrain", "eval", "report"),
    "pretrain": ("eval", "report"),
    "eval": ("report",),
    "report": (),
}
"""The stages in order, each with those that read its output."""


@dataclass(frozen=True)
class Stage:
    """One stage of one run, before or after it has been made.

    Attributes:
        name: one of FOLLOWERS; several folders of a run may share it (one `init` with alignment, one without).
        folder: where the finished output lies.
        options: dotted setting -> value, all that shape the output.
        inputs: name -> fingerprint of everything that was read.
        amendable: options that may be given other values while the stage is interrupted; whoever goes on with it sees
            to it that nothing that was done becomes untrue.
        growing: inputs that a stage, finished or interrupted, may lack and is then gone on with; whoever makes it
            keeps apart what was made from each of them.
    """

    name: str
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    amendable: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        return {"stage": self.name, "options": self.options, "inputs": self.inputs}

    @property
    def fingerprint(self) -> str:
        """Stands for the output: equal options on equal inputs give equal output."""
        return files.fingerprint_of(self.identity)

    @property
    def fingerprint_of_work(self) -> str:
        """The same without what may be amended: equal for as long as the stage can be gone on with."""
        options = {name: value for name, value in self.options.items() if name not in self.amendable}
        return files.fingerprint_of(self.identity | {"options": options})

    @property
    def working_folder(self) -> Path:
        """Where the output grows until it is whole."""
        return files.partial_of(self.folder)

    def is_finished(self) -> bool:
        """True when the output is there and was made with this identity; another identity is an error, unless all
        that it lacks are inputs that may come later."""
        if not (self.folder / MANIFEST).is_file():
            if self.folder.exists():
                raise PrealignError(
                    f"{self.folder} exists but has no {MANIFEST}, so it was not made by prealign or not finished. "
                    "Move it away, or choose another --output."
                )
            return False
        recorded = files.read_json(self.folder / MANIFEST)
        if self._is_part(recorded):
            return False
        self._compare(recorded, self.folder)
        return True

    def is_reused(self) -> bool:
        """`is_finished`, and says so."""
        if self.is_finished():
            log.info("%s: already done, reusing %s", self.name, self.folder)
            return True
        return False

    def _is_part(self, recorded: dict[str, Any]) -> bool:
        """Whether the stage may grow from what was recorded to what it is now."""
        inputs = recorded.get("inputs", {})
        new = self.inputs.keys() - inputs.keys()
        same = inputs.items() <= self.inputs.items() and recorded.get("options") == self.options
        return bool(new) and new <= {*self.growing} and same

    def _compare(self, recorded: dict[str, Any], folder: Path, leave_out: Sequence[str] = ()) -> None:
        differing = [
            _difference(name, recorded.get(group, {}), wanted)
            for group, wanted in (("options", self.options), ("inputs", self.inputs))
            for name in sorted({*recorded.get(group, {}), *wanted} - {*leave_out})
            if _difference(name, recorded.get(group, {}), wanted)
        ]
        if differing:
            followers = ", ".join(FOLLOWERS[self.name])
            also = f" (that also removes what was made from it: {followers})" if followers else ""
            raise PrealignError.of_several(
                f"{folder} was made from other settings or inputs. Make it again with --fresh {self.name}{also}, "
                "or choose another --output. What differs:",
                differing,
            )

    def build(
        self, make: Callable[[Path], dict[str, Any]], worth_keeping: Callable[[Path], bool] | None = None
    ) -> dict[str, Any]:
        """Reuse the output, or make it in the working folder and put it in place; gives the manifest.

        `make` writes into the folder it is given and returns a summary for the manifest. If it raises, the folder is
        removed, unless it is `worth_keeping`: then the same stage, asked again, has `make` go on with it.
        """
        if self.is_reused():
            return self.manifest()
        log.info("%s: writing %s", self.name, self.folder)
        start = time.monotonic()
        self._remove_working_folder(unless=worth_keeping)
        self.begin_or_resume()
        try:
            summary = make(self.working_folder)
        except BaseException:
            self._remove_working_folder(unless=worth_keeping)
            raise
        return self.finish(summary, time.monotonic() - start)

    def _remove_working_folder(self, unless: Callable[[Path], bool] | None) -> None:
        if unless is None or not unless(self.working_folder):
            files.remove(self.working_folder)

    def begin_or_resume(self) -> Path:
        """The working folder of a stage that can be interrupted; one left by another recipe is refused."""
        started = self.working_folder / STARTED
        if (self.folder / MANIFEST).is_file() and not self.is_finished():
            log.info("%s: going on with %s, which lacks inputs that are new", self.name, self.folder)
            files.remove(self.working_folder)
            # Before the folder loses its name, so that whatever a kill leaves is a stage that can be gone on with.
            files.write_json(self.folder / STARTED, {name: self.manifest()[name] for name in self.identity})
            self.folder.rename(self.working_folder)
            (self.working_folder / MANIFEST).unlink()
        elif started.is_file():
            recorded = files.read_json(started)
            if not self._is_part(recorded):
                self._compare(recorded, self.working_folder, leave_out=self.amendable)
        else:
            files.remove(self.working_folder)
            self.working_folder.mkdir(parents=True)
        files.write_json(started, self.identity)
        return self.working_folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from working on this stage as long as the block runs.

        The system lets go of the lock when the process ends, in whatever way. Some network file systems have no
        locks; there a warning asks the user to take care.

        Raises:
            PrealignError: another process works on it.
        """
        place = self.folder.with_name(self.folder.name + ".lock")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)  # of what is open: the other process may have removed the name meanwhile
                raise self._busy(file.read().strip()) from None
            except OSError as error:
                log.warning("%s cannot be locked (%s); take care that no other process works on it", self.folder, error)
            if os.fstat(file.fileno()).st_nlink == 0:  # opened just before another process was done and removed it
                raise self._busy("just ended")
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n")
            file.flush()
            try:
                yield
            finally:
                place.unlink(missing_ok=True)

    def _busy(self, who: str) -> PrealignError:
        return PrealignError(
            f"{self.name}: another process is working on {self.folder} ({who}). Wait for its end, or choose another "
            "--output."
        )

    def finish(self, summary: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Write the manifest and give the folder its name."""
        manifest = {
            **self.identity,
            "fingerprint": self.fingerprint,
            "summary": summary,
            "seconds": round(seconds, 1),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
        }
        (self.working_folder / STARTED).unlink(missing_ok=True)
        files.write_json(self.working_folder / MANIFEST, manifest)
        files.put_in_place(self.working_folder, self.folder)
        return manifest

    def manifest(self) -> dict[str, Any]:
        """The manifest of the finished stage."""
        recorded: dict[str, Any] = files.read_json(self.folder / MANIFEST)
        return recorded

    def require(self, command: str) -> None:
        """Stop with the command to run when this stage, needed as an input, is not there yet."""
        if not self.is_finished():
            raise PrealignError(f"{self.folder} is missing. Run `{command}` first, or `prealign run` for all stages.")


def _difference(name: str, recorded: dict[str, Any], wanted: dict[str, Any]) -> str:
    if name in recorded and name in wanted:
        if recorded[name] == wanted[name]:
            return ""
        return f"{name}: made with {recorded[name]}, now {wanted[name]}"
    if name in recorded:
        return f"{name}: made with {recorded[name]}, now absent"
    return f"{name}: not there when it was made, now {wanted[name]}"


def options_of(settings: Any, prefix: str, *leave_out: str) -> dict[str, Any]:
    """The settings of one section as dotted names, for a stage's identity."""
    flat: dict[str, Any] = {}

    def visit(value: Any, place: str) -> None:
        if place.removeprefix(prefix + ".") in leave_out:
            return
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                visit(inner, f"{place}.{name}")
        else:
            flat[place] = value

    visit(settings.model_dump(mode="json"), prefix)
    return flat


def versions() -> dict[str, str]:
    """Versions of what shapes the numbers."""
    found = {"prealign": __version__, "python": platform.python_version()}
    for package in RECORDED_VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def fresh(folders: dict[str, list[Path]], stages: list[str]) -> None:
    """Remove the named stages and whatever was made from them; `folders` lists the folders of each stage."""
    doomed = {follower for stage in stages for follower in (stage, *FOLLOWERS[stage])}
    for stage in FOLLOWERS:
        for folder in folders.get(stage, []) if stage in doomed else []:
            if folder.exists() or files.partial_of(folder).exists():
                log.info("--fresh: removing %s", folder)
                files.remove(folder)
                files.remove(files.partial_of(folder))

"""Writes checkpoints (checkpoint.py) and finished models: at once or beside the training, whole or not at all."""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from prealign import files, ranks
from prealign.errors import PrealignError
from prealign.train import shards
from prealign.train.checkpoint import COMPLETE, FORMAT, SLOTS, newest, place, steps_on_disk, without_bars
from prealign.train.spread import Spread

log = logging.getLogger(__name__)
SaveExtra = Callable[[Path, Mapping[str, Any]], None]
"""Given the folder of a checkpoint and its state.json: puts more files into it."""
Stay = Callable[[Sequence[int]], Collection[int]]
"""Given the steps of all checkpoints, in order: the steps of those that stay."""


def export(model: PreTrainedModel, folder: Path, save_extra: Callable[[Path], None] | None = None) -> None:
    """Write a Hugging Face folder (config, safetensors, and what `save_extra` puts in), whole or not at all.

    Every rank calls it; rank 0 writes.
    """
    weights = _gathered(model, apart=False)
    if ranks.rank() == 0:
        try:
            with files.whole(folder) as partial:
                _write_model(model, weights, partial)
                if save_extra is not None:
                    save_extra(partial)
        except Exception as error:
            if not _is_of_files(error):
                raise
            raise PrealignError(
                f"The model could not be written to {folder}: {error}. {_way_out(error)} the same command again; all "
                "steps are done and need not be repeated."
            ) from error
    ranks.barrier()


class Saver:
    """Writes the checkpoints of a run: while the training waits, or beside it from a copy, one at a time.

    What goes wrong on one rank is raised on all, with the same sentence.
    """

    def __init__(self, folder: Path, save_extra: SaveExtra | None, *, beside: bool, timeout_s: float) -> None:
        """Every rank makes one; `beside` writes in a thread, where ranks wait for each other up to `timeout_s`."""
        self._folder, self._save_extra, self._beside = folder, save_extra, beside
        # Threads of all ranks meet in a group of their own: in the run's group their messages would get mixed up.
        timeout = timedelta(seconds=timeout_s)
        self._group = dist.new_group(backend="gloo", timeout=timeout) if beside and ranks.world_size() > 1 else None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    @property
    def failed(self) -> bool:
        """Whether the checkpoint written beside the training has come to grief; `wait` tells."""
        return self._error is not None

    def save(self, held: Spread, optimizer: torch.optim.Optimizer, state: Mapping[str, Any], stay: Stay) -> None:
        """Write the checkpoint of `state["step"]`, then remove those that need not stay. Every rank calls it.

        Raises:
            PrealignError: this checkpoint or, written beside the training, the one before could not be written.
        """
        self.wait()
        taken = _Taken(
            state["step"],
            {"format": FORMAT, **copy.deepcopy(dict(state)), "moments": _with_moments(held, optimizer)},
            _gathered(held.model, apart=self._beside),
            {name: _here(tensor, self._beside) for name, tensor in held.objectives.state_dict().items()},
            *_moments(held, optimizer, apart=self._beside),
        )
        write = _Writing(self._folder, held.model, self._save_extra, taken, stay, self._group)
        if not self._beside:
            write()
            return
        self._thread = threading.Thread(target=self._run, args=(write,), name="checkpoint")
        self._thread.start()

    def _run(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # told to the training, by `wait`
            self._error = error

    def wait(self) -> None:
        """Until nothing is being written; raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self) -> None:
        """`wait`, where what goes wrong is only said, since the run ends already; then leave the threads' group."""
        try:
            self.wait()
        except Exception as error:
            log.warning("%s", error)
        if self._group is not None:
            dist.destroy_process_group(self._group)
            self._group = None


class _Taken(NamedTuple):
    """One rank's part of a checkpoint, as it was when it was taken."""

    step: int
    state: dict[str, Any]
    weights: dict[str, Tensor]
    objectives: dict[str, Tensor]
    moments: dict[str, Tensor]
    rows: dict[str, shards.Rows]
    """Of the moments that are shards."""


class _Writing(NamedTuple):
    """The work of writing one checkpoint: every rank calls it, and every rank ends well or with an error."""

    folder: Path
    model: PreTrainedModel
    save_extra: SaveExtra | None
    taken: _Taken
    stay: Stay
    group: Any

    def __call__(self) -> None:
        target = place(self.folder, self.taken.step)
        partial = files.partial_of(target)
        parts: list[Callable[[], None]] = [lambda: self._write_first(partial), lambda: self._finish(partial, target)]
        if self.taken.rows:  # shards go into the folder that rank 0 makes
            parts.insert(1, lambda: self._write_moments(partial))
        for part in parts:
            try:
                self._together(part)
            except Exception:
                if ranks.rank() == 0:
                    files.remove(partial)
                raise

    def _write_first(self, partial: Path) -> None:
        """Rank 0: the folder with everything in it but shards."""
        if ranks.rank() > 0:
            return
        files.remove(partial)
        _write_model(self.model, self.taken.weights, partial)
        if self.save_extra is not None:
            self.save_extra(partial, self.taken.state)
        (partial / "training").mkdir()
        if self.taken.objectives:
            save_file(self.taken.objectives, partial / "training" / "objectives.safetensors")
        if not self.taken.rows:
            self._write_moments(partial)
        files.write_json(partial / "training" / "state.json", self.taken.state)

    def _write_moments(self, partial: Path) -> None:
        """This rank's shards, or on rank 0 everything."""
        name = f"optimizer.{ranks.rank():05d}.safetensors" if self.taken.rows else "optimizer.safetensors"
        shards.write(partial / "training" / name, self.taken.moments, self.taken.rows)
        _flush(partial / "training" / name)

    def _finish(self, partial: Path, target: Path) -> None:
        """Rank 0: mark the folder, give it its name, remove older ones."""
        if ranks.rank() > 0:
            return
        for path in partial.rglob("*"):  # folders too, which hold the names
            _flush(path)
        files.write_text(partial / COMPLETE, f"step {self.taken.step}\n")
        _flush(partial)
        files.put_in_place(partial, target)
        _flush(target.parent)
        steps = steps_on_disk(self.folder)
        for old in set(steps) - set(self.stay(steps)):
            files.remove(place(self.folder, old))

    def _together(self, part: Callable[[], None]) -> None:
        """Do a part on every rank; what goes wrong on one is raised on all."""
        problem: Exception | None = None
        said = ""
        try:
            part()
        except Exception as error:
            problem, said = error, f"{str(error) or type(error).__name__}. {_way_out(error)}"
        found = [text for text in ranks.gather_objects(said, self.group) if text]
        if problem is not None and not _is_of_files(problem):
            raise problem
        if found:
            raise PrealignError(
                f"The checkpoint of step {self.taken.step} could not be written to "
                f"{place(self.folder, self.taken.step)}: {found[0]} the same command again; it goes on from "
                f"{newest(steps_on_disk(self.folder), self.folder)}."
            ) from problem


def _is_of_files(error: Exception) -> bool:
    """Whether an error comes from writing, and not from a mistake of ours."""
    return isinstance(error, OSError | SafetensorError) or files.system_error(error) is not None


def _way_out(error: Exception) -> str:
    return "Make room and run" if files.system_error(error) in files.NO_ROOM else "Once that is mended, run"


def _with_moments(held: Spread, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the parameters that AdamW remembers something of: those that a gradient has reached."""
    return [name for name, parameter in held.named_parameters() if parameter in optimizer.state]


def _moments(
    held: Spread, optimizer: torch.optim.Optimizer, apart: bool
) -> tuple[dict[str, Tensor], dict[str, shards.Rows]]:
    """This rank's part of AdamW's memory, by slot and parameter; where shards belong. Rank 0 has all that is whole."""
    tensors, rows = {}, {}
    for name, parameter in held.named_parameters():
        for slot in SLOTS if parameter in optimizer.state else ():
            tensor = optimizer.state[parameter][slot]
            if isinstance(tensor, DTensor):
                rows[f"{slot}.{name}"] = shards.rows_of(tensor)
            elif ranks.rank() > 0:
                continue
            tensors[f"{slot}.{name}"] = _here(shards.local(tensor), apart)
    return tensors, rows


def _gathered(model: PreTrainedModel, apart: bool) -> dict[str, Tensor]:
    """The whole weights on rank 0, on the CPU where they were sharded; nothing on the others. Every rank calls it."""
    found: dict[str, Tensor] = {}
    seen: dict[int, Tensor | None] = {}  # tied weights are one tensor, which is how transformers knows them
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            sharded = isinstance(tensor, DTensor)
            whole = tensor.detach().full_tensor() if sharded else _here(tensor, apart and ranks.rank() == 0)
            # Every rank takes part in gathering; what is not kept makes room for the next.
            seen[id(tensor)] = None if ranks.rank() > 0 else whole.cpu() if sharded else whole
        one = seen[id(tensor)]
        if one is not None:
            found[name] = one
    return found


def _here(tensor: Tensor, apart: bool) -> Tensor:
    """A tensor to write: itself, or a copy in the CPU's memory that training does not change."""
    return tensor.detach().to("cpu", copy=True) if apart else tensor.detach()


def _write_model(model: PreTrainedModel, weights: Mapping[str, Tensor], folder: Path) -> None:
    folder.mkdir(parents=True)
    with without_bars():
        model.save_pretrained(folder, state_dict=dict(weights))


def _flush(path: Path) -> None:
    """Force a file or folder to the disk, so that the mark never outlives what it stands for."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

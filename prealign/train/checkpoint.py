"""Checkpoints: plain Hugging Face folders with the training state beside the weights, whole or invisible.

    step-00000200/
      config.json  model.safetensors  ...   what `AutoModelForCausalLM.from_pretrained` reads, with the tokenizer
      training/optimizer.safetensors        AdamW's moments by parameter name
      training/state.json                   step, LM tokens, sums of the row half done, facts that a resume must match
      COMPLETE                              written last; a folder without it is ignored

Every rank has the same parameters (DDP), so rank 0 writes and a run may go on with another number of ranks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from prealign import files, ranks
from prealign.errors import PrealignError

log = logging.getLogger(__name__)
COMPLETE = "COMPLETE"
NAME = re.compile(r"step-(\d{8,})")
SLOTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of a parameter."""


def place(folder: Path, step: int) -> Path:
    """Folder of the checkpoint after `step` updates."""
    return folder / "checkpoints" / f"step-{step:08d}"


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end."""
    return (checkpoint / COMPLETE).is_file()


def steps_on_disk(folder: Path) -> list[int]:
    """Steps of the whole checkpoints, in order; others are ignored and said so."""
    steps = []
    for path in sorted((folder / "checkpoints").glob("step-*")):
        name = NAME.fullmatch(path.name)
        if name and is_whole(path):
            steps.append(int(name[1]))
        else:
            log.warning("%s is not a whole checkpoint (no %s mark) and is ignored", path, COMPLETE)
    return sorted(steps)


def export(model: PreTrainedModel, folder: Path, save_extra: Callable[[Path], None] | None = None) -> None:
    """Write a Hugging Face folder (config, safetensors, and what `save_extra` puts in), whole or not at all."""
    with files.whole(folder) as partial:
        _write_model(model, partial, save_extra)


def save(
    folder: Path,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    *,
    save_extra: Callable[[Path], None] | None,
    keep: int,
) -> None:
    """Write the checkpoint of `state["step"]`, then remove all but the newest `keep`. Every rank calls it."""
    step = state["step"]
    target = place(folder, step)
    if ranks.rank() == 0:
        try:
            with files.whole(target) as partial:
                _write_model(model, partial, save_extra)
                (partial / "training").mkdir()
                save_file(_optimizer_tensors(model, optimizer), partial / "training" / "optimizer.safetensors")
                files.write_json(partial / "training" / "state.json", state)
                _flush(partial)
                files.write_text(partial / COMPLETE, f"step {step}\n")
            _flush_folder(target.parent)
        except OSError as error:
            raise PrealignError(
                f"The checkpoint of step {step} could not be written to {target}: {error}. Make room and run the same "
                f"command again; it goes on from {_newest(folder)}."
            ) from error
        for old in steps_on_disk(folder)[:-keep]:
            files.remove(place(folder, old))
    ranks.barrier()


def load(
    checkpoint: Path,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    check_facts: Callable[[Path, Mapping[str, Any]], None],
) -> dict[str, Any]:
    """Put a checkpoint's weights and moments into a model and its optimiser, in place; returns its state.json.

    In place, because a tensor at another address can lead to another last bit in matrix products. `check_facts` gets
    the checkpoint and its facts before anything is changed, and raises if they are not this run's.
    """
    state: dict[str, Any] = files.read_json(checkpoint / "training" / "state.json")
    check_facts(checkpoint, state["facts"])
    with _without_bars():
        loaded = type(model).from_pretrained(checkpoint, dtype=model.dtype, trust_remote_code=False)
    model.load_state_dict(loaded.state_dict())
    tensors = load_file(checkpoint / "training" / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        slots = {slot: tensors[f"{slot}.{name}"] for slot in SLOTS if f"{slot}.{name}" in tensors}
        if slots:
            optimizer.state[parameter] = {
                slot: torch.empty_like(tensor, device=parameter.device).copy_(tensor) for slot, tensor in slots.items()
            }
    return state


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{slot}.{name}": optimizer.state[parameter][slot].contiguous()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for slot in SLOTS
    }


def _write_model(model: PreTrainedModel, folder: Path, save_extra: Callable[[Path], None] | None) -> None:
    folder.mkdir(parents=True)
    with _without_bars():
        model.save_pretrained(folder)
    if save_extra is not None:
        save_extra(folder)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar over ours for every shard that it reads or writes."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _newest(folder: Path) -> str:
    steps = steps_on_disk(folder)
    return str(place(folder, steps[-1])) if steps else "the start, since there is no whole checkpoint yet"


def _flush(folder: Path) -> None:
    """Force every file of a folder to the disk, so that the mark never outlives what it stands for."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

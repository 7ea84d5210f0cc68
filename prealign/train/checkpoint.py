"""Checkpoints: plain Hugging Face folders with the training state beside the weights, whole or invisible.

    step-00000200/
      config.json  model.safetensors  ...   what `from_pretrained` reads, with the tokenizer
      training/optimizer.safetensors        AdamW's moments by parameter name; of shards a file per rank (shards.py)
      training/objectives.safetensors       what objectives learn themselves, if any does
      training/state.json                   step, LM tokens, sums, those of the row half done, names of the parameters
                                            with moments, facts that a resume must match
      COMPLETE                              written last; a folder without it is ignored

Weights and moments are kept by name and row, so a run may go on with another number of ranks, and from DDP to FSDP2
and back. saver.py writes them.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers.utils import logging as transformers_logging

from prealign import files
from prealign.errors import PrealignError
from prealign.train import shards
from prealign.train.spread import Spread

log = logging.getLogger(__name__)
COMPLETE = "COMPLETE"
FORMAT = 2
"""Of state.json."""
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
    """Steps of the whole checkpoints, in order."""
    found = [(NAME.fullmatch(path.name), path) for path in (folder / "checkpoints").glob("step-*")]
    return sorted(int(name[1]) for name, path in found if name and is_whole(path))


def tidy(folder: Path) -> None:
    """Remove what a kill left half written or half replaced, and say what else is no whole checkpoint.

    To be called while nobody writes there.
    """
    for path in sorted((folder / "checkpoints").glob("step-*")):
        if path.suffix in (files.PARTIAL, files.OLDER):
            log.warning("removing %s, which a process that ended in the middle of saving has left", path)
            files.remove(path)
        elif not is_whole(path):
            log.warning("%s is not a whole checkpoint (no %s mark) and is ignored", path, COMPLETE)


@torch.no_grad()
def load(
    checkpoint: Path,
    held: Spread,
    optimizer: torch.optim.Optimizer,
    check_facts: Callable[[Path, Mapping[str, Any]], None],
) -> dict[str, Any]:
    """Put a checkpoint's weights and moments into a model and its optimiser, in place; returns its state.json.

    In place, because a tensor at another address can lead to another last bit in matrix products. `check_facts` gets
    the checkpoint and its facts before anything is changed, and raises if they are not this run's.
    """
    training = checkpoint / "training"
    state: dict[str, Any] = files.read_json(training / "state.json")
    if state.get("format") != FORMAT:
        raise PrealignError(
            f"{checkpoint} was written by another version of prealign and cannot be gone on from. Finish the run with "
            "that version, or begin the stage anew with --fresh."
        )
    check_facts(checkpoint, state["facts"])
    try:
        with without_bars():
            loaded = type(held.model).from_pretrained(checkpoint, dtype=held.model.dtype, trust_remote_code=False)
        weights = loaded.state_dict()
        moments = shards.Reader(training.glob("optimizer*.safetensors"))
        for name, target in held.model.state_dict(keep_vars=True).items():
            rows = shards.rows_of(target)
            shards.local(target).copy_(
                weights[name][rows.first : rows.end] if isinstance(target, DTensor) else weights[name]
            )
        with_moments = set(state["moments"])
        if lost := [name for name in state["moments"] if any(f"{slot}.{name}" not in moments for slot in SLOTS)]:
            raise PrealignError(
                f"AdamW's moments of {len(lost)} of {len(with_moments)} parameters ({lost[0]}, ...) are missing"
            )
        for name, parameter in held.named_parameters():
            if name in with_moments:
                optimizer.state[parameter] = _slots(moments, name, parameter)
        if held.objectives.state_dict():
            held.objectives.load_state_dict(load_file(training / "objectives.safetensors"))
    except (SafetensorError, OSError, ValueError, PrealignError) as error:
        before = [step for step in steps_on_disk(checkpoint.parent.parent) if step < state["step"]]
        raise PrealignError(
            f"{checkpoint} is marked as whole but cannot be read: {error}. Remove this folder and run the same command "
            f"again; it goes on from {newest(before, checkpoint.parent.parent)}."
        ) from error
    return state


def _slots(moments: shards.Reader, name: str, parameter: nn.Parameter) -> dict[str, Tensor]:
    """What AdamW remembers of a parameter: its count of updates, and moments in the parameter's own shards."""
    step = moments.read(f"step.{name}", shards.Rows(0, 1, 1))
    slots = {"step": torch.empty_like(step, device=parameter.device).copy_(step)}
    for slot in SLOTS[1:]:
        slots[slot] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        shards.local(slots[slot]).copy_(moments.read(f"{slot}.{name}", shards.rows_of(parameter)))
    return slots


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar over ours for every shard that it reads or writes."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def newest(steps: Sequence[int], folder: Path) -> str:
    """The last of these checkpoints, in words."""
    return str(place(folder, steps[-1])) if steps else "the start, since there is no whole checkpoint before it"

"""Passing over data that harms a training (`pretrain.skip_steps`): what an interrupted one may still change.

After a spike of the loss one goes back to a checkpoint before it and passes over the data of some steps (Chowdhery et
al. 2022, PaLM, 5.1). So stretches may be added to a training that is under way, as long as they lie ahead of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prealign import files
from prealign.errors import PrealignError
from prealign.stages.stage import STARTED, Stage
from prealign.train import checkpoint

log = logging.getLogger(__name__)
SETTING = "pretrain.skip_steps"


def refuse_skips_of_the_past(stage: Stage, skips: Sequence[tuple[int, int]]) -> None:
    """Compare the stretches with those that the interrupted stage was started with.

    Raises:
        PrealignError: a stretch was added or dropped that begins at or before the step of the newest checkpoint.
    """
    started = stage.working_folder / STARTED
    if not started.is_file():
        return
    before = [tuple(stretch) for stretch in files.read_json(started)["options"].get(SETTING, [])]
    changed = sorted({*before} ^ {*skips})
    if not changed:
        return
    steps = checkpoint.steps_on_disk(stage.working_folder)
    reached, first = max(steps, default=0), changed[0][0]
    if first > reached:
        log.info("%s: data passed over: %s", stage.name, ", ".join(f"steps {a:,} to {b:,}" for a, b in skips) or "none")
        return
    too_late = [checkpoint.place(stage.working_folder, step) for step in steps if step >= first]
    names = ", ".join(place.name for place in too_late)
    then = "begins anew, since there is no older one" if len(too_late) == len(steps) else "goes on from the one before"
    raise PrealignError(
        f"{SETTING} was changed from {_shown(before)} to {_shown(skips)}, but the training has reached step "
        f"{reached:,}, and step {first:,} lies behind it. To go back, remove the checkpoints {names} from "
        f"{too_late[0].parent}; the same command then {then}."
    )


def _shown(skips: Sequence[tuple[int, ...]]) -> str:
    return str([list(stretch) for stretch in skips])

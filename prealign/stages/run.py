"""`prealign run`, and every command that takes a recipe: the stages in order, one line each."""

from __future__ import annotations

import logging
import os

from prealign.config.recipe import write_recipe
from prealign.config.settings import Recipe
from prealign.errors import PrealignError
from prealign.launcher import launch
from prealign.stages.layout import Layout
from prealign.stages.stage import fresh as make_fresh

log = logging.getLogger(__name__)


def run(recipe: Recipe, fresh: list[str], *, only: str | None = None, named: str = "RECIPE") -> int:
    """Carry out all stages, or only the one that belongs to a command; gives the exit code.

    Args:
        fresh: stages to make again.
        only: a command's name; None runs everything.
        named: the recipe as the user gave it, for the line that tells how to go on.
    """
    layout = Layout(recipe)
    if only not in ("init", "pretrain"):
        refuse_group()
    if launched_as_group() and fresh:
        raise PrealignError(
            "--fresh removes folders, which several processes would do at once; run it without a launcher."
        )
    make_fresh(layout.folders(), fresh)
    for stage in layout.stages():
        stage.is_finished()  # a folder made from another recipe is refused before anything is touched
    if not launched_as_group():
        write_recipe(recipe, layout.folder / "recipe.yaml")
    if only in (None, "build-dict"):
        from prealign.stages.build_dict import build_dictionaries

        build_dictionaries(recipe)
    if only in (None, "tokenizer", "prepare"):
        from prealign.stages import prepare

        if only in (None, "tokenizer"):
            prepare.make_tokenizer(recipe)
        if only in (None, "prepare"):
            prepare.make_store(recipe)
            prepare.make_pairs(recipe)
    if only in (None, "init", "pretrain", "eval", "report"):
        return _with_models(recipe, only, named)
    return 0


def launched_as_group() -> bool:
    """Whether this process is one of several started by torchrun or srun."""
    return launch(os.environ).world > 1


def refuse_group() -> None:
    """Stop a command that several processes would do at once."""
    if launched_as_group():
        raise PrealignError(
            "Only `prealign init` and `prealign pretrain` run under torchrun or srun; start this one plainly."
        )


def _with_models(recipe: Recipe, only: str | None, named: str) -> int:
    """The stages that need torch, which is imported here for the first time."""
    from prealign.stages.evaluate import run_eval
    from prealign.stages.init import run_init
    from prealign.stages.pretrain import run_pretrain
    from prealign.stages.report import run_report
    from prealign.stages.training import Materials, Stopped
    from prealign.train.parallel import process_group

    materials = Materials(recipe)
    try:
        if only in (None, "init", "pretrain"):
            with process_group(recipe.engine.timeout_s) as device:
                if only in (None, "init"):
                    run_init(materials, device)
                if only in (None, "pretrain"):
                    run_pretrain(materials, device)
    except Stopped as stopped:
        log.warning("%s. To go on: prealign %s %s", stopped, only or "run", named)
        return 0
    if only in (None, "eval"):
        run_eval(materials)
    if only in (None, "report"):
        run_report(materials)
    return 0

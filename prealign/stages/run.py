"""`prealign run`, and every command that takes a recipe: the stages in order, one line each."""

from __future__ import annotations

import logging
import os
import sys

from prealign.config.recipe import write_recipe
from prealign.config.settings import Recipe
from prealign.errors import PrealignError
from prealign.evaluation.lm_eval_adapter import refuse_missing
from prealign.launcher import launch
from prealign.stages.inputs import inputs_of
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
    if only in (None, "eval"):
        refuse_missing(recipe.eval.lm_eval)
    if only is None and recipe.eval.transfer and not layout.eval.is_finished():
        from prealign.corpora.drops import Drops
        from prealign.corpora.labelled_sets import labelled_set

        for item in recipe.eval.transfer:
            labelled_set(recipe, item, Drops())  # what is wrong with it is told before the training, not after
    if not launched_as_group():
        write_recipe(recipe, layout.folder / "recipe.yaml")
        inputs_of(layout.folder).write()
    if only in (None, "build-dict"):
        from prealign.stages.build_dict import build_dictionaries

        build_dictionaries(recipe)
    if only in (None, "tokenizer", "prepare"):
        from prealign.stages import prepare
        from prealign.stages.translation_store import make_translations

        if only in (None, "tokenizer"):
            prepare.make_tokenizer(recipe)
        if only in (None, "prepare"):
            prepare.make_store(recipe)
            prepare.make_pairs(recipe)
            make_translations(recipe)
    if only in (None, "init", "pretrain", "eval"):
        if _all_reused(layout, only):
            if only in (None, "eval"):
                from prealign.evaluation.comparison_table import comparison_table
                from prealign.evaluation.table import wants_colour
                from prealign.report.runs import read_results

                print(comparison_table(read_results(layout.folder)).text(wants_colour(sys.stdout)))
        elif not _with_models(recipe, only, named):
            return 0
    if only in (None, "report"):
        from prealign.stages.report import run_report

        run_report(layout)
    return 0


def _all_reused(layout: Layout, only: str | None) -> bool:
    """Whether nothing is left to train or measure, so that torch need not be loaded (4 to 6 s of CPU time); says so."""
    wanted = ("init", "pretrain", "eval") if only is None else (only,)
    stages = [stage for stage in layout.stages() if stage.name in wanted]
    return all(stage.is_finished() for stage in stages) and all(stage.is_reused() for stage in stages)


def launched_as_group() -> bool:
    """Whether this process is one of several started by torchrun or srun."""
    return launch(os.environ).world > 1


def refuse_group() -> None:
    """Stop a command that several processes would do at once."""
    if launched_as_group():
        raise PrealignError(
            "Only `prealign init` and `prealign pretrain` run under torchrun or srun; start this one plainly."
        )


def _with_models(recipe: Recipe, only: str | None, named: str) -> bool:
    """The stages that need torch, which is imported here for the first time; False when a signal stopped one."""
    from prealign.stages.evaluate import run_eval
    from prealign.stages.init import run_init
    from prealign.stages.materials import Materials
    from prealign.stages.pretrain import run_pretrain
    from prealign.stages.training import Stopped
    from prealign.train.parallel import process_group

    materials = Materials(recipe)
    try:
        if only in (None, "init", "pretrain"):
            with process_group(recipe.engine.timeout_s) as device:
                for seed in recipe.training_seeds:
                    if only in (None, "init"):
                        run_init(materials.for_seed(seed), device)
                    if only in (None, "pretrain"):
                        run_pretrain(materials.for_seed(seed), device)
    except Stopped as stopped:
        log.warning("%s. To go on: prealign %s %s", stopped, only or "run", named)
        return False
    if only in (None, "eval"):
        run_eval(materials)
    return True

"""`--dry-run`: what a command would read and write, how much, and what is already there. Nothing is made."""

from __future__ import annotations

from pathlib import Path

from prealign.config.arms import PLANS
from prealign.config.fields import PYTHON_DOCS, PYTHON_TOPICS
from prealign.config.settings import Recipe
from prealign.corpora.estimate import extent
from prealign.corpora.store_writer import has_progress
from prealign.errors import PrealignError
from prealign.hub import is_on_hub
from prealign.stages.layout import NOT_FETCHED, Layout
from prealign.stages.stage import Stage

COMMAND_STAGES = {
    "build-dict": ("dictionary",),
    "prepare": ("store", "pairs", "translations"),
    "preview": ("dictionary", "tokenizer", "store"),
}
"""Stages of the commands that are not called like their one stage; `run` has all of them."""


def describe(recipe: Recipe, command: str) -> str:
    """The plan as text: inputs with sizes, stages with their state, training in tokens."""
    recipe = recipe.unfetched()
    layout = Layout(recipe)
    only = None if command == "run" else COMMAND_STAGES.get(command, (command,))
    lines = ["reads"]
    for code, language in recipe.languages.items():
        for path in language.text:
            lines.append(f"  {code:<12} {_size(recipe, path)}")
        if language.clone_of:
            lines.append(
                f"  {code:<12} clone of {language.clone_document_share:.0%} of the {language.clone_of} documents"
            )
    for pair in recipe.dictionary.pairs:
        name = f"{pair.source}-{pair.target}"
        for path in [*(text.path for text in pair.parallel), *([pair.path] if pair.path else [])]:
            lines.append(f"  {name:<12} {_size(recipe, path)}")
        found = layout.corpora(pair)
        if found and all(file.exists() for corpus in found for file in corpus.files):
            lines.append(f"  {name:<12} {extent(found)}")
    for named in recipe.translations.pairs if recipe.reads_translations else ():
        name = f"{named.source}-{named.target}"
        lines += [f"  {name:<12} {_size(recipe, text.path)}" for text in named.parallel]
    if only is None or "eval" in only:
        lines += [f"  {'tests':<12} {_size(recipe, path)}" for path in _tests(recipe)]
    lines.append("writes")
    all_stages = layout.stages()
    is_known = all(NOT_FETCHED not in stage.inputs.values() for stage in all_stages)
    stages = [stage for stage in all_stages if only is None or stage.name in only]
    width = max((len(str(stage.folder)) for stage in stages), default=0)
    lines += [f"  {stage.folder!s:<{width}}  {_state(stage, is_known)}" for stage in stages]
    if only is None or "report" in only:
        lines.append(f"  {layout.folder / 'report.html'}")
    if only is None or {"init", "pretrain"} & set(only):
        block = recipe.pretrain.block_size
        init = recipe.init.max_steps * recipe.init.lm_rows_per_step * block
        text = f"{init:,} tokens of running text each"
        if not recipe.init.lm_weight or recipe.init.lm_on == "words":
            text = "no running text"
        pretrain = recipe.pretrain.max_steps * recipe.pretrain.global_batch_rows * block
        lines.append("trains")
        seeds = f" x {len(recipe.seeds)} seeds" if recipe.seeds else ""
        starts, steps = len(layout.init_kinds), recipe.init.max_steps
        lines.append(f"  init      {starts}{seeds} x {steps:,} steps, {text}")
        arms, steps = len(recipe.arms), recipe.pretrain.max_steps
        lines.append(f"  pretrain  {arms}{seeds} x {steps:,} steps, {pretrain:,} tokens each")
        lines += _sentence_pairs(recipe)
    return "\n".join(lines)


def _sentence_pairs(recipe: Recipe) -> list[str]:
    """What arms read of translation pairs beside running text."""
    settings, steps = recipe.translations, recipe.pretrain.max_steps
    lines = []
    for arm in recipe.arms:
        kind = PLANS[arm].translations
        told = []
        if kind != "none" and settings.tlm_pairs_per_step:
            told.append(f"{steps * settings.tlm_pairs_per_step:,} sentence pairs")
        if kind in ("contrast", "mixup"):
            told.append(f"{steps * settings.contrast.pairs_per_step:,} sentence pairs contrasted")
        lines += [f"  {arm:<9} also reads {' and '.join(told)}"] if told else []
    return lines


def _tests(recipe: Recipe) -> list[str]:
    """The files that models are measured on, each once."""
    settings = recipe.eval
    named = [item.path for item in settings.gold_dictionaries] + [item.path for item in settings.sentences]
    named += [path for item in settings.transfer for path in item.files] + [settings.lm_eval.include_path]
    return list(dict.fromkeys(path for path in named if path is not None))


def _size(recipe: Recipe, path: str) -> str:
    if path in (PYTHON_DOCS, PYTHON_TOPICS):
        return "the documentation of the running Python"
    place: Path = recipe.input(path)
    if is_on_hub(path) and not place.exists():
        return f"{path} (from the hub, not in its cache)"
    n_bytes = sum(file.stat().st_size for file in ([place] if place.is_file() else place.rglob("*")))
    size = f"{n_bytes / 1e6:,.1f} MB"
    return f"{path} (from the hub, in its cache, {size})" if is_on_hub(path) else f"{place} ({size})"


def _state(stage: Stage, is_known: bool) -> str:
    """What would become of a stage; `is_known`: the content of all that is read is."""
    try:
        if stage.is_finished():
            return "is there and would be reused"
    except PrealignError as error:
        if not is_known:
            return "is there; whether it would be reused is known when what is on the hub is fetched"
        return f"REFUSED: {error}"
    if stage.folder.is_dir():
        return "is there and would go on with what is new"
    if (stage.working_folder / "checkpoints").is_dir():
        return "would go on from its last checkpoint"
    return "would go on where it was interrupted" if has_progress(stage.working_folder) else "would be made"

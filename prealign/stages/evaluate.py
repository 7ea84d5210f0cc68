"""`prealign eval`: the finished models of all arms and seeds on the same tests -> results.json and the table.

    eval/results.json    {"format": 2, "seeds": [...], "baseline": arm, "arms": {arm: [one part per seed]},
                          "comparison": [`evaluation.statistics.Comparison`, ...], "dictionaries", "store", "versions"}

A part of an arm is {"seed", "lm_tokens": {"init", "pretrain", "pairs"}, "seconds": {"init", "pretrain", "eval"},
"flops": {"init", "pretrain"}, "parameters", "tasks": {task: {"scores", "measures"}}}. What each model was measured on,
task by task, lies beside it (`evaluation.parts`).
"""

from __future__ import annotations

import gc
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from prealign import files
from prealign.config.arms import PLANS, Arm
from prealign.config.evaluation import OWN_TESTS
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.quality import against_gold
from prealign.evaluation.comparison_table import comparison_table
from prealign.evaluation.harness import load_model
from prealign.evaluation.knowledge import KnowledgeTask
from prealign.evaluation.lm_eval_adapter import LmEvalTask
from prealign.evaluation.parts import Parts, has_parts, measure_missing
from prealign.evaluation.statistics import FORMAT, RESULTS, compare, models_of
from prealign.evaluation.table import wants_colour
from prealign.evaluation.task import Task
from prealign.evaluation.transfer import TransferTest, transfer_tests
from prealign.evaluation.words_in_context import ContextTest, WordsInContextTask
from prealign.log import Display
from prealign.stages.materials import Materials
from prealign.stages.pretrain import reads_text
from prealign.stages.stage import versions
from prealign.stages.training import MODEL
from prealign.train.compute import autocast_dtype

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

BASELINE: Arm = "joint"


def run_eval(materials: Materials) -> None:
    """Measure all models and print the table; an interrupted evaluation is gone on with."""
    recipe, stage = materials.recipe, materials.layout.eval
    for seed in recipe.training_seeds:
        for arm in recipe.arms:
            materials.for_seed(seed).layout.pretrain(arm).require("prealign pretrain RECIPE")
    if not stage.is_reused():
        with stage.locked():
            stage.build(lambda folder: _evaluate(materials, folder), worth_keeping=has_parts)
    print(comparison_table(files.read_json(stage.folder / RESULTS)).text(wants_colour(sys.stdout)))


def tasks_of(materials: Materials) -> list[Task]:
    """Everything that the recipe's models are measured on, encoded once."""
    return [
        *materials.suite.tasks,
        *_words_in_context(materials),
        *_invented_facts(materials),
        *_transfer(materials),
        *_of_lm_eval(materials),
    ]


def _words_in_context(materials: Materials) -> list[Task]:
    """Words inside linked sentences, if the recipe asks for them."""
    recipe, tests = materials.recipe, dict[str, dict[str, ContextTest]]()
    if not recipe.eval.context_sentences or not materials.reads_pairs:
        return []
    for trained, held_out in materials.dictionaries:
        languages = trained.source_language, trained.target_language
        stream = materials.pairs.streams.get(languages)
        if stream is None:  # an imported dictionary has no sentences
            continue
        for kind, asked in zip(OWN_TESTS, (held_out, trained), strict=True):
            pair = "--".join(languages)
            test = ContextTest.of(
                f"{pair} {kind}",
                stream,
                asked,
                (trained, held_out),
                n_sentences=recipe.eval.context_sentences,
                eos_id=materials.store.document_end,
                max_tokens=recipe.pretrain.block_size,
            )
            if test is None:
                log.warning("words in context, %s %s: left out, no linked sentence pair has such a word", pair, kind)
            else:
                log.info("words in context, %s %s: %s", pair, kind, test)
                tests.setdefault(pair, {})[kind] = test
    return [WordsInContextTask(tests, recipe.eval.batch_size * recipe.pretrain.block_size)] if tests else []


def _invented_facts(materials: Materials) -> list[KnowledgeTask]:
    """The questions about invented facts, if the recipe has any."""
    if materials.recipe.knowledge.language is None:
        return []
    trained = [trained for trained, _ in materials.dictionaries]
    task = KnowledgeTask.of(materials.recipe, materials.tokenizer, trained)
    log.info("knowledge: %s", task)
    return [task]


def _transfer(materials: Materials) -> list[TransferTest]:
    """Classifiers, fine-tuned in the precision of training."""
    recipe = materials.recipe
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return transfer_tests(recipe, materials.tokenizer, autocast_dtype(recipe.engine.precision, device))


def _of_lm_eval(materials: Materials) -> list[LmEvalTask]:
    recipe = materials.recipe
    settings = recipe.eval.lm_eval
    own = None if settings.include_path is None else recipe.input(settings.include_path)
    masked = recipe.model.kind == "masked_lm"
    return LmEvalTask.all_of(settings, materials.tokenizer, recipe.eval.batch_size, own, masked=masked)


def tasks_of_arms(materials: Materials) -> dict[Arm, list[Task]]:
    """The same for every arm; one that reads its text in other ids has the tests in those ids."""
    own = tasks_of(materials)
    mine = {arm: materials.for_arm(arm) for arm in materials.recipe.arms}
    return {arm: own if others is materials else tasks_of(others) for arm, others in mine.items()}


def _evaluate(materials: Materials, folder: Path) -> dict[str, Any]:
    recipe = materials.recipe
    if has_parts(folder):
        log.info("eval: going on with %s; tasks that are done are not measured again", folder)
    tasks = tasks_of_arms(materials)
    models = [(arm, seed) for seed in recipe.training_seeds for arm in recipe.arms]
    done = [Parts.of(folder, arm, seed).is_done(task.name) for arm, seed in models for task in tasks[arm]]
    n_done = sum(done)
    display = Display("evaluating", len(done), "tasks", n_done)

    def load(arm: Arm, seed: int) -> PreTrainedModel:
        log.info("eval: measuring %s, seed %d", arm, seed)
        return load_model(materials.for_seed(seed).layout.pretrain(arm).folder / MODEL)

    def tell(arm: Arm, task: str) -> None:
        nonlocal n_done
        n_done += 1
        display.show(n_done, f"{arm}, {task}")

    try:
        for arm, seed in models:
            measure_missing(partial(load, arm, seed), tasks[arm], Parts.of(folder, arm, seed), partial(tell, arm))
            _free_memory()
    finally:
        display.close()
    arms = {
        arm: [_of_model(materials, folder, arm, seed, tasks[arm]) for seed in recipe.training_seeds]
        for arm in recipe.arms
    }
    results: dict[str, Any] = {
        "format": FORMAT,
        "seeds": recipe.training_seeds,
        "baseline": BASELINE if BASELINE in recipe.arms else recipe.arms[0],
        "arms": arms,
        "comparison": [],
        "dictionaries": _dictionary_quality(materials),
        "store": materials.store.fingerprint,
        "versions": versions(),
    }
    with_items = models_of(results, lambda arm, seed, task: Parts.of(folder, arm, seed).items(task))
    results["comparison"] = [row.as_dict() for row in compare(with_items, results["baseline"])]
    files.write_json(folder / RESULTS, results)
    return {"arms": list(arms), "seeds": recipe.training_seeds, "tasks": [task.name for task in tasks[recipe.arms[0]]]}


def _free_memory() -> None:
    """Give the memory of a model back before the next one is loaded."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _of_model(materials: Materials, folder: Path, arm: Arm, seed: int, tasks: list[Task]) -> dict[str, Any]:
    """A model's part of results.json."""
    recipe, layout = materials.recipe, materials.for_seed(seed).layout
    pretrain, init = layout.pretrain(arm).manifest(), layout.init(PLANS[arm].start).manifest()
    block = recipe.pretrain.block_size
    pairs = pretrain["summary"].get("pair_tokens") or {}
    text_of_init = init["summary"]["steps"] * recipe.init.lm_rows_per_step * block
    found = {task.name: Parts.of(folder, arm, seed).read(task.name) for task in tasks}
    return {
        "seed": seed,
        "lm_tokens": {
            "init": text_of_init if reads_text(recipe) else init["summary"]["lm_tokens"],
            "pretrain": pretrain["summary"]["steps"] * recipe.pretrain.global_batch_rows * block,
            **({"pairs": pairs["pair"]} if pairs.get("pair") else {}),
        },
        "seconds": {
            "init": init["seconds"],
            "pretrain": pretrain["seconds"],
            "eval": round(sum(part["seconds"] for part in found.values()), 1),
        },
        "flops": {"init": init["summary"].get("flops"), "pretrain": pretrain["summary"].get("flops")},
        "parameters": next((part["parameters"] for part in found.values()), None),
        "tasks": {task: {"scores": part["scores"], "measures": part["measures"]} for task, part in found.items()},
    }


def _dictionary_quality(materials: Materials) -> dict[str, Any]:
    """Each extracted dictionary against the gold dictionaries of its pair."""
    recipe, found = materials.recipe, {}
    for pair in recipe.dictionary.pairs:
        ours = Dictionary.read(materials.layout.dictionary(pair).folder)
        quality = dict(ours.card.get("quality") or {})
        for item in recipe.eval.gold_dictionaries:
            if (item.source, item.target) == (pair.source, pair.target):
                quality[item.name] = against_gold(
                    ours, Dictionary.read(recipe.input(item.path), item.source, item.target)
                )
        found[f"{pair.source}-{pair.target}"] = quality
    return found

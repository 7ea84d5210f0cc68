"""`prealign eval`: the finished models of all arms on the same test sets -> results.json and the table."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from prealign import files
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.quality import against_gold
from prealign.evaluation.harness import evaluate_model
from prealign.evaluation.table import comparison_table, wants_colour
from prealign.stages.pretrain import reads_text
from prealign.stages.stage import versions
from prealign.stages.training import MODEL, Materials

log = logging.getLogger(__name__)

RESULTS = "results.json"


def run_eval(materials: Materials) -> None:
    """Measure all arms and print the table."""
    stage = materials.layout.eval
    for arm in materials.recipe.arms:
        materials.layout.pretrain(arm).require("prealign pretrain RECIPE")
    stage.build(lambda folder: _evaluate(materials, folder))
    print(comparison_table(files.read_json(stage.folder / RESULTS)["arms"]).text(wants_colour(sys.stdout)))


def _evaluate(materials: Materials, folder: Path) -> dict[str, Any]:
    recipe, layout = materials.recipe, materials.layout
    arms = {}
    for arm in recipe.arms:
        log.info("evaluating %s", arm)
        pretrain, init = layout.pretrain(arm), layout.init(layout.init_kind(arm))
        done, start = pretrain.manifest(), init.manifest()
        block = recipe.pretrain.block_size
        text_of_init = start["summary"]["steps"] * recipe.init.lm_rows_per_step * block
        read = {
            "init": text_of_init if reads_text(recipe) else start["summary"]["lm_tokens"],
            "pretrain": done["summary"]["steps"] * recipe.pretrain.global_batch_rows * block,
        }
        arms[arm] = {
            **evaluate_model(pretrain.folder / MODEL, materials.suite),
            "lm_tokens": read,
            "seconds": {"init": start["seconds"], "pretrain": done["seconds"]},
        }
    results = {
        "arms": arms,
        "seeds": [recipe.seed],
        "dictionaries": _dictionary_quality(materials),
        "store": materials.store.fingerprint,
        "versions": versions(),
    }
    files.write_json(folder / RESULTS, results)
    return {"arms": list(arms)}


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

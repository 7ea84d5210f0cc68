"""`prealign report`: the run folder as one page."""

from __future__ import annotations

from typing import Any

from prealign import files
from prealign.dictionary.dictionary import Dictionary
from prealign.report.page import write_report
from prealign.stages.evaluate import RESULTS
from prealign.stages.training import Materials
from prealign.train.metrics import read_rows


def run_report(materials: Materials) -> None:
    """Write report.html and report.md into the run folder."""
    recipe, layout = materials.recipe, materials.layout
    layout.eval.require("prealign eval RECIPE")
    results = files.read_json(layout.eval.folder / RESULTS)
    metrics: dict[str, list[dict[str, Any]]] = {}
    for arm in recipe.arms:
        stages = (layout.init(layout.init_kind(arm)), layout.pretrain(arm))
        metrics[arm] = [row for stage in stages for row in read_rows(stage.folder / "metrics.jsonl")[0]]
    cards = []
    for pair in recipe.dictionary.pairs:
        card = Dictionary.read(layout.dictionary(pair).folder).card
        cards.append(card | {"quality": results["dictionaries"][f"{pair.source}-{pair.target}"]})
    write_report(
        layout.folder,
        title=recipe.report.title,
        recipe=recipe.model_dump(mode="json"),
        results=results,
        metrics=metrics,
        dictionaries=cards,
        command=f"prealign run {layout.folder / 'recipe.yaml'}",
    )

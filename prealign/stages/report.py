"""`prealign report`: a finished run as one page, or several side by side.

Reads what lies in run folders: recipe.yaml, eval/, the metrics of the trainings and the cards of the dictionaries. So a
page can be made again long after its corpora are gone, and without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from prealign import files
from prealign.config.arms import PLANS, Arm
from prealign.config.flags import parse
from prealign.config.recipe import load_yaml
from prealign.dictionary.dictionary import CARD
from prealign.errors import PrealignError
from prealign.report.curves import Metrics
from prealign.report.page import write_comparison, write_report
from prealign.report.runs import Run, evaluation_of, read_results
from prealign.stages.layout import Layout
from prealign.train.metrics import read_rows


@dataclass(frozen=True)
class Flags:
    """Write the page of a finished run again, or a page that compares several runs.

    With a recipe instead: `prealign report RECIPE`.
    """

    runs: Positional[list[Path]]
    """Run folders; of several, all arms are compared with the baseline of the first."""
    output: Path | None = None
    """The page to write; none: report.html in the folder of a single run, comparison.html here for several."""


def run_report(layout: Layout) -> None:
    """Write report.html and report.md into the run folder of a recipe."""
    layout.eval.require("prealign eval RECIPE")
    _report(layout.folder, layout.folder / "report.html")


def report_from_folders(arguments: list[str]) -> int:
    """Carry out the command for run folders; the exit code."""
    flags = parse(Flags, arguments, "prealign report")
    page = flags.output
    if not flags.runs:
        raise PrealignError("Name a recipe or a run folder, or several run folders to compare them.")
    if page is not None and (page.is_dir() or page.suffix != ".html"):
        raise PrealignError(f"--output {page} must name the page, a file that ends in .html.")
    missing = [str(folder) for folder in flags.runs if not folder.is_dir()]
    if missing:
        raise PrealignError.of_several("These run folders do not exist:", missing)
    if len(flags.runs) == 1:
        _report(flags.runs[0], page or flags.runs[0] / "report.html")
    else:
        page = page or Path("comparison.html")
        write_comparison([_read(folder) for folder in flags.runs], page, _figures(page))
    return 0


def _report(folder: Path, page: Path) -> None:
    own = page == folder / "report.html"
    write_report(_read(folder), page, folder / "figures" if own else _figures(page))


def _figures(page: Path) -> Path:
    """A folder that no other page uses: it is replaced as a whole."""
    return page.with_name(f"{page.stem}-figures")


def _read(folder: Path) -> Run:
    results = read_results(folder)
    place = folder / "recipe.yaml"
    recipe = load_yaml(place)[0] if place.is_file() else {}  # models evaluated without a recipe have none
    cards = []
    for pair in recipe.get("dictionary", {}).get("pairs", []):
        card = files.read_json(folder / "dictionary" / f"{pair['source']}--{pair['target']}" / CARD)
        cards.append(card | {"quality": results["dictionaries"].get(f"{pair['source']}-{pair['target']}")})
    return Run(
        name=folder.resolve().name,
        recipe=recipe,
        results=results,
        metrics=_metrics(folder, recipe, results),
        dictionaries=cards,
        command=f"prealign run {place}" if recipe else "",
        evaluation=evaluation_of(folder),
    )


def _metrics(folder: Path, recipe: dict[str, Any], results: dict[str, Any]) -> Metrics:
    """The rows of both stages of every arm and seed."""
    return {
        arm: {model["seed"]: _rows(folder, recipe, arm, model["seed"]) for model in models if arm in PLANS}
        for arm, models in results["arms"].items()
    }


def _rows(folder: Path, recipe: dict[str, Any], arm: Arm, seed: int) -> list[dict[str, Any]]:
    trained = folder / f"seed-{seed}" if recipe.get("seeds") else folder  # as in `layout`
    stages = (trained / "init" / PLANS[arm].start, trained / "pretrain" / arm)
    return [row for stage in stages for row in read_rows(stage / "metrics.jsonl")[0]]

"""What a page is made from: one finished run, or several put side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prealign import files
from prealign.errors import PrealignError
from prealign.evaluation.parts import Parts
from prealign.evaluation.statistics import FORMAT, RESULTS, compare, models_of
from prealign.evaluation.task import Item
from prealign.report.curves import Metrics


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run in plain values."""

    name: str
    recipe: Mapping[str, Any]
    """The resolved recipe."""
    results: Mapping[str, Any]
    """results.json, format 2."""
    metrics: Metrics
    """Arm -> seed -> rows of metrics.jsonl, those of stage 1 first."""
    dictionaries: Sequence[Mapping[str, Any]] = ()
    """Cards of its dictionaries."""
    command: str = ""
    """The line that repeats it."""
    evaluation: Path = field(default=Path())
    """Folder of its results and items."""


def evaluation_of(folder: Path) -> Path:
    """Where the results of a folder lie: in `eval/` of a run; itself, where models were evaluated without a recipe.

    Raises:
        PrealignError: none there.
    """
    for place in (folder / "eval", folder):
        if (place / RESULTS).is_file():
            return place
    raise PrealignError(
        f"{folder} has no eval/{RESULTS}, so it is no finished run. Name the folder that `prealign run` or `prealign "
        "eval` wrote."
    )


def read_results(folder: Path) -> dict[str, Any]:
    """The results of a run's folder.

    Raises:
        PrealignError: none there, or results that another version wrote.
    """
    path = evaluation_of(folder) / RESULTS
    results = files.read_json(path)
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        found = results.get("format", 1) if isinstance(results, dict) else "unknown"
        recipe = folder / "recipe.yaml"
        command = f"prealign eval {recipe} --fresh eval" if recipe.is_file() else "prealign eval"
        raise PrealignError(
            f"{path} has format {found}, this version reads format {FORMAT}. Measure the models again with `{command}`."
        )
    return results


def kept_items(run: Run, arm: str, seed: int, task: str) -> Iterator[Item]:
    """The items of a task; none where they were not kept, which comparisons then tell."""
    with contextlib.suppress(FileNotFoundError):
        yield from Parts.of(run.evaluation, arm, seed).items(task)


def side_by_side(runs: Sequence[Run]) -> Run:
    """Several runs as one with arms named "run/arm", all compared with the baseline of the first.

    Raises:
        PrealignError: two runs of one name.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise PrealignError(f"Two of the runs have the same name ({', '.join(names)}); rename one folder.")
    owners = {f"{run.name}/{arm}": (run, arm) for run in runs for arm in run.results["arms"]}
    arms = {name: run.results["arms"][arm] for name, (run, arm) in owners.items()}
    first = runs[0].results
    baseline = f"{runs[0].name}/{first.get('baseline') or next(iter(first['arms']), '')}"

    def items(arm: str, seed: int, task: str) -> Iterator[Item]:
        run, plain = owners[arm]
        return kept_items(run, plain, seed, task)

    results = {
        "format": FORMAT,
        "seeds": list(dict.fromkeys(part["seed"] for parts in arms.values() for part in parts)),
        "baseline": baseline,
        "arms": arms,
    }
    results["comparison"] = [row.as_dict() for row in compare(models_of(results, items), baseline)]
    return Run(
        name=" and ".join(names),
        recipe={},
        results=results,
        metrics={f"{run.name}/{arm}": seeds for run in runs for arm, seeds in run.metrics.items()},
        dictionaries=[
            {**card, "title": f"{run.name}: {card.get('source_language')}–{card.get('target_language')}"}
            for run in runs
            for card in run.dictionaries
        ],
    )

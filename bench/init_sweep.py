"""What the settings of stage 1 do to the model that comes out of stage 2: one table, several seeds.

Every variant changes one setting of a recipe. Dictionary, tokenizer and store are made once per seed and shared, so a
variant costs one `init` and one `pretrain`; the control is the arm `joint`, which sees the same text.

    python bench/init_sweep.py --runs FOLDER --seeds 1 2 3                    # all variants on the quickstart recipe
    python bench/init_sweep.py --runs FOLDER --only temperature --seeds 1     # those whose name begins so

A variant that is there already is only read, so the table can be printed at any time. Each run is an ordinary run
folder with its resolved recipe.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHARED = ("dictionary", "tokenizer", "store")
IN_CONTEXT = ("--init.context-sentences-per-step",)
"""Of quickstart's sentence pairs, 10 hold about as many trained words as 64 groups of words alone: 120 of 128."""
ONLY = ("--init.alignment-weight", "0", "--init.context-weight", "0.3")
HALF = ("--init.words-per-step", "32", "--init.alignment-weight", "0.15", "--init.context-weight", "0.15")
VARIANTS: dict[str, list[str]] = {
    "recipe": [],
    "temperature 0.03": ["--init.temperature", "0.03"],
    "temperature 0.3": ["--init.temperature", "0.3"],
    "temperature learnt": ["--init.learn-temperature"],
    "layers: embeddings only": ["--init.layers", "0"],
    "layers: middle block only": ["--init.layers", "2"],
    "layers: last block only": ["--init.layers", "4"],
    "last sub-word": ["--init.pooling", "last"],
    "no LM term": ["--init.lm-weight", "0"],
    "LM on words": ["--init.lm-on", "words"],
    "alignment weight 1.0": ["--init.alignment-weight", "1.0"],
    "collapse weight 1.0": ["--init.collapse-weight", "1.0"],
    "sum of logs": ["--init.positives", "sum_log"],
    "frequency^0.5": ["--init.frequency-exponent", "0.5"],
    "words in context": [*IN_CONTEXT, "10", *ONLY],
    "words in context, all layers": [*IN_CONTEXT, "10", *ONLY, "--init.context-layers", "all"],
    "words alone and in context": [*IN_CONTEXT, "5", *HALF],
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="recipes/quickstart.yaml")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of variants' names")
    parser.add_argument("--print", action="store_true", help="only print what is there")
    arguments, given = parser.parse_known_args()
    chosen = [name for name in VARIANTS if name.startswith(tuple(arguments.only))]
    for seed in [] if arguments.print else arguments.seeds:
        base = arguments.runs / f"base-{seed}"
        overrides = ["--dictionary.keep-links", "10000", *given]  # what is shared must serve all variants
        run(arguments.recipe, base, ["--seed", str(seed), "--arms", "joint", *overrides])
        for name in chosen:
            place = folder(arguments.runs, name, seed)
            if not (place / "eval" / "results.json").is_file():
                for part in SHARED:
                    shutil.copytree(base / part, place / part, dirs_exist_ok=True)
            run(arguments.recipe, place, ["--seed", str(seed), "--arms", "prealign", *overrides, *VARIANTS[name]])
    print(table(arguments.runs, chosen, arguments.seeds))


def folder(runs: Path, name: str, seed: int) -> Path:
    """Where a variant's run lies."""
    return runs / f"{name.replace(' ', '-').replace(':', '')}-{seed}"


def run(recipe: str, place: Path, flags: Sequence[str]) -> None:
    """One `prealign run`, unless it is finished."""
    if (place / "eval" / "results.json").is_file():
        return
    print(f"{place.name}: {' '.join(flags)}", file=sys.stderr, flush=True)
    place.mkdir(parents=True, exist_ok=True)
    with (place / "log.txt").open("w") as log:
        subprocess.run(
            [sys.executable, "-m", "prealign", "run", recipe, "--output", str(place), *flags],
            check=True,
            stdout=log,
            stderr=log,
        )


def table(runs: Path, chosen: Sequence[str], seeds: Sequence[int]) -> str:
    """Markdown: means over seeds, plus or minus their standard deviation."""
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        control = measured(runs / f"base-{seed}", "joint")
        if control:
            rows.setdefault("joint (control)", []).append(control)
        for name in chosen:
            if found := measured(folder(runs, name, seed), "prealign"):
                rows.setdefault(name, []).append(found)
    columns = list(dict.fromkeys(column for found in rows.values() for row in found for column in row))
    lines = ["| " + " | ".join(["variant", "seeds", *columns]) + " |", "|---|" + "---:|" * (len(columns) + 1)]
    for name, found in rows.items():
        cells = [mean_and_spread([row[column] for row in found if column in row]) for column in columns]
        lines.append("| " + " | ".join([name, str(len(found)), *cells]) + " |")
    return "\n".join(lines)


def measured(place: Path, arm: str) -> dict[str, float]:
    """The numbers of one finished run; empty if it is not there."""
    if not (place / "eval" / "results.json").is_file():
        return {}
    (model,) = json.loads((place / "eval" / "results.json").read_text())["arms"][arm]
    result: dict[str, Any] = {name: task["scores"] for name, task in model["tasks"].items()}
    kind = "control" if arm == "joint" else "aligned"
    rows = [json.loads(line) for line in (place / "init" / kind / "metrics.jsonl").read_text().splitlines()]
    after_init = [row for row in rows if row["kind"] == "eval"][-1]
    found = {f"bits/byte {code}": bits["value"] for code, bits in result["bits_per_byte"].items()}
    found |= {f"bits/byte {code}, after init": bits for code, bits in after_init["bits_per_byte"].items()}
    for pair, tests in after_init["word_retrieval"].items():
        for test, layers in tests.items():
            found[f"P@1 {test}, after init"] = statistics.mean(layers)
        for test, scores in result["word_retrieval"][pair].items():
            found[f"P@1 {test}, at the end"] = scores["summary"]["p_at_1"]
    return found


def mean_and_spread(values: Sequence[float]) -> str:
    """The mean, and the standard deviation over seeds where there are several."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()

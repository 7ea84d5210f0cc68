"""`prealign doctor`: what this machine has, what is missing, and the line that installs it."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from prealign import __version__
from prealign.alignment.aligners import INSTALL_LINES, is_installed
from prealign.config.dictionary import ALIGNERS
from prealign.errors import PrealignError

USAGE = """usage: prealign doctor [--json]

Versions, aligners and devices; what is missing and the line that installs it. Exit code 1 if something required is."""
BASE = (
    "numpy",
    "numba",
    "tqdm",
    "pyyaml",
    "pydantic",
    "tyro",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "sentencepiece",
    "icu4py",
    "rjieba",
    "zstandard",
    "jinja2",
    "duckdb",
    "scipy",
)
"""As in pyproject.toml; written down here because a checkout that is not installed has no metadata to ask."""
EXTRAS = {
    "neural": ("simalign",),
    "thot": ("sil-thot",),
    "datasets": ("datasets",),
    "report": ("matplotlib",),
    "eval": ("lm-eval", "accelerate"),
    "track": ("tensorboard", "wandb"),
}


def doctor(arguments: list[str]) -> int:
    """Print the findings as text, or as JSON with --json; exit code 1 when a required package is missing."""
    if set(arguments) & {"-h", "--help"}:
        print(USAGE)
        return 0
    if unknown := [argument for argument in arguments if argument != "--json"]:
        raise PrealignError(f"prealign doctor takes nothing but --json, got {' '.join(unknown)}.")
    found = examine()
    if "--json" in arguments:
        print(json.dumps(found, indent=2))
    else:
        print(as_text(found))
    return 1 if any(value is None for value in found["required"].values()) else 0


def examine() -> dict[str, dict[str, str | None]]:
    """Versions by group; None where something is missing."""
    return {
        "machine": {
            "prealign": __version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": str(os.cpu_count()),
        },
        "devices": _devices(),
        "required": {name: _version(name) for name in BASE},
        **{f"extra {extra}": {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "aligners": {name: "ready" if is_installed(name) else None for name in ALIGNERS},
    }


def as_text(found: dict[str, dict[str, str | None]]) -> str:
    """The findings as aligned lines, each missing thing with its remedy."""
    lines = []
    for group, values in found.items():
        lines.append(group)
        for name, value in values.items():
            lines.append(f"  {name:<16} {value if value is not None else _remedy(group, name)}")
    return "\n".join(lines)


def _remedy(group: str, name: str) -> str:
    if group.startswith("extra "):
        return f"missing; pip install 'prealign[{group.removeprefix('extra ')}]'"
    if group == "aligners":
        return f"missing; {INSTALL_LINES[name]}"
    return f"missing; pip install {name}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> dict[str, str | None]:
    if find_spec("torch") is None:
        return {}
    import torch

    found: dict[str, str | None] = {
        "cpu": f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}",
    }
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found[f"cuda:{number}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.cuda.device_count() == 0:
        found["cuda"] = "none"
    return found

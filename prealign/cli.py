"""The command line. `prealign --help` prints this page at once; a command loads only what it needs.

Exit codes: 0 done (or stopped by a signal after saving), 2 a mistake of the user told in a sentence, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from prealign import __version__
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

USAGE = f"""prealign {__version__}: multilingual alignment before pretraining, kept alive during pretraining

usage: prealign COMMAND RECIPE [--SECTION.SETTING VALUE ...]

  run         all stages of a recipe in order; finished ones are reused, an interrupted one goes on
  build-dict  parallel text or existing dictionaries -> a dictionary        (also from flags alone)
  tokenizer   corpora of all languages -> a Hugging Face tokenizer
  prepare     corpora + tokenizer -> a token store
  init        fresh or existing model + dictionary -> aligned start, and its control
  pretrain    start + store + dictionary -> trained models, one per arm
  eval        models + test sets -> eval/results.json            (also any models, from flags alone)
  report      run folder -> report.html, report.md; several run folders -> comparison.html
  preview     switched samples of running text, and statistics              (also from flags alone)
  dictionary  show | coverage | merge | invert | pivot | import | export | check | quality | links (--help tells more)
  doctor      versions, aligners, devices; what is missing and the line that installs it

After a recipe, --help shows every setting with its meaning and this recipe's value, --dry-run what would happen,
--fresh STAGE makes a stage again, --offline asks no Hugging Face hub, --verbose says more. Without a recipe,
`prealign COMMAND --help` shows the flags of the commands that work from flags alone.
`prealign run recipes/quickstart.yaml` needs nothing but Python's own documentation.
"""

HELP = ("-h", "--help")
RECIPE_COMMANDS = ("run", "build-dict", "tokenizer", "prepare", "init", "pretrain", "eval", "report", "preview")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `prealign` program."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Carry out one command line and give its exit code."""
    from prealign.log import set_up

    if not arguments or arguments[0] in (*HELP, "help"):
        print(USAGE, end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(__version__)
        return 0
    set_up(verbose="--verbose" in arguments)
    if "--offline" in arguments:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the hub's library looks when it is loaded, which is later
    command, rest = arguments[0], [a for a in arguments[1:] if a not in ("--verbose", "--offline")]
    try:
        if command == "doctor":
            from prealign.stages.doctor import doctor

            return doctor(rest)
        if command == "build-dict" and (not rest or rest[0].startswith("-")):
            from prealign.stages.build_dict_flags import build_from_flags

            return build_from_flags(rest)
        if command == "eval" and rest and _is_model(rest[0]):
            from prealign.stages.evaluate_flags import evaluate_from_flags

            return evaluate_from_flags(rest)
        if command == "preview" and (not rest or rest[0].startswith("-")):
            from prealign.stages.preview_flags import preview_from_flags

            return preview_from_flags(rest)
        if command == "report" and not (rest and _names_a_file(rest[0])):
            from prealign.stages.report import report_from_folders

            return report_from_folders(rest)
        if command == "dictionary":
            from prealign.stages.dictionary_tools import dictionary_tool

            return dictionary_tool(rest or ["--help"])
        if command in RECIPE_COMMANDS:
            return _with_recipe(command, rest)
        raise PrealignError(f"There is no command {command!r}{_nearest(command)} `prealign --help` lists them.")
    except PrealignError as error:
        print(f"prealign: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has seen enough: `prealign doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains while it ends
        return 0
    except OSError as error:
        log.debug("where it happened", exc_info=True)
        print(f"prealign: {_told(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("prealign: interrupted; the same command goes on from the last finished stage.", file=sys.stderr)
        return 130


def _is_model(first: str) -> bool:
    """Whether `eval` is given models rather than a recipe: flags first, a model's folder, or a name on the hub.

    Raises:
        PrealignError: there is no such recipe, run folder or model.
    """
    place = Path(first)
    if first.startswith("-"):
        return True
    if place.is_dir():
        model, recipe = place / "config.json", place / "recipe.yaml"
        if not (model.is_file() or recipe.is_file()):
            inner = f" Its model is {place / 'model'}." if (place / "model" / model.name).is_file() else ""
            raise PrealignError(
                f"{place} is neither a model's folder (it has no {model.name}) nor a run folder (it has no "
                f"{recipe.name}).{inner}"
            )
        return model.is_file()
    if _names_a_file(first):
        return False
    from prealign.hub import HUB_NAME

    if not HUB_NAME.fullmatch(first):
        raise PrealignError(
            f"There is no recipe, run folder or model {first}. Names of models on the hub are ORGANISATION/NAME."
        )
    return True


def _names_a_file(first: str) -> bool:
    """Whether an argument is a recipe rather than a folder, be it there or not."""
    place = Path(first)
    return place.is_file() or (place.suffix in (".yaml", ".yml") and not place.is_dir())


def _told(error: OSError) -> str:
    """What the system refuses: "PATH: Permission denied"."""
    what = error.strerror or str(error) or type(error).__name__
    return what if error.filename is None else f"{error.filename}: {what}"


def _nearest(command: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(command, (*RECIPE_COMMANDS, "dictionary", "doctor"), n=1)
    return f"; did you mean {near[0]}?" if near else "."


def _with_recipe(command: str, rest: list[str]) -> int:
    usage = f"prealign {command} RECIPE [--SECTION.SETTING VALUE ...]"
    if rest and rest[0] in HELP:
        print(f"usage: {usage}\n\n{USAGE.split(chr(10), 4)[4]}", end="")
        return 0
    if not rest or rest[0].startswith("-"):
        raise PrealignError(f"Name the recipe first: {usage}; `prealign --help` tells more.")
    from prealign.config.recipe import print_help, read_recipe

    options, flags = _options(command).parse_known_args(rest[1:])
    recipe = read_recipe(Path(rest[0]), [flag for flag in flags if flag not in HELP])
    if set(flags) & set(HELP):
        print(_options(command).format_help())
        print_help(recipe, f"prealign {command} {rest[0]}")
        return 0
    if command != "build-dict" and not recipe.has_text:
        raise PrealignError(
            f"{rest[0]}: no language has `text`, so only `prealign build-dict` can use this recipe; name files of "
            "running text for the others."
        )
    if options.dry_run:
        from prealign.stages.dry_run import describe

        print(describe(recipe, command))
        return 0
    if command == "preview":
        from prealign.stages.preview import View, preview_recipe

        return preview_recipe(recipe, View(options.samples, options.tokens, options.html))
    from prealign.stages.run import run as run_stages

    return run_stages(recipe, options.fresh, only=None if command == "run" else command, named=rest[0])


class _Options(argparse.ArgumentParser):
    """The flags of a command that are no settings of the recipe; mistakes end as all others do."""

    def error(self, message: str) -> NoReturn:
        raise PrealignError(f"{message[0].upper()}{message[1:]}.")


def _options(command: str) -> argparse.ArgumentParser:
    from prealign.stages.stage import FOLLOWERS

    parser = _Options(prog=f"prealign {command} RECIPE", add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be read, written and how much; do nothing"
    )
    if command == "preview":
        parser.add_argument("--samples", type=int, default=8, help="rows of text to show")
        parser.add_argument("--tokens", action="store_true", help="show ids and labels around every switched word")
        parser.add_argument("--html", type=Path, metavar="PAGE", help="also write everything as one page")
    else:
        parser.add_argument(
            "--fresh", action="append", default=[], choices=list(FOLLOWERS), metavar="STAGE",
            help=f"make a stage again, and what was made from it; one of {', '.join(FOLLOWERS)}",
        )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="more messages")
    parser.add_argument("--offline", action="store_true", help="ask no Hugging Face hub; what is in its cache is used")
    return parser

"""`prealign build-dict` without a recipe: parallel text, two language codes and a place for the result."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.settings import DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import flat, pair_files, read_pairs
from prealign.errors import PrealignError
from prealign.stages.stage import Stage, options_of

log = logging.getLogger(__name__)


@dataclass
class Flags:
    """Extract a dictionary from parallel text by word alignment in both directions."""

    parallel: list[Path]
    """Parallel text: TSV files with source and target per line, compressed or not; or the files of Moses pairs."""
    source: str
    """BCP 47 code of the first column."""
    target: str
    """BCP 47 code of the second column."""
    output: Path
    """Folder to write: entries.tsv, card.json, manifest.json."""
    thresholds: DictionarySettings = field(default_factory=DictionarySettings)
    seed: int = 1
    """Key of every random draw."""

    def corpora(self) -> list[Path | tuple[Path, Path]]:
        """What to read: a Moses pair once, whether one of its files was named or both."""
        found = [pair_files(path, self.source, self.target) for path in self.parallel]
        partners = {item[1] for item in found if isinstance(item, tuple)}
        return [item for item in found if item not in partners]


def build_from_flags(arguments: list[str]) -> int:
    """Carry out the command; the exit code."""
    import tyro

    flags = tyro.cli(Flags, args=arguments, prog="prealign build-dict", config=(tyro.conf.OmitSubcommandPrefixes,))
    missing = [str(path) for path in flags.parallel if not path.is_file()]
    if missing:
        raise PrealignError.of_several("These files do not exist:", missing)
    stage = Stage(
        "dictionary",
        flags.output,
        options_of(flags.thresholds, "thresholds", "pairs", "held_out_share", "clone_sentence_pairs")
        | {"source": flags.source, "target": flags.target, "seed": flags.seed},
        {str(path): files.fingerprint(path) for path in flat(flags.corpora())},
    )
    manifest = stage.build(lambda folder: _build(flags, folder))
    print(f"{flags.output}: {manifest['summary']['entries']:,} entries for {manifest['summary']['sources']:,} words")
    return 0


def _build(flags: Flags, folder: Path) -> dict[str, Any]:
    from prealign.dictionary.induce import (
        induce,
    )  # numba takes half a second to load, and --help should not wait for it

    drops = Drops()
    pairs = read_pairs(flags.corpora(), drops)
    dictionary = induce(pairs, flags.source, flags.target, flags.thresholds, flags.seed, drops)
    dictionary.write(folder)
    log.info("left out: %s", drops)
    return {"entries": len(dictionary), "sources": len(dictionary.by_source()), "left_out": drops.as_dict()}

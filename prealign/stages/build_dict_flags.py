"""`prealign build-dict` without a recipe: parallel text, two language codes and a place for the result."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.settings import DictionaryPair, DictionarySettings, SegmenterName
from prealign.corpora.drops import Drops
from prealign.corpora.estimate import extent
from prealign.corpora.rejects import rejects_beside
from prealign.corpora.sentence_pairs import Corpus, corpora
from prealign.errors import PrealignError
from prealign.stages.stage import Stage, options_of

log = logging.getLogger(__name__)


@dataclass
class Flags:
    """Extract a dictionary from parallel text by word alignment in both directions."""

    parallel: list[Path]
    """Parallel text: .tsv, ||| lines, .jsonl, .tmx, .parquet, or the files of Moses pairs; compressed or not."""
    source: str
    """BCP 47 code of the source language, which the first column is in."""
    target: str
    """BCP 47 code of the target language, which the second column is in."""
    output: Path
    """Folder to write: entries.tsv, card.json, manifest.json. What was left out is shown beside it, in
    NAME.rejects.tsv."""
    source_segmenter: SegmenterName = "auto"
    """How words of the source language are found; spaces: the text is segmented already."""
    target_segmenter: SegmenterName = "auto"
    """How words of the target language are found."""
    thresholds: DictionarySettings = field(default_factory=DictionarySettings)
    seed: int = 1
    """Key of every random draw."""
    dry_run: bool = False
    """Say how much would be read and what would be written; do nothing."""

    @property
    def pair(self) -> DictionaryPair:
        return DictionaryPair(
            source=self.source,
            target=self.target,
            source_segmenter=self.source_segmenter,
            target_segmenter=self.target_segmenter,
        )

    @property
    def corpora(self) -> list[Corpus]:
        return corpora([(path, 1.0) for path in self.parallel], self.source, self.target)


def build_from_flags(arguments: list[str]) -> int:
    """Carry out the command; the exit code."""
    import tyro

    flags = tyro.cli(Flags, args=arguments, prog="prealign build-dict", config=(tyro.conf.OmitArgPrefixes,))
    missing = [str(path) for path in flags.parallel if not path.is_file()]
    if missing:
        raise PrealignError.of_several("These files do not exist:", missing)
    if flags.dry_run:
        print(f"reads   {extent(flags.corpora)}\nwrites  {flags.output}, {rejects_beside(flags.output)}")
        return 0
    stage = Stage(
        "dictionary",
        flags.output,
        options_of(flags.thresholds, "thresholds", "pairs", "held_out_share", "clone_sentence_pairs")
        | options_of(flags.pair, "pair", "parallel", "path")
        | {"seed": flags.seed},
        {str(path): files.fingerprint(path) for corpus in flags.corpora for path in corpus.files},
    )
    manifest = stage.build(lambda folder: _build(flags, folder))
    print(f"{flags.output}: {manifest['summary']['entries']:,} entries for {manifest['summary']['sources']:,} words")
    return 0


def _build(flags: Flags, folder: Path) -> dict[str, Any]:
    # numba takes half a second to load, and --help should not wait for it
    from prealign.stages.build_dict import from_parallel_text

    drops = Drops()
    rejects = rejects_beside(flags.output)
    dictionary = from_parallel_text(flags.corpora, flags.pair, flags.thresholds, flags.seed, drops, rejects)
    dictionary.write(folder)
    log.info("left out: %s", drops)
    return {"entries": len(dictionary), "sources": len(dictionary.by_source()), "left_out": drops.as_dict()}

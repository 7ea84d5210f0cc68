"""`prealign build-dict` without a recipe: parallel text, two language codes and a place for the result."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prealign import files
from prealign.config.settings import DictionaryPair, DictionarySettings, SegmenterName
from prealign.corpora.drops import Drops
from prealign.corpora.estimate import extent
from prealign.corpora.rejects import rejects_beside
from prealign.corpora.sentence_pairs import Corpus, corpora, read_pairs
from prealign.errors import PrealignError
from prealign.stages.stage import Stage, options_of

log = logging.getLogger(__name__)


@dataclass
class Flags:
    """Extract a dictionary from parallel text by word alignment in both directions."""

    source: str
    """BCP 47 code of the source language, which the first column is in."""
    target: str
    """BCP 47 code of the target language, which the second column is in."""
    output: Path
    """Folder to write: entries.tsv, card.json, manifest.json. What was left out is shown beside it, in
    NAME.rejects.tsv."""
    parallel: list[Path] = field(default_factory=list)
    """Parallel text: .tsv, ||| lines, .jsonl, .tmx, .parquet, or the files of Moses pairs; compressed or not."""
    counts: list[Path] = field(default_factory=list)
    """Instead of parallel text: folders that --shard has written, to make the dictionary of all of them together."""
    shard: str | None = None
    """i/n: count the links of the i-th of n parts of the parallel text, with --model; the output is a folder for
    --counts."""
    source_segmenter: SegmenterName = "auto"
    """How words of the source language are found; spaces: the text is segmented already."""
    target_segmenter: SegmenterName = "auto"
    """How words of the target language are found."""
    links: list[Path] = field(default_factory=list)
    """For --aligner links: the Pharaoh file of each corpus, in the order of --parallel."""
    model: Path | None = None
    """A trained aligner to apply: the folder `aligner` of a dictionary that was built with --save-model."""
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
            model=None if self.model is None else str(self.model),
        )

    @property
    def corpora(self) -> list[Corpus]:
        found = corpora([(path, 1.0) for path in self.parallel], self.source, self.target)
        return [replace(corpus, links=links) for corpus, links in zip(found, self.links)] if self.links else found


def build_from_flags(arguments: list[str]) -> int:
    """Carry out the command; the exit code."""
    import tyro

    flags = tyro.cli(Flags, args=arguments, prog="prealign build-dict", config=(tyro.conf.OmitArgPrefixes,))
    missing = [str(path) for path in (*flags.parallel, *flags.links) if not path.is_file()]
    missing += [str(path) for path in (*flags.counts, flags.model) if path is not None and not path.is_dir()]
    if missing:
        raise PrealignError.of_several("These files do not exist:", missing)
    _check(flags)
    shard = _shard(flags)
    if flags.dry_run:
        print(f"reads   {extent(flags.corpora)}\nwrites  {flags.output}, {rejects_beside(flags.output)}")
        return 0
    stage = Stage(
        "dictionary",
        flags.output,
        options_of(flags.thresholds, "thresholds", "pairs", "held_out_share", "clone_sentence_pairs")
        | options_of(flags.pair, "pair", "parallel", "path", "model")
        | {"seed": flags.seed}
        | ({} if shard is None else {"shard": flags.shard}),
        {str(path): files.fingerprint(path) for path in _inputs(flags)},
    )
    if shard is not None:
        manifest = stage.build(lambda folder: _count(flags, shard, folder))
        print(f"{flags.output}: {manifest['summary']['sentence_pairs']:,} sentence pairs counted")
        return 0
    manifest = stage.build(lambda folder: _build(flags, folder))
    print(f"{flags.output}: {manifest['summary']['entries']:,} entries for {manifest['summary']['sources']:,} words")
    return 0


def _check(flags: Flags) -> None:
    """What flags need and what they exclude."""
    if bool(flags.parallel) == bool(flags.counts):
        raise PrealignError("Give either --parallel (text to align) or --counts (folders that --shard has written).")
    if flags.counts and (flags.shard is not None or flags.model is not None):
        raise PrealignError("--counts adds up what was counted; --shard and --model belong to --parallel.")
    if flags.shard is not None and flags.model is None:
        raise PrealignError(
            "--shard needs --model, so that all shards are linked alike: the folder `aligner` of a dictionary built "
            "from a part of the text with --max-sentence-pairs and --save-model."
        )
    _check_links(flags)


def _shard(flags: Flags) -> tuple[int, int] | None:
    """(i, n) of --shard i/n."""
    if flags.shard is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", flags.shard)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise PrealignError(f"--shard is i/n with i from 1 to n, such as 3/16; got {flags.shard!r}.")
    return int(found[1]), int(found[2])


def _check_links(flags: Flags) -> None:
    aligner = flags.thresholds.aligner
    n_corpora = len(corpora([(path, 1.0) for path in flags.parallel], flags.source, flags.target))
    wanted = n_corpora if aligner == "links" else 0
    if len(flags.links) != wanted:
        raise PrealignError(
            f"--links names {len(flags.links)} files, but --aligner {aligner} wants {wanted} here: with the aligner "
            "links one for each corpus (both files of a Moses pair are one corpus), with others none."
        )


def _inputs(flags: Flags) -> list[Path]:
    """The files and folders that shape the dictionary."""
    inputs = [*flags.counts, *(path for corpus in flags.corpora for path in corpus.files)]
    encoder = flags.thresholds.encoder
    if encoder is not None and Path(encoder).exists():
        inputs.append(Path(encoder))
    return inputs if flags.model is None else [*inputs, flags.model]


def _build(flags: Flags, folder: Path) -> dict[str, Any]:
    # numba takes half a second to load, and --help should not wait for it
    from prealign.dictionary.induce import from_counts
    from prealign.stages.build_dict import from_parallel_text, kept_beside

    drops = Drops()
    rejects = rejects_beside(flags.output)
    with kept_beside(folder) as beside:
        if flags.counts:
            dictionary = from_counts(flags.counts, flags.source, flags.target, flags.thresholds, drops)
        else:
            dictionary = from_parallel_text(
                flags.corpora, flags.pair, flags.thresholds, flags.seed, drops, rejects, beside
            )
        dictionary.write(folder)
    log.info("left out: %s", drops)
    return {"entries": len(dictionary), "sources": len(dictionary.by_source()), "left_out": drops.as_dict()}


def _count(flags: Flags, shard: tuple[int, int], folder: Path) -> dict[str, Any]:
    from prealign.dictionary.induce import count_in_chunks
    from prealign.stages.build_dict import segmenters

    assert flags.model is not None  # `_check` sees to it
    drops = Drops()
    strict = flags.thresholds.strict
    rejects = rejects_beside(flags.output)
    log.info("%s-%s, shard %s: reading %s", flags.source, flags.target, flags.shard, extent(flags.corpora))
    pairs = read_pairs(flags.corpora, flags.source, flags.target, drops, rejects, strict, shard)
    counted = count_in_chunks(pairs, segmenters(flags.pair), flags.thresholds, flags.model, folder, drops)
    log.info("left out: %s", drops)
    return {"sentence_pairs": counted.sentence_pairs, "left_out": drops.as_dict()}

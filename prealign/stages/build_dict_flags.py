"""`prealign build-dict` without a recipe: parallel text, two language codes and a place for the result."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prealign import files
from prealign.config.dictionary import (
    KEEPS_A_MODEL,
    LEARNS_NOTHING,
    NOT_WITH_MODEL,
    THRESHOLDS,
    DictionaryPair,
    DictionarySettings,
    SegmenterName,
)
from prealign.config.flags import parse
from prealign.corpora.drops import Drops
from prealign.corpora.estimate import extent
from prealign.corpora.rejects import rejects_beside
from prealign.corpora.sentence_pairs import Corpus, corpora, read_pairs
from prealign.dictionary.counted import read_all
from prealign.errors import PrealignError
from prealign.stages.stage import Stage, options_of

log = logging.getLogger(__name__)

NOT_WITH_SHARD = ("max_sentence_pairs", "train_sentence_pairs", "save_links", "keep_links", "save_model")
"""Settings of a whole build, which the counts of a shard cannot heed."""


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
        try:
            return DictionaryPair(
                source=self.source,
                target=self.target,
                source_segmenter=self.source_segmenter,
                target_segmenter=self.target_segmenter,
                model=None if self.model is None else str(self.model),
            )
        except ValidationError as error:
            raise PrealignError.of_several("--source and --target do not fit:", _sentences(error)) from None

    @property
    def corpora(self) -> list[Corpus]:
        found = corpora([(path, 1.0) for path in self.parallel], self.source, self.target)
        return [replace(corpus, links=links) for corpus, links in zip(found, self.links)] if self.links else found


def build_from_flags(arguments: list[str]) -> int:
    """Carry out the command; the exit code."""
    flags = parse(Flags, arguments, "prealign build-dict")
    pair = flags.pair
    missing = [str(path) for path in (*flags.parallel, *flags.links) if not path.is_file()]
    missing += [str(path) for path in flags.counts if not path.exists()]
    missing += [str(path) for path in (flags.model,) if path is not None and not path.is_dir()]
    if missing:
        raise PrealignError.of_several("These files do not exist:", missing)
    _check(flags)
    shard = _shard(flags)
    if flags.dry_run:
        print(_plan(flags))
        return 0
    stage = Stage(
        "dictionary",
        flags.output,
        options_of(flags.thresholds, "thresholds", "pairs", "held_out_share", "clone_sentence_pairs")
        | options_of(pair, "pair", "parallel", "path", "model")
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
    if files_given := [str(path) for path in flags.counts if path.is_file()]:
        raise PrealignError(
            f"--counts takes folders, and {', '.join(files_given)} is none. Leave out what stands beside them: "
            "counts/*/ names the folders only."
        )
    if bool(flags.parallel) == bool(flags.counts):
        raise PrealignError("Give either --parallel (text to align) or --counts (folders that --shard has written).")
    if flags.counts and (ignored := _ignored_by_counts(flags)):
        raise PrealignError(
            f"--counts adds up what was counted already and takes thresholds only; leave out {', '.join(ignored)}."
        )
    if flags.shard is not None and (ignored := _changed(flags.thresholds, NOT_WITH_SHARD)):
        raise PrealignError(
            f"--shard counts all sentence pairs of a shard with a model that is there; leave out {', '.join(ignored)}."
        )
    if flags.model is not None and (ignored := _changed(flags.thresholds, NOT_WITH_MODEL)):
        raise PrealignError(
            f"--model applies an aligner that is trained already, so nothing is trained or saved; leave out "
            f"{', '.join(ignored)}, or --model."
        )
    aligner = flags.thresholds.aligner
    if flags.shard is not None and aligner not in (*KEEPS_A_MODEL, *LEARNS_NOTHING):
        raise PrealignError(
            f"The aligner {aligner} learns from all the text that it links and keeps no model, so it cannot link a "
            f"shard. Leave out --shard, or choose {', '.join((*KEEPS_A_MODEL, *LEARNS_NOTHING))}."
        )
    if flags.shard is not None and flags.model is None and aligner in KEEPS_A_MODEL:
        raise PrealignError(
            f"--shard needs --model with the aligner {aligner}, so that all shards are linked alike: the folder "
            "`aligner` of a dictionary built from a part of the text with --max-sentence-pairs and --save-model."
        )
    _check_links(flags)


def _ignored_by_counts(flags: Flags) -> list[str]:
    """Options given that have no say when counts are added up."""
    of_text = ("shard", "model", "links", "source_segmenter", "target_segmenter", "seed")
    settings = [name for name in DictionarySettings.model_fields if name not in THRESHOLDS]
    unset = Flags(flags.source, flags.target, flags.output)
    given = [_option(name) for name in of_text if getattr(flags, name) != getattr(unset, name)]
    return given + _changed(flags.thresholds, settings)


def _changed(settings: DictionarySettings, names: Iterable[str]) -> list[str]:
    """Those of the settings that differ from their defaults, as options."""
    unset = DictionarySettings()
    return [_option(name) for name in names if getattr(settings, name) != getattr(unset, name)]


def _sentences(error: ValidationError) -> list[str]:
    return [problem["msg"].removeprefix("Value error, ") for problem in error.errors()]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _plan(flags: Flags) -> str:
    """What --dry-run prints."""
    if not flags.counts:
        return f"reads   {extent(flags.corpora)}\nwrites  {flags.output}, {rejects_beside(flags.output)}"
    counted = read_all(flags.counts, flags.source, flags.target)
    pairs = sum(one.extent["sentence_pairs"] for one in counted)
    folders = ", ".join(map(str, flags.counts))
    return f"reads   counts of {pairs:,} sentence pairs in {folders}\nwrites  {flags.output}"


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
    from prealign.stages.build_dict import from_parallel_text, kept_beside, made_now, refuse_empty

    drops = Drops()
    rejects = rejects_beside(flags.output)
    with kept_beside(folder) as beside:
        if flags.counts:
            dictionary = from_counts(flags.counts, flags.source, flags.target, flags.thresholds, drops, spill=beside)
        else:
            dictionary = from_parallel_text(
                flags.corpora, flags.pair, flags.thresholds, flags.seed, drops, rejects, beside
            )
            dictionary.card["corpora"] = _content(flags)
        dictionary.card |= made_now()
        refuse_empty(dictionary)
        dictionary.write(folder)
    log.info("left out: %s", drops)
    return {"entries": len(dictionary), "sources": len(dictionary.by_source()), "left_out": drops.as_dict()}


def _count(flags: Flags, shard: tuple[int, int], folder: Path) -> dict[str, Any]:
    from prealign.alignment.aligners import open_aligner
    from prealign.dictionary.induce import count_in_chunks
    from prealign.stages.build_dict import knowledge, segmenters

    drops = Drops()
    settings = flags.thresholds
    aligner = open_aligner(settings, flags.model)
    rejects = rejects_beside(flags.output)
    log.info("%s-%s, shard %s: reading %s", flags.source, flags.target, flags.shard, extent(flags.corpora))
    pairs = read_pairs(flags.corpora, flags.source, flags.target, drops, rejects, settings.strict, shard)
    counted = count_in_chunks(
        pairs,
        segmenters(flags.pair),
        settings,
        aligner,
        folder,
        drops,
        _content(flags),
        knowledge=knowledge(flags.model, settings.encoder),
        shard=shard,
    )
    log.info("left out: %s", drops)
    return {"sentence_pairs": counted.sentence_pairs, "left_out": drops.as_dict()}


def _content(flags: Flags) -> dict[str, str]:
    """The files of the parallel text with their fingerprints, named as in a recipe's manifest."""
    return {
        f"corpus {number}, {path.name}": files.fingerprint(path)
        for number, corpus in enumerate(flags.corpora, start=1)
        for path in corpus.files
    }

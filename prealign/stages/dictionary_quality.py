"""`prealign dictionary links` and `prealign dictionary quality`: word links and dictionaries against gold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from prealign.alignment.aligners import open_aligner
from prealign.alignment.gold_links import GoldLinks, Links, read_gold, read_links
from prealign.config.dictionary import LEARNS_NOTHING, AlignerName, DictionaryPair, DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import corpora, read_pairs
from prealign.corpora.words import Segmenter
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.imports import languages_in_name
from prealign.errors import PrealignError
from prealign.evaluation.alignment_quality import Quality, Score, link_gold, quality_of_dictionary, quality_of_links
from prealign.evaluation.table import Table, percent

if TYPE_CHECKING:
    from prealign.stages import dictionary_flags as flags_of

INTERVALS = "In brackets: 95 % intervals over {}, by the bootstrap."
LINK_SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "alignment_error_rate": "AER"}
WORD_SCORES = {"precision_at_1": "P@1", "coverage": "coverage", "right_at_1": "right at 1", "any_right": "any right"}


def judge_links(flags: flags_of.Links) -> int:
    """Carry out `prealign dictionary links`; the exit code."""
    gold = read_gold(flags.gold, flags.gold_counts_from)
    if bool(flags.links) == bool(flags.aligner):
        raise PrealignError("Give either --links (files of links to judge) or --aligner (to link the gold sentences).")
    found = {str(path): read_links(path, gold, flags.links_count_from) for path in flags.links}
    if flags.aligner:
        found[flags.aligner] = _linked(flags, gold, flags.aligner)
    qualities = {name: quality_of_links(links, gold) for name, links in found.items()}
    n_sure, n_possible = (sum(map(len, links)) for links in (gold.sure, gold.possible))
    notes = [
        f"{flags.gold}: {len(gold.sure):,} sentence pairs, {n_sure:,} sure links, {n_possible:,} possible ones beside "
        f"them; its words are counted from {flags.gold_counts_from}.",
        "precision: share of the links that are sure or possible; recall: share of the sure links that were found; F1: "
        "their harmonic mean; AER: alignment error rate (Och and Ney 2003), lower is better.",
        INTERVALS.format("sentence pairs"),
    ]
    _print("links", qualities, LINK_SCORES, notes, flags.json)
    return 0


def judge_dictionary(flags: flags_of.Quality) -> int:
    """Carry out `prealign dictionary quality`; the exit code."""
    dictionary = Dictionary.read(flags.dictionary, flags.source, flags.target)
    languages = dictionary.source_language, dictionary.target_language
    if not flags.gold:
        raise PrealignError("--gold names no file; give one or more gold dictionaries.")
    for path in flags.gold:
        named = [code for code in languages_in_name(path) if code]  # zh serves for zh-Hant
        if named and [code.split("-")[0] for code in named] != [code.split("-")[0] for code in languages]:
            raise PrealignError(
                f"{path} is named as a dictionary of {'-'.join(named)}, but {flags.dictionary} is "
                f"{'-'.join(languages)}. Give gold of the same direction, or rename the file."
            )
    gold = {str(path): Dictionary.read(path, *languages) for path in flags.gold}
    qualities = {name: quality_of_dictionary(dictionary, answers) for name, answers in gold.items()}
    sizes = ", ".join(f"{path} {found.n_items:,}" for path, found in qualities.items())
    notes = [
        f"Words asked for: {sizes}. Case does not count.",
        "P@1: of the words that the dictionary has, the share whose most probable translation is one of gold's; "
        "coverage: share of gold's words that it has; right at 1: P@1 times coverage; any right: of the words that it "
        "has, the share with any translation of gold's.",
        INTERVALS.format("words of the gold dictionary"),
    ]
    _print("gold", qualities, WORD_SCORES, notes, flags.json)
    return 0


def _linked(flags: flags_of.Links, gold: GoldLinks, aligner_name: AlignerName) -> list[Links]:
    """The gold sentences linked by an aligner."""
    if gold.words is None:
        raise PrealignError(
            f"{flags.gold} has links but no words, so there is nothing to link. Give gold links with their words "
            "(source words, target words, links, with tabs between), or files to judge with --links."
        )
    if not (flags.source and flags.target):
        raise PrealignError("--aligner needs --source and --target, the languages of the gold sentences.")
    try:
        pair = DictionaryPair(source=flags.source, target=flags.target)
        settings = DictionarySettings(
            aligner=aligner_name,
            symmetrisation=flags.symmetrisation,
            encoder=None if flags.encoder is None else str(flags.encoder),
            encoder_layer=flags.encoder_layer,
            encoder_method=flags.encoder_method,
        )
    except ValidationError as error:
        told = [problem["msg"].removeprefix("Value error, ") for problem in error.errors()]
        raise PrealignError.of_several("These options do not go together:", told) from None
    if settings.aligner == "links":
        raise PrealignError("The aligner links takes links that are there already; give their file with --links.")
    if flags.parallel and (flags.model is not None or settings.aligner in LEARNS_NOTHING):
        raise PrealignError("--parallel is text to learn from, and nothing is learnt here; leave it out.")
    aligner = open_aligner(settings, flags.model)
    drops = Drops()
    text = corpora([(path, 1.0) for path in flags.parallel], pair.source, pair.target)
    pairs = read_pairs(text, pair.source, pair.target, drops)
    segmenters = Segmenter(pair.source), Segmenter(pair.target)
    return link_gold(gold.words, pairs, segmenters, aligner, settings.symmetrisation)


def _print(
    of: str, qualities: Mapping[str, Quality], columns: Mapping[str, str], notes: list[str], as_json: bool
) -> None:
    """Print a row for each quality; columns: names of scores as the table shows them."""
    if as_json:
        print(json.dumps({name: found.as_dict() for name, found in qualities.items()}, indent=2, ensure_ascii=False))
        return
    header = [(of, ""), *((name, "") for name in columns.values())]
    short = [Path(name).name for name in qualities]
    shown = short if len({*short}) == len(short) else list(qualities)
    rows = [
        [title, *(_shown(found.scores[score]) for score in columns)] for title, found in zip(shown, qualities.values())
    ]
    print(Table(header, rows, notes).text(), end="")


def _shown(score: Score) -> str:
    if score.interval is None:
        return percent(score.value)
    return f"{percent(score.value)} [{100 * score.interval.low:.1f}, {100 * score.interval.high:.1f}]"

"""What the thresholds of `build-dict` do: size, coverage and accuracy of a dictionary against gold dictionaries.

    python bench/thresholds.py --parallel tatoeba.en-de.tsv.xz news.en-de.tsv.xz --source en --target de \\
        --gold xling.train5k.en-de.tsv xling.test-a.en-de.tsv --pairs 30000 --aligners statistical thot-fast-align

Aligns once with each aligner, with all linked pairs kept, then applies each setting to the counts. Defaults are chosen
by the first gold dictionary; the others judge the choice. Columns after the sizes, per gold dictionary: P@1 on covered
words / coverage / share right when a translation is drawn by its probability, in per cent.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

from prealign.alignment.links import METHODS
from prealign.config.dictionary import ALIGNERS, DictionarySettings
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import corpora, read_pairs
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.dictionary.induce import induce
from prealign.dictionary.quality import against_gold

Keep = Callable[[Entry], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parallel", type=Path, nargs="+", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--gold", type=Path, nargs="+", required=True)
    parser.add_argument("--pairs", type=int, help="align so many sentence pairs, chosen by hash; none: all")
    parser.add_argument("--aligners", choices=ALIGNERS, nargs="+", default=["statistical"])
    parser.add_argument("--symmetrisations", choices=METHODS, nargs="+", default=["intersect"])
    parser.add_argument("--multi-word", action="store_true", help="with entries of several words; wants grow-diag")
    flags = parser.parse_args()
    text = corpora([(path, 1.0) for path in flags.parallel], flags.source, flags.target)
    gold = [Dictionary.read(path, flags.source, flags.target) for path in flags.gold]
    print(f"| links | thresholds | entries | words | {' | '.join(path.stem for path in flags.gold)} |")
    print("|---|---|---:|---:|" + "---:|" * len(gold))
    for aligner, symmetrisation in product(flags.aligners, flags.symmetrisations):
        everything = DictionarySettings(
            aligner=aligner, symmetrisation=symmetrisation, max_sentence_pairs=flags.pairs, multi_word=flags.multi_word,
            min_count=1, min_probability=0.0, min_share_of_best=0.0, top_k=1_000_000,
        )  # fmt: skip
        pairs = read_pairs(text, flags.source, flags.target, Drops())
        loose = induce(pairs, flags.source, flags.target, everything, 1, Drops())
        for name, keep, share, top_k in settings(loose):
            dictionary = thresholded(loose, keep, share, top_k)
            scores = [against_gold(dictionary, answers) for answers in gold]
            cells = [
                " / ".join(f"{100 * score[key]:.1f}" for key in ("precision_at_1", "coverage", "right_when_drawn"))
                for score in scores
            ]
            size = f"{len(dictionary):,} | {len(dictionary.by_source()):,}"
            print(f"| {aligner}, {symmetrisation} | {name} | {size} | {' | '.join(cells)} |", flush=True)


def settings(loose: Dictionary) -> list[tuple[str, Keep, float, int]]:
    """Name, rule for single entries, least share of the best translation, most translations of a word."""
    g2 = log_likelihood_ratios(loose)
    best_of_source = ranks(loose)
    best_of_target = ranks(loose.inverted())

    def least(count: int, probability: float) -> Keep:
        return lambda e: e.count >= count and min(e.p_target_given_source, e.p_source_given_target) >= probability

    def mutual(n: int) -> Keep:
        return lambda e: max(best_of_source[e.source, e.target], best_of_target[e.target, e.source]) < n

    usual = least(2, 0.05)
    return [
        ("count 2, probability 0.05", usual, 0.0, 4),
        *((f"the same, share of best {share}", usual, share, 4) for share in (0.2, 0.3, 0.4, 0.5, 0.6)),
        *((f"the same, share of best 0.4, top {top_k}", usual, 0.4, top_k) for top_k in (1, 2, 3)),
        *((f"count {n}, share of best 0.4", least(n, 0.05), 0.4, 4) for n in (1, 3, 5)),
        *((f"count 2, probability {p}", least(2, p), 0.0, 4) for p in (0.0, 0.1, 0.2)),
        *((f"both within the other's top {n}", lambda e, n=n: usual(e) and mutual(n)(e), 0.0, 4) for n in (1, 2)),
        *((f"G2 at least {g}", lambda e, g=g: usual(e) and g2[e.source, e.target] >= g, 0.0, 4) for g in (30, 50)),
        ("count 1, G2 at least 30", lambda e: least(1, 0.05)(e) and g2[e.source, e.target] >= 30, 0.0, 4),
    ]


def thresholded(loose: Dictionary, keep: Keep, share: float, top_k: int) -> Dictionary:
    """The entries that `build-dict` would keep, by the same rules as `induce`."""
    entries: list[Entry] = []
    for source, found in loose.by_source().items():
        kept = [entry for entry in found if keep(entry)]
        best = max((e.p_target_given_source for e in kept if e.target != source), default=0.0)
        kept = [entry for entry in kept if entry.p_target_given_source >= share * best][:top_k]
        if [entry.target for entry in kept] != [source]:
            entries += kept
    return replace(loose, entries=entries)


def ranks(dictionary: Dictionary) -> dict[tuple[str, str], int]:
    """(source, target) -> place among the translations of the source word that were linked twice, from 0."""
    return {
        (entry.source, entry.target): place if entry.count > 1 else len(found)
        for found in dictionary.by_source().values()
        for place, entry in enumerate(found)
    }


def log_likelihood_ratios(loose: Dictionary) -> dict[tuple[str, str], float]:
    """G2 of every pair of words over all links (Dunning 1993): how surely they are linked more often than by chance."""
    of_source, of_target = Counter[str](), Counter[str]()
    for entry in loose.entries:
        of_source[entry.source] += entry.count
        of_target[entry.target] += entry.count
    total = of_source.total()

    def term(observed: float, expected: float) -> float:
        return 2 * observed * math.log(observed / expected) if observed > 0 else 0.0

    ratios = {}
    for entry in loose.entries:
        a, s, t = entry.count, of_source[entry.source], of_target[entry.target]
        cells = ((a, s, t), (s - a, s, total - t), (t - a, total - s, t), (total - s - t + a, total - s, total - t))
        ratios[entry.source, entry.target] = sum(term(observed, x * y / total) for observed, x, y in cells)
    return ratios


if __name__ == "__main__":
    main()

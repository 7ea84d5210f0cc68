"""`prealign dictionary`: look at dictionaries, check them, and make dictionaries from dictionaries.

These are tools for people, not stages of a run: nothing is reused, and nothing that exists is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prealign.config.flags import HELP, parse
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from prealign.dictionary.dictionary import Dictionary
    from prealign.dictionary.entries import Entry
    from prealign.stages import dictionary_flags as flags_of

CARD_TEXT = 100
"""Characters of a card's value that `show` prints."""


def dictionary_tool(arguments: list[str]) -> int:
    """Carry out one sub-command; the exit code."""
    from prealign.stages import dictionary_flags as flags_of

    name, rest = arguments[0], arguments[1:]
    if name in HELP:
        import tyro

        purpose = "Look at dictionaries, check them, and make dictionaries from dictionaries."
        tyro.cli(flags_of.ANY, args=["--help"], prog="prealign dictionary", description=purpose)
    if name not in flags_of.COMMANDS:
        raise PrealignError(
            f"There is no command `prealign dictionary {name}`; there are {', '.join(flags_of.COMMANDS)}."
        )
    # What a sub-command needs is loaded only now: --help should not wait for it.
    tools: dict[str, Callable[[Any], int]] = {
        "show": _show, "coverage": _coverage, "merge": _merge, "invert": _invert, "pivot": _pivot, "import": _import,
        "export": _export, "check": _check, "quality": _quality, "links": _links,
    }  # fmt: skip
    return tools[name](parse(flags_of.COMMANDS[name], rest, f"prealign dictionary {name}"))


def _show(flags: flags_of.Show) -> int:
    from prealign.corpora.words import fold
    from prealign.dictionary.dictionary import Dictionary

    dictionary = Dictionary.read(flags.dictionary, flags.source, flags.target)
    if not flags.words:
        print(_heading(dictionary, flags.dictionary))
        _print_card(dictionary)
        print()
        _print_entries(sorted(dictionary.entries, key=lambda e: -e.count)[: flags.top])
        return 0
    asked = {fold(" ".join(word.split()), dictionary.source_language): word for word in flags.words}
    found: dict[str, list[Entry]] = {folded: [] for folded in asked}
    for entry in dictionary.entries:
        folded = fold(entry.source, dictionary.source_language)
        if folded in found:
            found[folded].append(entry)
    _print_entries([entry for entries in found.values() for entry in entries])
    for folded, entries in found.items():
        if not entries:
            print(f"{_shown(asked[folded])}: not in the dictionary")
    return 0


def _coverage(flags: flags_of.Coverage) -> int:
    from prealign.corpora.document_formats import read_documents
    from prealign.corpora.drops import Drops
    from prealign.dictionary.coverage import coverage
    from prealign.dictionary.dictionary import Dictionary

    dictionary = Dictionary.read(flags.dictionary, flags.source, flags.target)
    language = flags.language or dictionary.source_language
    if language == dictionary.target_language:
        dictionary = dictionary.inverted()
    if language != dictionary.source_language:
        raise PrealignError(
            f"{flags.dictionary} is {dictionary.source_language}-{dictionary.target_language}; it cannot cover text in "
            f"{language}. Give --language as one of the two."
        )
    drops = Drops()
    found = coverage(dictionary, read_documents(flags.text, drops))
    if not found.running_words:
        raise PrealignError(f"{flags.text} holds no words ({drops}).")
    print(f"covers {found.share:.1%} of {found.running_words:,} running words of {flags.text}")
    for band, share in found.by_band.items():
        print(f"  {share:6.1%} of the words {band} by frequency")
    print(f"top missing: {', '.join(f'{_shown(word)} ({count:,})' for word, count in found.missing) or 'none'}")
    return 0


def _merge(flags: flags_of.Merge) -> int:
    from prealign.dictionary.dictionary import Dictionary
    from prealign.dictionary.merge import merge

    _refuse_to_overwrite(flags.output)
    dictionaries = [Dictionary.read(path, flags.source, flags.target) for path in flags.dictionaries]
    return _write(merge(dictionaries), flags.output)


def _invert(flags: flags_of.Invert) -> int:
    from prealign.dictionary.dictionary import Dictionary

    _refuse_to_overwrite(flags.output)
    return _write(Dictionary.read(flags.dictionary, flags.source, flags.target).inverted(), flags.output)


def _pivot(flags: flags_of.Pivot) -> int:
    from prealign.dictionary.dictionary import Dictionary
    from prealign.dictionary.pivot import pivot

    _refuse_to_overwrite(flags.output)
    both = Dictionary.read(flags.first), Dictionary.read(flags.second)
    return _write(pivot(*both, flags.min_probability, flags.top_k), flags.output)


def _import(flags: flags_of.Import) -> int:
    from prealign import files
    from prealign.dictionary.dictionary import Dictionary

    _refuse_to_overwrite(flags.output)
    dictionary = Dictionary.read(flags.file, flags.source, flags.target)
    n_read = len(dictionary)
    dictionary = dictionary.filtered(flags.min_probability, flags.top_k or n_read)
    dictionary.card["imported_from"] = {"file": flags.file.name, "fingerprint": files.fingerprint(flags.file)}
    if flags.licence:
        dictionary.card["licence"] = flags.licence
    if len(dictionary) < n_read:
        thresholds = {"min_probability": flags.min_probability, "top_k": flags.top_k}
        dictionary.card["thresholds"] = thresholds | {"left_out": n_read - len(dictionary)}
        print(f"left out: {n_read - len(dictionary):,} entries below --min-probability or beyond --top-k")
    return _write(dictionary, flags.output)


def _export(flags: flags_of.Export) -> int:
    from prealign.dictionary.dictionary import Dictionary
    from prealign.dictionary.exports import export

    dictionary = Dictionary.read(flags.dictionary, flags.source, flags.target)
    drops = export(dictionary, flags.file, flags.format)
    n_left_out = sum(drops.counts.values())
    print(f"{flags.file}: {len(dictionary) - n_left_out:,} entries" + (f"; left out: {drops}" if n_left_out else ""))
    return 0


def _check(flags: flags_of.Check) -> int:
    from prealign.dictionary.check import check

    findings = check(flags.dictionary, flags.source, flags.target)
    for finding in findings:
        print(f"{'error' if finding.is_error else 'remark'}: {finding.what}")
        for sample in finding.samples:
            print(f"    {_shown(sample)}")
    if not findings:
        print("nothing looks wrong")
    return int(any(finding.is_error for finding in findings))


def _quality(flags: flags_of.Quality) -> int:
    from prealign.stages.dictionary_quality import judge_dictionary

    return judge_dictionary(flags)


def _links(flags: flags_of.Links) -> int:
    from prealign.stages.dictionary_quality import judge_links

    return judge_links(flags)


def _write(dictionary: Dictionary, output: Path) -> int:
    if not dictionary.entries:
        raise PrealignError("No entries are left to write. Lower the thresholds, or look whether the languages fit.")
    dictionary.write(output)
    print(_heading(dictionary, output))
    return 0


def _heading(dictionary: Dictionary, path: Path) -> str:
    sources = len({entry.source for entry in dictionary.entries})
    targets = len({entry.target for entry in dictionary.entries})
    return (
        f"{path}: {dictionary.source_language}-{dictionary.target_language}, {len(dictionary):,} entries, "
        f"{sources:,} source words, {targets:,} target words"
    )


def _print_card(dictionary: Dictionary) -> None:
    known = ("source_language", "target_language", "entries", "source_words")
    for key, value in dictionary.card.items():
        if key not in known:
            text = f"{len(value):,} parts" if isinstance(value, list) else _shown(_flat(value))
            print(f"  {key}: {text if len(text) <= CARD_TEXT else text[:CARD_TEXT] + ' ...'}")


def _flat(value: object) -> str:
    """A value of the card on one line; of what was left out, only the numbers."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(v)}" for key, v in value.items() if key != "samples")
    return str(value)


def _print_entries(entries: list[Entry]) -> None:
    from prealign.report.interlinear import aligned

    if entries:
        numbers = [
            (f"{e.count:,}", f"{e.p_target_given_source:.3f}", f"{e.p_source_given_target:.3f}") for e in entries
        ]
        rows = [("source", "target", "count", "p(target|source)", "p(source|target)")]
        rows += [(_shown(e.source), _shown(e.target), *n) for e, n in zip(entries, numbers)]
        print("\n".join(aligned(rows)))


def _shown(text: str) -> str:
    """Text for a terminal: without control characters, and right-to-left words in isolates."""
    from prealign.report.interlinear import isolated, printable

    return isolated(printable(text))


def _refuse_to_overwrite(output: Path) -> None:
    if output.exists():
        raise PrealignError(f"{output} exists already. Remove it, or choose another --output.")

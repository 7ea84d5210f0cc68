"""The dictionary: words of one language, their translations in another, and how probable each is.

The product of `build-dict` and the input of `init` and `pretrain`. On disk it is a folder with `entries.tsv`,
readable in an editor and in a diff, and `card.json`, which says where the entries come from. `imports` reads the
formats of others.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prealign import draws, files
from prealign.corpora.words import fold
from prealign.dictionary.entries import HEADER, Entry, entries_from_counts
from prealign.dictionary.imports import languages_in_name, read_entries
from prealign.errors import PrealignError

ENTRIES = "entries.tsv"
CARD = "card.json"


@dataclass
class Dictionary:
    """Entries from one language to another, sorted by source, then most probable first."""

    source_language: str
    target_language: str
    entries: list[Entry]
    card: dict[str, Any] = field(default_factory=dict)
    """Where the entries come from: aligner, corpora, thresholds, licences, counts."""

    def __post_init__(self) -> None:
        self.entries = sorted(self.entries, key=_order)

    def __len__(self) -> int:
        return len(self.entries)

    @classmethod
    def read(cls, path: Path, source_language: str | None = None, target_language: str | None = None) -> Dictionary:
        """Read a dictionary folder of ours, or a single file in any format that `imports` knows.

        Args:
            source_language, target_language: BCP 47 codes; may be left out where the card or the file's name
                ("muse.en-de.txt") tells them. Must agree with the card.
        Raises:
            PrealignError: missing or faulty file (with its line), or languages unknown or contradicted.
        """
        table, card = table_and_card(path)
        in_name = languages_in_name(path)
        languages = []
        for key, given, named in (
            ("source_language", source_language, in_name[0]),
            ("target_language", target_language, in_name[1]),
        ):
            in_card = card.get(key)
            if given and in_card and given != in_card:
                raise PrealignError(f"{path}: its card says {key} {in_card}, but {given} was asked for.")
            language = given or in_card or named
            if not language:
                raise PrealignError(
                    f"{path}: neither the call nor a card nor the file's name says the {key}. Give it, or rename the "
                    'file like "name.en-de.txt".'
                )
            languages.append(language)
        return cls(languages[0], languages[1], read_entries(table, *languages), card)

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]], source_language: str, target_language: str) -> Dictionary:
        """A dictionary from bare word pairs: a pair given n times has count n; probabilities are shares of counts."""
        return cls(source_language, target_language, entries_from_counts(Counter(pairs)))

    def write(self, folder: Path) -> None:
        """Write `entries.tsv` and `card.json`; the folder appears whole or not at all."""
        card = {
            "source_language": self.source_language,
            "target_language": self.target_language,
            "entries": len(self.entries),
            "source_words": len({entry.source for entry in self.entries}),
        }
        with files.whole(folder) as temporary:
            temporary.mkdir()
            files.write_text(temporary / ENTRIES, self.table())
            files.write_json(temporary / CARD, card | {k: v for k, v in self.card.items() if k not in card})

    def table(self) -> str:
        """The content of `entries.tsv`.

        Raises:
            PrealignError: a word holds a tab or line end, so that the table could not be read back.
        """
        text = "\n".join(["\t".join(HEADER), *(_line(entry) for entry in self.entries)]) + "\n"
        if text.count("\n") != len(self) + 1 or text.count("\t") != (len(self) + 1) * (len(HEADER) - 1):
            faulty = next(e for e in self.entries if not {"\t", "\n"}.isdisjoint(e.source + e.target))
            raise PrealignError(
                f"The entry {faulty.source!r}, {faulty.target!r} holds a tab or line end; words may not."
            )
        return text

    def by_source(self) -> dict[str, list[Entry]]:
        """The entries of every source word, most probable first."""
        grouped: dict[str, list[Entry]] = {}
        for entry in self.entries:
            grouped.setdefault(entry.source, []).append(entry)
        return grouped

    def split(self, held_out_share: float, seed: int) -> tuple[Dictionary, Dictionary]:
        """(trained, held out): each source word goes to one side whole, by a keyed hash of its folded form.

        So all spellings and translations of a word stay together, and a word falls on the same side in every
        dictionary of the same source language and seed.
        """
        parts: tuple[list[Entry], list[Entry]] = ([], [])
        for source, entries in self.by_source().items():
            draw = draws.uniform(seed, "held out words", fold(source, self.source_language))
            parts[draw < held_out_share].extend(entries)
        trained, held_out = (replace(self, entries=part, card=copy.deepcopy(self.card)) for part in parts)
        return trained, held_out

    def filtered(self, min_probability: float, top_k: int) -> Dictionary:
        """The entries whose probabilities both reach `min_probability`, at most `top_k` of a source word."""
        entries: list[Entry] = []
        for of_one_word in self.by_source().values():
            likely = [
                e for e in of_one_word if min(e.p_target_given_source, e.p_source_given_target) >= min_probability
            ]
            entries += likely[:top_k]
        return replace(self, entries=entries, card=copy.deepcopy(self.card))

    def inverted(self) -> Dictionary:
        """The dictionary from the target language to the source language."""
        card = copy.deepcopy(self.card) | {"inverted": not self.card.get("inverted", False)}
        card.pop("source_language", None)
        card.pop("target_language", None)
        return Dictionary(
            self.target_language, self.source_language, [entry.inverted() for entry in self.entries], card
        )


def table_and_card(path: Path) -> tuple[Path, dict[str, Any]]:
    """Of a dictionary folder, or a file: the path of its entries, and its card (empty for a file without one)."""
    if path.is_dir():
        table, card_file = path / ENTRIES, path / CARD
    elif path.name == ENTRIES and path.with_name(CARD).is_file():
        table, card_file = path, path.with_name(CARD)
    elif path.exists():
        return path, {}
    else:
        raise PrealignError(f"{path} does not exist.")
    card = files.read_json(card_file)
    if not isinstance(card, dict):
        raise PrealignError(f"{card_file} holds no card: it should be a JSON object that names source_language.")
    return table, card


def _order(entry: Entry) -> tuple[str, float, int, str]:
    return entry.source, -entry.p_target_given_source, -entry.count, entry.target


def _line(entry: Entry) -> str:
    numbers = f"{entry.count}\t{entry.p_target_given_source:.6g}\t{entry.p_source_given_target:.6g}"
    return f"{entry.source}\t{entry.target}\t{numbers}"

"""What became of the dictionaries when a table was compiled: kept, dropped by reason, and how well the keys match
text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prealign.corpora.drops import Drops

WARN_BELOW, FAIL_BELOW = 0.95, 0.50
"""Match rates of the self-test under which compiling warns, and fails."""


@dataclass(slots=True)
class CompileReport:
    """Counts of one compilation; `str()` is for people, `as_dict()` for manifests."""

    tokenizer: str = ""
    drops: Drops = field(default_factory=Drops)
    translations: dict[str, int] = field(default_factory=dict)
    """Entries kept, by target language."""
    sources: int = 0
    """Source words or phrases with at least one translation."""
    forms: int = 0
    """Surface forms of those (case, composition)."""
    unwritable: int = 0
    """Source words left out because the tokenizer cannot write them."""
    keys: int = 0
    """Token sequences that are matched."""
    bytes: int = 0
    """Size of all arrays."""
    seconds: float = 0.0
    self_test: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Context -> words matched, words tried."""

    @property
    def kept(self) -> int:
        return sum(self.translations.values())

    @property
    def match_rate(self) -> float:
        """Share of the self-test's words that were found, over all contexts."""
        tried = sum(tried for _, tried in self.self_test.values())
        return sum(found for found, _ in self.self_test.values()) / tried if tried else 1.0

    @property
    def written_rate(self) -> float:
        """Share of the source words that the tokenizer can write."""
        found = self.sources + self.unwritable
        return self.sources / found if found else 1.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "tokenizer": self.tokenizer,
            "translations": self.translations,
            "sources": self.sources,
            "unwritable": self.unwritable,
            "forms": self.forms,
            "keys": self.keys,
            "bytes": self.bytes,
            "dropped": self.drops.as_dict(),
            "match_rate": round(self.match_rate, 4),
            "self_test": {
                context: {"found": found, "tried": tried} for context, (found, tried) in self.self_test.items()
            },
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> CompileReport:
        """The report of a saved table."""
        drops = Drops()
        drops.counts = {reason: item["count"] for reason, item in value["dropped"].items()}
        drops.samples = {reason: item["samples"] for reason, item in value["dropped"].items()}
        return cls(
            tokenizer=value["tokenizer"],
            drops=drops,
            translations=value["translations"],
            sources=value["sources"],
            unwritable=value["unwritable"],
            forms=value["forms"],
            keys=value["keys"],
            bytes=value["bytes"],
            self_test={context: (item["found"], item["tried"]) for context, item in value["self_test"].items()},
        )

    def __str__(self) -> str:
        languages = ", ".join(f"{count:,} {code}" for code, count in self.translations.items())
        worst = sorted(self.self_test.items(), key=lambda item: item[1][0] / max(1, item[1][1]))[:3]
        contexts = ", ".join(f"{context!r} {found / max(1, tried):.1%}" for context, (found, tried) in worst)
        return (
            f"Switching table for {self.tokenizer}: {self.kept:,} entries kept ({languages}) for {self.sources:,} "
            f"source words, {self.forms:,} forms, {self.keys:,} keys, {self.bytes / 1e6:.1f} MB in {self.seconds:.1f} "
            f"s; dropped: {self.drops}. Self-test: {self.match_rate:.1%} of words in context are matched "
            f"(lowest: {contexts or 'nothing tested'})."
        )

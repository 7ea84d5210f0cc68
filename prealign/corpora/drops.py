"""Counts of what a stage left out, by reason, with a few samples: nothing is skipped in silence.

Readers and filters get a `Drops` and call `add`; the stage prints it and writes it into its manifest.
"""

from __future__ import annotations

from typing import Any

SAMPLES_PER_REASON = 5
SAMPLE_LENGTH = 120


class Drops:
    """What was left out and why; one object may pass through several readers."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.samples: dict[str, list[str]] = {}

    def add(self, reason: str, sample: str) -> None:
        """Count one thing left out; the first few samples of a reason are kept, each cut to 120 characters."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        samples = self.samples.setdefault(reason, [])
        if len(samples) < SAMPLES_PER_REASON:
            samples.append(sample[:SAMPLE_LENGTH])

    def extend(self, other: dict[str, Any]) -> None:
        """Add what `as_dict` told of another."""
        for reason, item in other.items():
            self.counts[reason] = self.counts.get(reason, 0) + item["count"]
            self.samples[reason] = [*self.samples.get(reason, []), *item["samples"]][:SAMPLES_PER_REASON]

    def as_dict(self) -> dict[str, Any]:
        """`{reason: {"count": n, "samples": [...]}}`, the most frequent reason first; for manifests."""
        return {reason: {"count": count, "samples": self.samples[reason]} for reason, count in self._by_count()}

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {reason}" for reason, count in self._by_count()) or "nothing"

    def _by_count(self) -> list[tuple[str, int]]:
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))

"""Counting what is left out."""

from __future__ import annotations

from prealign.corpora.drops import Drops


def test_counts_by_reason_with_few_short_samples() -> None:
    drops = Drops()
    assert str(drops) == "nothing"
    for number in range(1200):
        drops.add("too long", f"{number} " + "x" * 500)
    drops.add("empty", "line 3")
    assert str(drops) == "1,200 too long, 1 empty"
    assert drops.counts == {"too long": 1200, "empty": 1}
    assert [sample.split()[0] for sample in drops.samples["too long"]] == ["0", "1", "2", "3", "4"]
    assert all(len(sample) == 120 for sample in drops.samples["too long"])
    assert drops.as_dict()["empty"] == {"count": 1, "samples": ["line 3"]}

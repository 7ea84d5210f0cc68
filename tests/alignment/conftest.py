"""A small corpus whose links are known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from prealign.alignment.gold_links import score_links
from prealign.alignment.parallel_words import Links, ParallelWords

TONGUES = {"red": "rouge", "old": "vieux", "small": "petit", "house": "maison", "dog": "chien", "tree": "arbre"}
ADJECTIVES, NOUNS = list(TONGUES)[:3], list(TONGUES)[3:]


@pytest.fixture(scope="session")
def known_text() -> ParallelWords:
    """Eighty noun phrases, two per sentence, adjectives before the noun and after it; two pairs with an empty side."""
    draw = random.Random(1)
    pairs: list[tuple[list[str], list[str]]] = [([], ["chien"]), (["dog"], [])]
    for _ in range(40):
        source, target = [], []
        for _ in range(2):
            adjective, noun = draw.choice(ADJECTIVES), draw.choice(NOUNS)
            source += [adjective, noun]
            target += [TONGUES[noun], TONGUES[adjective]]
        pairs.append((source, target))
    return ParallelWords.of(pairs)


@pytest.fixture
def error_rate(known_text: ParallelWords):
    """How far links are from the known ones, 0 to 1."""

    def measure(found: Links) -> float:
        of_pairs = np.split(found.links, found.offsets[1:-1])
        assert [len(links) for links in of_pairs[:2]] == [0, 0]
        gold = np.array([[0, 1], [1, 0], [2, 3], [3, 2]], dtype=np.int32)
        return score_links(of_pairs[2:], [gold] * (len(known_text) - 2)).alignment_error_rate

    return measure

"""Sentence pairs to train on share no sentence with a test."""

from __future__ import annotations

from prealign.config.translations import TranslationPair
from prealign.corpora.drops import Drops
from prealign.corpora.sentence_pairs import SentencePair
from prealign.stages.translation_store import without_tested

PAIRS = [
    SentencePair("The river is wide.", "Der Fluss ist breit."),
    SentencePair("The river is wide", "Breit ist der Fluss."),
    SentencePair("A door opens.", "Eine Tür geht auf."),
    SentencePair("Der Wind dreht.", "The wind turns."),
]


def left(tested: dict[str, set[str]]) -> tuple[list[SentencePair], Drops]:
    drops = Drops()
    return list(without_tested(PAIRS, TranslationPair(source="en", target="de"), tested, drops)), drops


def test_a_pair_goes_when_either_side_is_tested() -> None:
    kept, drops = left({"en": {"The river is wide."}, "de": {"Eine Tür geht auf."}})
    assert kept == [PAIRS[1], PAIRS[3]], "letter for letter: a sentence without its full stop is another"
    assert drops.as_dict() == {
        "pairs with a sentence of a test": {
            "count": 2,
            "samples": ["The river is wide. | Der Fluss ist breit.", "A door opens. | Eine Tür geht auf."],
        }
    }


def test_a_sentence_counts_in_its_own_language_only() -> None:
    kept, drops = left({"de": {"Der Wind dreht."}, "fr": {"A door opens."}})
    assert kept == PAIRS
    assert str(drops) == "nothing"

"""Words in sentences: which occurrences are taken, what is right for them, and whose states are compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prealign.corpora.pair_store import PairStream, words_key
from prealign.dictionary.dictionary import Dictionary
from prealign.evaluation.words_in_context import OCCURRENCES, ContextTest, WordsInContextTask

EN = {"the": 10, "dog": 11, "house": 12, "cat": 13, "sees": 14, "home": 15, "Dog": 16}
DE = {"der": 30, "Hund": 31, "Haus": 32, "Katze": 33, "sieht": 34, "Gebäude": 35, "HUND": 36}
EOS = 2


def stream(*pairs: tuple[str, str, str]) -> PairStream:
    """Sentence pairs as `("the dog", "der Hund", "0-0 1-1")`, a token a word."""
    sides: tuple[list[int], list[int]] = ([], [])
    starts: tuple[list[int], list[int], list[int]] = ([0], [0], [0])
    links, words = [], []
    for source, target, linked in pairs:
        texts = source.split(), target.split()
        for a, b in (map(int, link.split("-")) for link in linked.split()):
            links.append((a, a + 1, b, b + 1))
            words.append(words_key(texts[0][a], texts[1][b], ("en", "de")))
        for side, text, ids in zip(sides, texts, (EN, DE), strict=True):
            side.extend(ids[word] for word in text)
        for start, value in zip(starts, (len(sides[0]), len(sides[1]), len(links)), strict=True):
            start.append(value)
    ids, offsets = ([np.array(s, dtype=t) for s in group] for group, t in ((sides, np.uint16), (starts, np.int64)))
    return PairStream(
        ids[0], offsets[0], ids[1], offsets[1],
        np.array(links, dtype=np.int32).reshape(-1, 4), offsets[2], np.array(words, dtype=np.uint64),
    )  # fmt: skip


PAIRS = (
    ("the dog sees the cat", "der Hund sieht Katze", "0-0 1-1 2-2 4-3"),
    ("Dog sees house", "HUND sieht Haus", "0-0 1-1 2-2"),
    ("the home sees the house", "der Haus sieht der Gebäude", "0-0 1-1 2-2 3-3 4-4"),
    ("sees", "sieht", "0-0"),
)
HELD_OUT = Dictionary.from_pairs([("dog", "Hund"), ("house", "Haus"), ("house", "Gebäude")], "en", "de")
TRAINED = Dictionary.from_pairs([("the", "der"), ("sees", "sieht"), ("home", "Haus"), ("cat", "Katze")], "en", "de")


def make(asked: Dictionary = HELD_OUT, n_sentences: int = 10, max_tokens: int = 8, pairs=PAIRS) -> ContextTest | None:
    return ContextTest.of(
        "en--de t",
        stream(*pairs),
        asked,
        (TRAINED, HELD_OUT),
        n_sentences=n_sentences,
        eos_id=EOS,
        max_tokens=max_tokens,
    )


def told(side) -> list[tuple[str, tuple[int, ...]]]:
    """Word of each occurrence, and the ids of its tokens."""
    return [(o.word, tuple(side.rows[o.sentence][o.span[0] : o.span[1]])) for o in side.occurrences]


def test_linked_entries_are_taken_in_any_spelling():
    test = make()
    assert sorted(told(test.source)) == [("dog", (11,)), ("dog", (16,)), ("house", (12,)), ("house", (12,))]
    assert sorted(told(test.target)) == [("Gebäude", (35,)), ("Haus", (32,)), ("Hund", (31,)), ("Hund", (36,))]
    assert all(row[0] == EOS for row in [*test.source.rows, *test.target.rows])
    assert len(test.source.rows) == 3  # the fourth pair has no such word
    assert str(test) == "4 source and 4 target words in 3 sentence pairs"


def test_every_occurrence_of_a_translation_is_right():
    test = make()
    names = test.source.names(), test.target.names()
    right = {(names[0][q], names[1][c]) for q, c in zip(test.gold.query, test.gold.candidate, strict=True)}
    assert right == {
        *((f"dog ({i})", f"Hund ({j})") for i in (1, 2) for j in (1, 2)),
        *((f"house ({i})", word) for i in (1, 2) for word in ("Haus (1)", "Gebäude (1)")),
    }


def test_a_translation_by_another_dictionary_is_not_wrong():
    """Asked for "home", the only link to "Haus" in the third pair; "house" may be "Haus" as well."""
    both = Dictionary.from_pairs([("home", "Haus"), ("house", "Gebäude")], "en", "de")
    test = make(both)
    assert sorted(told(test.source)) == [("home", (15,)), ("house", (12,))]
    names = test.source.names(), test.target.names()
    right = {(names[0][q], names[1][c]) for q, c in zip(test.gold.query, test.gold.candidate, strict=True)}
    assert right == {("home (1)", "Haus (1)"), ("house (1)", "Gebäude (1)"), ("house (1)", "Haus (1)")}


def test_a_word_occurs_a_few_times_only():
    test = make(TRAINED)
    for side in test.sides:
        names = [word for word, _ in told(side)]
        assert max(names.count(word) for word in names) == OCCURRENCES


@pytest.mark.parametrize(("n_sentences", "max_tokens", "expected"), [(1, 8, 1), (2, 8, 2), (10, 5, 1), (10, 6, 3)])
def test_sentences_are_limited_in_number_and_length(n_sentences, max_tokens, expected):
    assert len(make(n_sentences=n_sentences, max_tokens=max_tokens).source.rows) == expected


def test_nothing_to_ask_for():
    assert make(Dictionary.from_pairs([("tree", "Baum")], "en", "de")) is None
    assert make(Dictionary("en", "de", [])) is None
    assert make(pairs=PAIRS[3:]) is None


def test_the_states_are_those_of_the_words_in_their_sentences(tiny_model):
    test, model = make(), tiny_model()
    for side in test.sides:
        found = side.states(model, max_batch_tokens=9)
        for place, occurrence in enumerate(side.occurrences):
            with torch.no_grad():
                ids = torch.tensor([side.rows[occurrence.sentence]])
                states = torch.stack(model(ids, output_hidden_states=True).hidden_states)[:, 0]
            expected = states[:, occurrence.span[0] : occurrence.span[1]].mean(dim=1)
            assert torch.allclose(found[:-1, place], expected, atol=1e-5)


def test_scores_measures_and_items(tiny_model):
    """A model that gives "dog" and "Hund" the same embedding in all spellings, and the output rows as well."""
    model = tiny_model(tie_word_embeddings=True)
    rows = model.get_input_embeddings().weight.data
    rows[[16, 31, 36]] = rows[11].clone()
    test = make()
    outcome = WordsInContextTask({"en--de": {"held_out": test}}, max_batch_tokens=64).run(model)
    found = outcome.scores["en--de"]["held_out"]
    assert found["sentences"] == 3
    assert found["forward"]["n_queries"] == found["backward"]["n_queries"] == 4
    headline = outcome.measures[0]
    assert (headline.task, headline.of, headline.headline) == ("words_in_context", "en–de held out", True)
    assert headline.chance == pytest.approx(1 / 2)  # two of four are right, both ways
    own = [item for item in outcome.items if item.test == headline.test]
    assert len({item.item for item in own}) == len(own) == 8
    assert sum(item.score for item in own) / sum(item.weight for item in own) == pytest.approx(headline.value)
    dog = next(item for item in own if item.item == "en: dog (1)")
    assert dog.detail["right"] == ["Hund (1)", "Hund (2)"]
    assert dog.detail["places"][0] == dog.detail["places"][-1] == 1  # embeddings and output rows know no context
    assert "in context|data:" in headline.signature

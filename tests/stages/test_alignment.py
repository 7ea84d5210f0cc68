"""Which words a batch holds: visits by frequency with every group seen, groups joined by the source word, timing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign import ranks
from prealign.config.init import InitSettings
from prealign.dictionary.dictionary import Dictionary
from prealign.dictionary.entries import Entry
from prealign.errors import PrealignError
from prealign.stages.alignment import WordOrder, batch_of_step, visits
from prealign.stages.word_groups import WordGroups

PIECES = ["<unk>", "</s>", ",", "house", "river", "haus", "fluss", "maison", "gebäude", "дом"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Every word of PIECES is one token, anything else is unknown."""
    core = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(PIECES)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>")


def dictionary(target: str, *entries: tuple[str, str, int], source: str = "en") -> Dictionary:
    return Dictionary(source, target, [Entry(word, other, count, 0.5, 0.5) for word, other, count in entries])


def groups_of(n: int, counts: list[int] | None = None) -> WordGroups:
    return WordGroups([[[2 * i], [2 * i + 1]] for i in range(n)], np.array(counts or [1] * n))


def test_translations_into_all_languages_form_one_group(tokenizer):
    german = dictionary("de", ("house", "haus", 5), ("house", "gebäude", 2), ("river", "fluss", 4))
    french = dictionary("fr", ("house", "maison", 7))
    found = WordGroups.of([german, french], tokenizer)
    named = [[PIECES[piece] for (piece,) in group] for group in found.ids]
    assert [set(group) for group in named] == [{"house", "haus", "gebäude", "maison"}, {"river", "fluss"}]
    assert [group[0] for group in named] == ["house", "river"]
    assert found.counts.tolist() == [14, 4]


def test_equal_spellings_of_two_languages_are_two_words(tokenizer):
    found = WordGroups.of(
        [dictionary("de", ("house", "haus", 2)), dictionary("fr", ("house", "maison", 2), source="nl")], tokenizer
    )
    assert len(found) == 2


def test_a_dictionary_that_nobody_counted_has_frequency_zero(tokenizer):
    imported = dictionary("de", ("house", "haus", 1), ("house", "gebäude", 1))
    assert WordGroups.of([imported], tokenizer).counts.tolist() == [0]


def test_a_language_that_the_tokenizer_cannot_write_stops_before_anything_starts(tokenizer):
    russian = dictionary("ru", ("house", "дом", 3), ("river", "река", 3), ("town", "город", 3))
    with pytest.raises(PrealignError, match=r"ru: 67% of 3 dictionary words have unknown tokens"):
        WordGroups.of([russian], tokenizer)


def test_a_few_unknown_words_are_left_out_and_counted(tokenizer, caplog):
    mixed = dictionary("de", ("house", "haus", 3), ("house", "heim", 1), ("river", "fluss", 3), ("town", "gebäude", 3))
    with caplog.at_level("INFO", logger="prealign.stages.word_groups"):
        assert len(WordGroups.of([mixed], tokenizer)) == 2
    assert "en: 3 dictionary words, 1.0 pieces a word, 33.3 % of the words with unknown tokens" in caplog.messages
    left_out = [message for message in caplog.messages if "left out" in message]
    assert left_out == [
        "words to align, left out: 1 source words that the tokenizer cannot write, such as en: town",
        "words to align, left out: 1 translations that the tokenizer cannot write, such as de: heim",
    ]


def test_words_without_anything_to_learn_are_left_out_and_counted(tokenizer, caplog):
    mixed = dictionary("de", ("house", "house", 9), ("river", "river", 2), ("river", "fluss", 1), ("haus", "heim", 1))
    with caplog.at_level("WARNING", logger="prealign.stages.word_groups"):
        found = WordGroups.of([mixed], tokenizer)
    assert [[PIECES[piece] for (piece,) in group] for group in found.ids] == [["river", "river", "fluss"]]
    assert [source for _, source in found.sources] == ["river"]
    assert found.counts.tolist() == [3]
    assert (
        "words to align, left out: 1 source words whose translations are all written like them, such as en: house"
        in caplog.messages
    )
    assert (
        "words to align, left out: 1 source words without a translation that the tokenizer can write, such as en: haus"
        in caplog.messages
    )


def test_no_entries_are_told():
    with pytest.raises(PrealignError, match="no dictionary entries to align"):
        WordGroups.of([dictionary("de")], PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({}))))


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(0.0, [1, 1, 1, 1, 1]), (0.5, [1, 1, 2, 10, 100]), (1.0, [1, 1, 4, 100, 10_000])],
)
def test_visits_follow_the_power_of_the_count(exponent, expected):
    assert visits(np.array([0, 1, 4, 100, 10_000]), exponent, at_most=10**9).tolist() == expected


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=50),
    st.floats(0, 1),
    st.integers(1, 500),
)
def test_an_epoch_fits_into_the_stage_and_has_every_group(counts, exponent, at_most):
    times = visits(np.array(counts), exponent, at_most)
    assert times.min() >= 1
    assert times.sum() <= max(at_most, len(counts))
    # More frequent words are never visited less often.
    assert (np.diff(times[np.argsort(counts, kind="stable")]) >= 0).all()


def test_a_cut_epoch_uses_the_room_that_there_is():
    counts = 2 ** np.arange(20)
    assert 950 <= visits(counts, 1.0, at_most=1000).sum() <= 1000


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_each_epoch_holds_every_group_as_often_as_planned_in_another_order(exponent):
    groups = groups_of(6, [1, 2, 4, 9, 16, 25])
    settings = InitSettings(words_per_step=2, frequency_exponent=exponent)
    order = WordOrder(groups, settings, batches=500, seed=3)
    per_epoch = int(visits(groups.counts, exponent, 1000).sum())
    epochs = np.array([order(number) for number in range(per_epoch)]).reshape(2, per_epoch)
    for epoch in epochs:
        assert np.bincount(epoch, minlength=6).tolist() == visits(groups.counts, exponent, 1000).tolist()
    assert epochs[0].tolist() != epochs[1].tolist()


def test_rates_over_a_stage_follow_the_power_law():
    counts = [3, 12, 48, 192, 768]
    order = WordOrder(
        groups_of(5, counts), InitSettings(words_per_step=31, frequency_exponent=0.5), batches=100, seed=1
    )
    seen = np.bincount([row for number in range(100) for row in order(number)], minlength=5)
    assert (seen / seen[0]).tolist() == [1, 2, 4, 8, 16]


def test_a_stage_as_long_as_the_dictionary_sees_every_word():
    groups = groups_of(40, list(range(1, 41)))
    order = WordOrder(groups, InitSettings(words_per_step=4, frequency_exponent=1.0), batches=10, seed=1)
    assert {row for number in range(10) for row in order(number)} == set(range(40))


def test_a_stage_too_short_for_the_dictionary_says_so(caplog):
    with caplog.at_level("WARNING", logger="prealign.stages.alignment"):
        WordOrder(groups_of(100), InitSettings(words_per_step=4), batches=10, seed=1)
    assert caplog.messages[0].startswith("only 40 % of the words will be seen: 10 batches of 4 groups for 100 groups")


def test_ranks_share_a_batch(monkeypatch):
    order = WordOrder(groups_of(50), InitSettings(words_per_step=10), batches=10, seed=5)
    whole = order(3)
    monkeypatch.setattr(ranks, "world_size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        parts += order(3)
    assert parts == whole


def test_fewer_words_than_ranks_are_a_sentence(monkeypatch):
    monkeypatch.setattr(ranks, "world_size", lambda: 3)
    with pytest.raises(PrealignError, match=r"init\.words_per_step is 2 for 3 ranks; give each rank one"):
        WordOrder(groups_of(9), InitSettings(words_per_step=2), batches=10, seed=1)


@pytest.mark.parametrize(
    ("steps", "batches", "when", "expected"),
    [
        (6, 3, "during", [None, 0, None, 1, None, 2]),
        (5, 5, "during", [0, 1, 2, 3, 4]),
        (5, 2, "during", [None, None, 0, None, 1]),
        (5, 2, "after", [None, None, None, 0, 1]),
        (5, 0, "during", [None] * 5),
        (5, 0, "after", [None] * 5),
    ],
)
def test_batches_of_words_among_the_steps(steps, batches, when, expected):
    assert [batch_of_step(step, steps, batches, when) for step in range(steps)] == expected


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from(["during", "after"]))
def test_every_batch_comes_once_and_in_order(steps, share, when):
    batches = int(share * steps)
    brought = [batch_of_step(step, steps, batches, when) for step in range(steps)]
    assert [number for number in brought if number is not None] == list(range(batches))

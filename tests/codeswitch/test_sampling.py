"""What is drawn follows what was asked for, over up to a million words.

Keys are fixed, so each test always passes or always fails. Bounds are five standard deviations: a right engine with
other keys would miss one of them in 2 million.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from prealign import draws
from prealign.codeswitch.collator import CodeSwitchCollator
from prealign.codeswitch.schedule import scheduled_ratio
from prealign.codeswitch.switch import Switched, switch_rows
from prealign.codeswitch.table import CodeSwitchTable
from prealign.dictionary.dictionary import Dictionary
from prealign.errors import PrealignError

GERMAN = {"house": {"Haus": 6, "Gebäude": 3, "Heim": 1}, "dog": {"Hund": 1}, "water": {"Wasser": 1}, "old": {"alt": 1}}
CHINESE = {"house": {"房子": 3, "屋": 1}, "dog": {"狗": 1}, "river": {"河": 1}}
TEXT = "house dog water river old "


def dictionary(counts: dict[str, dict[str, int]], code: str) -> Dictionary:
    pairs = [(source, target) for source, targets in counts.items() for target, n in targets.items() for _ in range(n)]
    return Dictionary.from_pairs(pairs, "en", code)


@pytest.fixture(scope="module")
def tokenizer(zoo: dict[str, Any]) -> Any:
    return zoo["unigram"]


@pytest.fixture(scope="module")
def german(tokenizer: Any) -> CodeSwitchTable:
    return CodeSwitchTable.compile([dictionary(GERMAN, "de")], tokenizer)


@pytest.fixture(scope="module")
def both(tokenizer: Any) -> CodeSwitchTable:
    """German with three times the weight of Chinese."""
    dictionaries = [dictionary(GERMAN, "de"), dictionary(CHINESE, "zh")]
    return CodeSwitchTable.compile(dictionaries, tokenizer, weights={"de": 3.0, "zh": 1.0})


@pytest.fixture(scope="module")
def plain(tokenizer: Any) -> CodeSwitchTable:
    """One word, one token before and after, so that places in a row are words."""
    return CodeSwitchTable.compile([dictionary({"house": {"дом": 1}}, "ru")], tokenizer)


def rows_of(tokenizer: Any, text: str, repeats: int, rows: int) -> list[np.ndarray]:
    """Equal rows, each with the words of `text` so many times."""
    ids = tokenizer((text * repeats).strip(), add_special_tokens=False)["input_ids"]
    return [np.array(ids, dtype=np.uint16)] * rows


def expect(found: float, share: float, n: int) -> None:
    """Of n independent draws, `found` came out, each with probability `share`."""
    assert found / n == pytest.approx(share, abs=5 * (share * (1 - share) / n) ** 0.5)


def translations(tokenizer: Any, done: Switched) -> Counter[str]:
    assert done.events is not None
    ids = [done.input_ids[event.row, event.out_start : event.out_stop] for event in done.events]
    return Counter(text.strip() for text in tokenizer.batch_decode(ids))


@pytest.mark.parametrize("ratio", [0.002, 0.05, 0.5])
def test_every_word_of_a_million_has_the_same_chance(tokenizer: Any, plain: CodeSwitchTable, ratio: float) -> None:
    """Wherever it stands in its row, and whatever happened to the word before it."""
    rows = rows_of(tokenizer, "house ", 500, 2000)
    done = switch_rows(plain, rows, keys=draws.bits(1, len(rows)), ratio=ratio, with_mask=True, length=500)
    assert rows[0].shape == (500,)
    assert done.mask is not None
    assert done.n_eligible == 1_000_000
    hit = done.mask
    expect(hit.sum(), ratio, hit.size)
    expect((hit[:, 1:] & hit[:, :-1]).sum(), ratio**2, hit[:, 1:].size)
    # 500 places at once: six standard deviations, missed by one place in a million.
    deviation = (ratio * (1 - ratio) / len(rows)) ** 0.5
    assert np.abs(hit.mean(axis=0) - ratio).max() < max(6 * deviation, 12 / len(rows))
    # The number of switched words of a row has the variance of independent draws, n r (1 - r).
    variance = 500 * ratio * (1 - ratio)
    assert hit.sum(axis=1).var() == pytest.approx(variance, rel=5 * (3 / len(rows)) ** 0.5)


@pytest.mark.parametrize(
    ("candidates", "shares"),
    [
        ("probability", {"Haus": 0.6, "Gebäude": 0.3, "Heim": 0.1}),
        ("uniform", {"Haus": 1 / 3, "Gebäude": 1 / 3, "Heim": 1 / 3}),
        ("best", {"Haus": 1.0}),
    ],
)
def test_candidates(tokenizer: Any, german: CodeSwitchTable, candidates: Any, shares: dict[str, float]) -> None:
    rows = rows_of(tokenizer, "house ", 200, 100)
    done = switch_rows(german, rows, keys=draws.bits(2, len(rows)), ratio=0.5, candidates=candidates, with_events=True)
    found = translations(tokenizer, done)
    assert found.keys() == shares.keys()
    for target, share in shares.items():
        expect(found[target], share, done.n_switched)


@pytest.mark.parametrize("candidates", ["probability", "uniform"])
def test_weights_of_languages(tokenizer: Any, both: CodeSwitchTable, candidates: Any) -> None:
    """A word that both translate goes to German three times in four, any other to the only language that has it."""
    inside = {"probability": {"Haus": 0.6, "房子": 0.75}, "uniform": {"Haus": 1 / 3, "房子": 1 / 2}}[candidates]
    for word, shares in {
        "house ": {"Haus": 0.75 * inside["Haus"], "房子": 0.25 * inside["房子"]},
        "dog ": {"Hund": 0.75, "狗": 0.25},
        "water ": {"Wasser": 1.0},
        "river ": {"河": 1.0},
    }.items():
        rows = rows_of(tokenizer, word, 200, 100)
        done = switch_rows(
            both, rows, keys=draws.bits(3, len(rows)), ratio=1.0, candidates=candidates, with_events=True
        )
        found = translations(tokenizer, done)
        for target, share in shares.items():
            expect(found[target], share, done.n_switched)


def test_ratio_per_language(tokenizer: Any, both: CodeSwitchTable) -> None:
    """Each word goes to each of its languages with that language's probability, whatever the weights."""
    rows = rows_of(tokenizer, TEXT, 50, 4000)
    done = switch_rows(both, rows, keys=draws.bits(4, len(rows)), ratio={"de": 0.05, "zh": 0.02}, with_events=True)
    assert done.n_eligible == 1_000_000
    found = translations(tokenizer, done)
    n = 200_000  # of each of the five words
    for target, share in {
        "Haus": 0.05 * 0.6, "Heim": 0.05 * 0.1, "屋": 0.02 * 0.25, "Hund": 0.05, "狗": 0.02, "Wasser": 0.05, "河": 0.02,
        "alt": 0.05,
    }.items():  # fmt: skip
        expect(found[target], share, n)
    only = switch_rows(both, rows[:10], keys=draws.bits(4, 10), ratio={"zh": 1.0}, with_events=True)
    assert only.by_language == {"de": 0, "zh": 3 * 50 * 10}


def test_share_of_documents(tokenizer: Any, plain: CodeSwitchTable) -> None:
    """Which rows are switched says nothing about which words: the rate within them stays."""
    rows = rows_of(tokenizer, "house ", 50, 10_000)
    done = switch_rows(plain, rows, keys=draws.bits(5, len(rows)), ratio=0.3, document_share=0.25, with_mask=True)
    assert done.mask is not None
    n_in_row = done.mask.sum(axis=1)  # none of 50 words by chance: once in 50 million rows
    expect((n_in_row > 0).sum(), 0.25, len(rows))
    expect(n_in_row.sum(), 0.3, 50 * int((n_in_row > 0).sum()))


def test_phrases(tokenizer: Any, plain: CodeSwitchTable) -> None:
    """With run=4, words 0 to 3, 4 to 7 and so on are switched together, and the rate stays."""
    rows = rows_of(tokenizer, "house ", 60, 5000)
    done = switch_rows(plain, rows, keys=draws.bits(6, len(rows)), ratio=0.1, run=4, length=60, with_mask=True)
    assert done.mask is not None
    phrases = done.mask.reshape(len(rows), 15, 4)
    assert (phrases.all(axis=2) == phrases.any(axis=2)).all()
    expect(phrases.all(axis=2).sum(), 0.1, 15 * len(rows))


def test_collator_draws_at_the_rates_asked_for(tokenizer: Any, plain: CodeSwitchTable) -> None:
    """Through the collator: a ratio set anew for each part of a schedule, phrases, and a ratio of the row's own."""
    examples = [{"input_ids": row, "example": n} for n, row in enumerate(rows_of(tokenizer, "house ", 200, 1000))]
    collate = CodeSwitchCollator(tokenizer, plain, 0.2, return_switch_mask=True)
    for progress, ratio in ((0.0, 0.2), (0.25, 0.15), (0.5, 0.1), (1.0, 0.0)):
        collate.ratio = scheduled_ratio("linear", 0.2, progress)
        expect(collate(examples)["switch_mask"].sum().item(), ratio, 200_000)
    phrases = CodeSwitchCollator(tokenizer, plain, 0.2, run=2, return_switch_mask=True)(examples)["switch_mask"]
    assert (phrases[:, ::2] == phrases[:, 1::2]).all()
    expect(phrases[:, ::2].sum().item(), 0.2, 100_000)
    rates = [0.0, 0.3, 1.0]
    rows = [example | {"ratio": rates[n % 3]} for n, example in enumerate(examples[:999])]
    mask = collate(rows)["switch_mask"]
    for first, ratio in enumerate(rates):
        expect(mask[first::3].sum().item(), ratio, 200 * 333)


def test_a_ratio_near_zero_takes_no_longer(tables: dict[str, CodeSwitchTable], zoo: dict[str, Any]) -> None:
    row = np.array(zoo["unigram"]("The house and the cat. " * 50, add_special_tokens=False)["input_ids"])
    done = switch_rows(tables["unigram"], [row], keys=draws.bits(1, 1), ratio=6e-18)
    assert done.n_switched == 0
    assert done.n_eligible > 50


@pytest.mark.parametrize("places", [[], [1], [0, 9, 4], [0, 10_000_000], [0, 5]])
def test_documents_must_lie_in_their_row(tables: dict[str, CodeSwitchTable], places: list[int]) -> None:
    with pytest.raises(PrealignError, match="documents of a packed row must begin at rising places inside it"):
        switch_rows(tables["unigram"], [np.arange(5)], keys=draws.bits(1, 1), ratio=0.5, documents=[np.array(places)])

"""Translation pairs by step: what sequences hold, on numbers that can be read; order and draws by their promises."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from prealign import ranks
from prealign.config.translations import ContrastSettings, TranslationSettings
from prealign.corpora.pair_store import PairStream
from prealign.errors import PrealignError
from prealign.objectives.masked_lm import Masking
from prealign.stages.translations import Marks, Translations

BEGIN, END, PAD, MASK = 0, 2, 1, 3
VOCABULARY = 100_000


def stream(sources: list[list[int]], targets: list[list[int]]) -> PairStream:
    def starts(side: list[list[int]]) -> Any:
        return np.cumsum([0, *map(len, side)])

    def tokens(side: list[list[int]]) -> Any:
        return np.array(list(itertools.chain(*side)), dtype=np.uint32)

    none = np.zeros(len(sources) + 1, dtype=np.int64)
    links, words = np.zeros((0, 4), dtype=np.int32), np.zeros(0, dtype=np.uint64)
    return PairStream(tokens(sources), starts(sources), tokens(targets), starts(targets), links, none, words)


def pairs(count: int, first: int) -> PairStream:
    """Pair n: a sentence of 2 + n % 3 tokens, all first + 10 n; its translation of 1 + n % 2 tokens, one more."""
    numbers = range(count)
    return stream(
        [[first + 10 * n] * (2 + n % 3) for n in numbers], [[first + 10 * n + 1] * (1 + n % 2) for n in numbers]
    )


def translations(
    masked: bool = False, block: int = 32, per_device: int = 4, starts_word: Any = None, **settings: Any
) -> Translations:
    store = SimpleNamespace(streams={("en", "de"): pairs(40, 1000), ("en", "fr"): pairs(10, 50_000)})
    contrast = {"pairs_per_step": 8, "queue_size": 16, "masked": masked, **settings.pop("contrast", {})}
    return Translations(
        store,  # type: ignore[arg-type]
        TranslationSettings(contrast=ContrastSettings(**contrast), tlm_pairs_per_step=8, **settings),
        block=block,
        marks=Marks(BEGIN, END, PAD),
        masking=Masking.of(MASK, VOCABULARY, [BEGIN, END, PAD], starts_word) if masked else None,
        per_device=per_device,
        seed=1,
    )


def sequences(batch: dict[str, Any], prefix: str = "", of: str = "input_ids") -> list[list[int]]:
    """The sequences of packed rows."""
    found: list[list[int]] = []
    places = batch[prefix + "position_ids"].tolist()
    for tokens, values, positions in zip(
        batch[prefix + "input_ids"].tolist(), batch[(prefix if of == "input_ids" else "") + of].tolist(), places
    ):
        for token, value, position in zip(tokens, values, positions):
            if token == PAD:
                continue
            if position == 0:
                found.append([])
            found[-1].append(value)
    return found


def test_tlm_reads_a_pair_as_one_sequence_either_side_first() -> None:
    data = translations()
    orders = set()
    for step in range(6):
        for batch in data.tlm(step):
            found = sequences(batch)
            assert len(found) == len(batch["examples"]) == 4
            for ids, sample in zip(found, batch["examples"], strict=True):
                first = {"en--de": 1000, "en--fr": 50_000}[sample.stream] + 10 * sample.row
                x, y = [first] * (2 + sample.row % 3), [first + 1] * (1 + sample.row % 2)
                assert ids in ([BEGIN, *x, END, *y, END], [BEGIN, *y, END, *x, END])
                orders.add(ids[1] == first)
    assert orders == {True, False}


def test_causal_models_predict_every_token_of_a_pair_but_its_first() -> None:
    (batch, _) = translations().tlm(0)
    labels = sequences(batch, of="labels")
    assert [ids[1:] for ids in labels] == [ids[1:] for ids in sequences(batch)]
    assert {ids[0] for ids in labels} == {-100}, "the end of another pair stands before it"
    assert (batch["labels"][batch["input_ids"] == PAD] == -100).all()


def test_the_control_reads_the_same_sentences_one_by_one() -> None:
    data = translations()
    for together, apart in zip(data.tlm(3), data.tlm(3, apart=True), strict=True):
        assert apart["examples"] == together["examples"]
        assert apart["n_pairs_read"] == together["n_pairs_read"] == 4
        halves, wholes = sequences(apart), sequences(together)
        joined = [[*one, *other[1:]] for one, other in zip(halves[::2], halves[1::2], strict=True)]
        assert joined == wholes
        assert apart["n_pair_tokens"] == together["n_pair_tokens"] + 4 == sum(map(len, halves))


def test_keys_of_the_batch_are_in_one_batch() -> None:
    data = translations(contrast={"keys": "in_batch", "similarity": "cosine"}, per_device=2)
    (batch,) = data.contrast(0, mixup=False)
    assert batch["n_contrast_pairs"] == 8
    assert batch["n_contrast_tokens"] == sum(len(ids) for side in ("", "key_") for ids in sequences(batch, side))
    assert len(data.tlm(0)) == 4


def test_ranks_must_have_equally_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "world_size", lambda: 3)
    with pytest.raises(PrealignError, match=r"translations\.tlm_pairs_per_step is 8 for 3 ranks; take a multiple"):
        translations()


def test_masked_models_predict_what_is_hidden() -> None:
    data, plain = translations(masked=True), translations()
    hidden = masked = total = 0
    for step in range(40):
        for batch, original in zip(data.tlm(step), plain.tlm(step), strict=True):
            assert batch["examples"] == original["examples"]
            chosen = batch["labels"] != -100
            assert torch.equal(batch["labels"][chosen], original["input_ids"][chosen])
            assert torch.equal(batch["input_ids"][~chosen], original["input_ids"][~chosen])
            assert (original["input_ids"][chosen] > MASK).all(), "borders of sentences stay"
            hidden += int(chosen.sum())
            masked += int((batch["input_ids"][chosen] == MASK).sum())
            total += int((original["input_ids"] > 3).sum())
    assert 0.12 < hidden / total < 0.18  # 15 % of about 1,300 tokens: standard deviation 1 %
    assert 0.71 < masked / hidden < 0.89  # 80 % of about 200: standard deviation 3 %


def test_whole_words_are_hidden_in_pairs_too() -> None:
    goes_on = np.zeros(VOCABULARY, dtype=np.bool_)  # no token begins a word: a sentence is one
    data, plain, hidden = translations(masked=True, starts_word=goes_on), translations(), 0
    for step in range(8):
        for batch, original in zip(data.tlm(step), plain.tlm(step), strict=True):
            for labels, ids in zip(sequences(batch, of="labels"), sequences(original), strict=True):
                for token, sentence in itertools.groupby(zip(labels, ids), key=lambda both: both[1]):
                    asked = {label for label, _ in sentence}
                    assert asked in ({-100}, {token})
                    hidden += asked == {token}
    assert 5 < hidden < 40  # 19 of 128 sentences expected, standard deviation 4


def test_contrast_asks_for_the_translation() -> None:
    data = translations()
    directions = set()
    for batch in data.contrast(3, mixup=False):
        queries, keys = sequences(batch), sequences(batch, "key_")
        for query, key, sample in zip(queries, keys, batch["examples"], strict=True):
            first = {"en--de": 1000, "en--fr": 50_000}[sample.stream] + 10 * sample.row
            x, y = [BEGIN, *[first] * (2 + sample.row % 3), END], [BEGIN, *[first + 1] * (1 + sample.row % 2), END]
            assert (query, key) in ((x, y), (y, x))
            directions.add(query == x)
    assert directions == {True, False}


MIXED = {
    "<s> x1 </s> x2 </s>": ("<s> y1 </s> y2 </s>", "<s> y2 </s> y1 </s>"),
    "<s> x1 </s> y2 </s>": ("<s> y1 </s> x2 </s>", "<s> x2 </s> y1 </s>"),
    "<s> y1 </s> x2 </s>": ("<s> x1 </s> y2 </s>", "<s> y2 </s> x1 </s>"),
    "<s> y1 </s> y2 </s>": ("<s> x1 </s> x2 </s>", "<s> x2 </s> x1 </s>"),
}
"""What may be asked of two pairs x1-y1 and x2-y2 that are joined, and what it may ask for."""


def test_mixup_joins_two_pairs_on_both_sides() -> None:
    data = translations(contrast={"mixup": 1.0, "pairs_per_step": 80}, per_device=80)
    (batch,) = data.contrast(0, mixup=True)
    (partners,) = data._samples("partner", 0, 80)
    seen, languages = set(), set()
    for query, key, *pairs in zip(sequences(batch), sequences(batch, "key_"), batch["examples"], partners, strict=True):
        firsts = [{"en--de": 1000, "en--fr": 50_000}[pair.stream] + 10 * pair.row for pair in pairs]
        marks = {BEGIN: "<s>", END: "</s>"} | {f + s: f"{'xy'[s]}{n}" for n, f in enumerate(firsts, 1) for s in (0, 1)}
        if firsts[0] == firsts[1]:
            continue  # a pair that is joined with itself
        asked, given = (" ".join(token for token, _ in itertools.groupby(map(marks.get, ids))) for ids in (query, key))
        assert given in MIXED[asked]
        seen.add((asked, given))
        languages.add(tuple(pair.stream for pair in pairs))
    assert len(seen) == 8, "every case comes"
    assert len(languages) == 4, "of any two languages"


def test_share_of_mixup() -> None:
    data = translations(contrast={"mixup": 0.25, "pairs_per_step": 400}, per_device=400)
    (batch,) = data.contrast(0, mixup=True)
    joined = sum(query.count(END) == 2 for query in sequences(batch))
    assert 70 < joined < 130  # 100 expected, standard deviation 9
    (single,) = data.contrast(0, mixup=False)
    assert {query.count(END) for query in sequences(single)} == {1}


def test_names_tell_sentences_that_are_written_alike() -> None:
    data = translations(contrast={"pairs_per_step": 100}, per_device=100)
    (batch,) = data.contrast(0, mixup=True)
    written = [*sequences(batch), *sequences(batch, "key_")]
    names = batch["names"].T.flatten().tolist()
    for i, j in itertools.combinations(range(200), 2):
        assert (written[i] == written[j]) == (names[i] == names[j])


def test_long_sentences_are_cut_and_counted() -> None:
    data = translations(block=9)
    assert {len(ids) <= 9 for batch in data.tlm(0) for ids in sequences(batch)} == {True}
    cut = [sample for batch in data.tlm(0) for sample in batch["examples"] if 2 + sample.row % 3 > 3]
    assert sum(batch["n_cut_sentences"] for batch in data.tlm(0)) == len(cut) > 0


def test_room_for_sentences() -> None:
    with_begin, without = Marks(BEGIN, END, PAD), Marks(None, END, PAD)
    assert [with_begin.room(9, n) for n in (1, 2)] == [7, 3]  # <s> 7 </s>, <s> 3 </s> 3 </s>
    assert [without.room(9, n) for n in (1, 2)] == [8, 3]


def test_share_of_long_sentences() -> None:
    # Sources of 2, 3, 4, 2 ... tokens, translations of 1 and 2.
    assert translations().beyond(3) == {"en--de": 13 / 80, "en--fr": 3 / 20}
    assert translations().beyond(4) == {"en--de": 0, "en--fr": 0}


def test_a_step_is_the_same_on_any_number_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = translations()

    def everything() -> list[Any]:
        found = [*data.tlm(5), *data.contrast(5, mixup=True)]
        return [(sequences(batch), batch["examples"]) for batch in found]

    alone = everything()
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    of_ranks = []
    for rank in (0, 1):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        of_ranks.append(everything())
    assert [of_ranks[0][0], of_ranks[1][0], of_ranks[0][1], of_ranks[1][1]] == alone


def test_micro_batches_of_a_step_are_marked() -> None:
    marked = [(batch["step"], batch["is_first"], batch["is_last"]) for batch in translations().contrast(7, mixup=False)]
    assert marked == [(7, True, False), (7, False, True)]


def test_another_epoch_hides_other_tokens() -> None:
    data = translations(masked=True, per_device=8)
    seen: dict[Any, set[tuple[int, ...]]] = {}
    for step in range(60):
        for batch in data.tlm(step):
            for ids, sample in zip(sequences(batch), batch["examples"], strict=True):
                seen.setdefault((sample.stream, sample.row), set()).add((sample.epoch, *ids))
    again = [found for found in seen.values() if len({entry[0] for entry in found}) > 3]
    assert again
    assert all(len({entry[1:] for entry in found}) > 1 for found in again)


def test_languages_by_the_power_of_their_size() -> None:
    samples = [
        s for step in range(64) for batch in translations(sampling_alpha=0.0).tlm(step) for s in batch["examples"]
    ]
    share = sum(sample.stream == "en--fr" for sample in samples) / len(samples)
    assert share == pytest.approx(0.5, abs=0.01)


def test_a_language_pair_without_sentences() -> None:
    store = SimpleNamespace(streams={("en", "de"): stream([], [])})
    with pytest.raises(PrealignError, match="en--de has no sentence pair"):
        Translations(
            store,  # type: ignore[arg-type]
            TranslationSettings(),
            block=16,
            marks=Marks(BEGIN, END, PAD),
            masking=None,
            per_device=4,
            seed=1,
        )


def test_keys_to_begin_with_are_of_the_same_kind() -> None:
    data = translations()
    steps = itertools.islice(data.first_keys(mixup=True), 5)
    batches = [batch for step in steps for batch in step]
    assert all({"key_input_ids", "names"} <= batch.keys() for batch in batches)
    assert len({tuple(batch["names"].flatten().tolist()) for batch in batches}) == 10

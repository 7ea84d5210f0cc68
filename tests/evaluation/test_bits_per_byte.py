"""Bits per byte: by hand, against a slow plain way, and that nothing is lost or counted twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prealign.errors import PrealignError
from prealign.evaluation.bits_per_byte import BitsPerByteTask, bits_per_byte, choose_documents, plan_windows


def test_by_hand(bigram, stream_of):
    # After EOS (2) the table says 0: 2 bits, 3: 1 bit. Document one: 2>0 0>1 1>EOS = 2 + 2 + 2; two: 2>3 3>EOS = 1 + 1.
    measured = bits_per_byte(bigram, stream_of([[0, 1], [3]], n_bytes=[3, 1]), block_size=8, batch_size=2)
    assert measured.bits == pytest.approx(8.0)
    assert (measured.tokens, measured.bytes, measured.documents) == (5, 4, 2)
    assert measured.value == pytest.approx(2.0)
    assert measured.perplexity == pytest.approx(2 ** (8 / 5))
    assert measured.as_dict()["signature"] == "documents:2|bytes:4|block:8|stride:4|eos:counted"


def test_uniform_model_costs_the_logarithm_of_the_vocabulary(tiny_model, stream_of):
    model = tiny_model()
    model.get_output_embeddings().weight.data.zero_()
    measured = bits_per_byte(model, stream_of([[5, 6], [7, 8, 9, 10]], n_bytes=[4, 8]), block_size=4, batch_size=1)
    assert measured.value == pytest.approx(8 * 6 / 12)  # 8 tokens of log2(64) bits, 12 bytes


documents_of_four_ids = st.lists(st.lists(st.sampled_from([0, 1, 3]), max_size=9), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(documents_of_four_ids, st.integers(1, 7), st.integers(1, 3), st.data())
def test_every_token_counts_once_whatever_the_windows(bigram, stream_of, documents, block_size, batch_size, data):
    stride = data.draw(st.integers(1, block_size))
    stream = stream_of(documents, n_bytes=[max(1, len(document)) for document in documents])
    table = bigram.head.weight.T
    slow = sum(-table[a, b].item() / math.log(2) for d in documents for a, b in zip([2, *d], [*d, 2]))
    measured = bits_per_byte(bigram, stream, block_size=block_size, batch_size=batch_size, stride=stride)
    assert measured.bits == pytest.approx(slow, rel=1e-6)
    assert measured.tokens == sum(map(len, documents)) + len(documents)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 12), st.data())
def test_windows_cover_each_position_once_and_give_context(lengths, block_size, data):
    stride = data.draw(st.integers(1, block_size))
    windows = plan_windows(np.arange(len(lengths)), np.array(lengths), block_size, stride)
    covered = []
    for document, begin, first, end in zip(windows.document, windows.begin, windows.first, windows.end):
        assert 0 <= begin <= first < end <= begin + block_size
        assert begin == 0 or first - begin >= block_size - stride
        assert lengths[document] <= block_size or end - begin == block_size
        covered += [(document, position) for position in range(first, end)]
    assert covered == [(d, position) for d, length in enumerate(lengths) for position in range(length)]


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("llama", {}),
        ("gpt_neox", {}),
        ("cohere", {"logit_scale": 0.3, "pad_token_id": 0}),
    ],  # the last one's head is not plain
)
def test_equals_the_full_logits_window_by_window(tiny_model, stream_of, kind, config):
    model = tiny_model(kind, **config)
    documents = [list(range(3, 14)), [40, 41], list(range(20, 26))]
    block_size, stride = 6, 2
    bits = 0.0
    for document in documents:
        ids = [2, *document, 2]
        done = 0
        while done < len(ids) - 1:
            end = min(len(ids) - 1, done + (block_size if done == 0 else stride))
            begin = max(0, end - block_size)
            with torch.no_grad():
                logits = model(torch.tensor([ids[begin:end]])).logits[0].double()
            logp = logits.log_softmax(-1)[torch.arange(end - begin), torch.tensor(ids[begin + 1 : end + 1])]
            bits -= logp[done - begin :].sum().item() / math.log(2)
            done = end
    for batch_size in (1, 4):
        measured = bits_per_byte(
            model, stream_of(documents), block_size=block_size, batch_size=batch_size, stride=stride
        )
        assert measured.bits == pytest.approx(bits, rel=1e-5)  # float32 against float64 logits


def test_a_document_does_not_depend_on_its_neighbours(tiny_model, stream_of):
    model = tiny_model()
    documents = [[5, 6, 7], [30, 31, 32, 33, 34, 35, 36, 37, 38], [50]]
    together = bits_per_byte(model, stream_of(documents), block_size=4, batch_size=3)
    alone = [bits_per_byte(model, stream_of([document]), block_size=4, batch_size=3) for document in documents]
    turned = bits_per_byte(model, stream_of(documents[::-1]), block_size=4, batch_size=3)
    assert together.bits == pytest.approx(sum(one.bits for one in alone), rel=1e-6)
    assert together.bits == pytest.approx(turned.bits, rel=1e-6)


def test_context_before_the_window_lowers_nothing_but_is_used(tiny_model, stream_of):
    """With stride equal to the block a window starts without context; with less the bits change."""
    stream = stream_of([list(range(3, 40))])
    model = tiny_model()
    without, with_context = (bits_per_byte(model, stream, block_size=8, batch_size=4, stride=s).bits for s in (8, 4))
    assert without != pytest.approx(with_context, rel=1e-3)


def test_sample_is_of_whole_documents_and_always_the_same():
    lengths = np.array([5, 7, 3, 9, 4, 6] * 20)
    chosen = choose_documents(lengths, 100)
    assert list(chosen) == sorted(set(chosen))
    assert 90 < lengths[chosen].sum() <= 100
    assert np.array_equal(chosen, choose_documents(lengths, 100))
    assert list(chosen) != list(range(len(chosen)))
    assert len(choose_documents(lengths, None)) == len(choose_documents(lengths, 10**6)) == 120
    assert len(choose_documents(lengths, 1)) == 1


def test_sample_is_divided_by_its_own_bytes(bigram, stream_of):
    stream = stream_of([[0] * 5, [3] * 5, [1] * 5], n_bytes=[10, 20, 40])
    (chosen,) = choose_documents(np.array([6, 6, 6]), 6)
    measured = bits_per_byte(bigram, stream, block_size=8, batch_size=2, max_tokens=6)
    assert measured.documents == 1
    assert measured.bytes == [10, 20, 40][chosen]


def test_training_mode_is_given_back(tiny_model, stream_of):
    model = tiny_model("llama", attention_dropout=0.9).train()
    first, second = (bits_per_byte(model, stream_of([[5, 6, 7, 8]]), block_size=8, batch_size=1).bits for _ in range(2))
    assert first == second
    assert model.training


def test_mistakes(bigram, stream_of):
    with pytest.raises(PrealignError, match=r"stride 9 must lie between 1 and the block size, 8"):
        bits_per_byte(bigram, stream_of([[0]]), block_size=8, batch_size=1, stride=9)
    with pytest.raises(PrealignError, match=r"no document to read.*raise store.validation_share"):
        bits_per_byte(bigram, stream_of([]), block_size=8, batch_size=1)


def test_the_task_has_an_item_for_every_document(bigram, stream_of):
    """The documents of `test_by_hand` once more, with 6 and 2 bits, and 3 bytes and 1 byte."""
    streams = {"en": stream_of([[0, 1], [3]], n_bytes=[3, 1]), "de": stream_of([[0]], n_bytes=[1])}
    outcome = BitsPerByteTask(streams, {"en": "e11", "de": "de1"}, block_size=8, batch_size=2).run(bigram)
    value, perplexity = (measure for measure in outcome.measures if measure.of == "en")
    assert (value.name, value.value, value.better, value.test) == ("bits/byte", pytest.approx(2.0), "lower", "en")
    assert value.signature.startswith("data:e11|documents:2|bytes:4|block:8|stride:4|eos:counted|v:")
    assert (perplexity.name, perplexity.headline) == ("perplexity", False)
    assert perplexity.value == pytest.approx(2 ** (8 / 5))
    assert perplexity.signature == value.signature + "|tokens:5"
    items = [(item.item, item.score, item.weight, dict(item.detail)) for item in outcome.items if item.test == "en"]
    assert items == [("0", pytest.approx(6.0), 3.0, {"tokens": 3}), ("1", pytest.approx(2.0), 1.0, {"tokens": 2})]
    assert outcome.scores["de"]["value"] == pytest.approx(5.0)  # EOS>0 0>EOS = 2 + 3 bits, one byte


def test_results_do_not_depend_on_the_batch_size_and_the_model_stays_as_it_was(tiny_model, stream_of):
    model = tiny_model(attention_dropout=0.5).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = stream_of([list(range(3, 40)), [5], [9, 8, 7] * 5, [40] * 9])
    one, many = (BitsPerByteTask({"en": stream}, {"en": ""}, 8, size).run(model) for size in (1, 16))
    for a, b in zip(one.items, many.items, strict=True):
        assert (a.item, a.weight) == (b.item, b.weight)
        assert a.score == pytest.approx(b.score, rel=1e-5)  # float32 sums in another order
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())

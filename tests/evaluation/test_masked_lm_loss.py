"""Cross-entropy of hidden tokens: against the logits of whole documents, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel

from prealign import draws
from prealign.errors import PrealignError
from prealign.evaluation.masked_lm_loss import MaskedLMLossTask, masked_lm_loss
from prealign.objectives.masked_lm import Masking, mask_tokens

MASKING = Masking.of(4, 64, [0, 1, 2, 3])
DOCUMENTS = [list(range(5, 60)), [7, 8, 9], list(range(60, 20, -1)), [50] * 9]


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def encoder(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        request.param, vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=64, initializer_range=0.5, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return AutoModelForMaskedLM.from_config(config).float().eval()


def test_equals_document_by_document(encoder, stream_of):
    block, nats, hidden = 16, 0.0, 0
    for number, document in enumerate(DOCUMENTS):
        ids = np.array([*document, 2])
        for begin in range(0, len(ids), block):
            row = ids[begin : begin + block][None]
            hides = Masking(4, MASKING.special, masked=1.0, replaced=0.0)
            seen, labels = mask_tokens(row, [draws.key("masked lm loss", number, begin)], hides)
            with torch.no_grad():
                logp = encoder(torch.from_numpy(seen)).logits[0].double().log_softmax(-1)
            for place in np.flatnonzero(labels[0] != -100):
                assert seen[0, place] == 4
                nats -= logp[place, row[0, place]].item()
                hidden += 1
    for batch_size in (1, 3):
        found = masked_lm_loss(encoder, stream_of(DOCUMENTS), MASKING, block_size=block, batch_size=batch_size)
        assert found.hidden == hidden > 5
        assert found.nats == pytest.approx(nats, rel=1e-5)  # float32 against float64 logits
        assert found.as_dict()["value"] == pytest.approx(nats / hidden, rel=1e-5)


def test_a_document_is_asked_the_same_in_any_sample(encoder, stream_of):
    stream = stream_of([list(range(5, 45))] * 20)
    sizes = {"block_size": 16, "batch_size": 4}
    part = masked_lm_loss(encoder, stream, MASKING, max_tokens=200, **sizes)
    assert part == masked_lm_loss(encoder, stream, MASKING, max_tokens=200, **sizes)
    assert 0 < part.documents < 20


def test_nothing_to_hide_is_told(encoder, stream_of):
    with pytest.raises(PrealignError, match="no token was hidden"):
        masked_lm_loss(encoder, stream_of([[0, 1]]), MASKING, block_size=8, batch_size=1)
    with pytest.raises(PrealignError, match="no token was hidden"):
        masked_lm_loss(encoder, stream_of([]), MASKING, block_size=8, batch_size=1)


def test_the_task_has_an_item_for_every_document_with_hidden_tokens(encoder, stream_of):
    documents = [*DOCUMENTS, [0]]  # nothing of the last one can be hidden
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    one, many = (
        MaskedLMLossTask({"de": stream_of(documents)}, {"de": "c0de"}, MASKING, block_size=16, batch_size=size).run(
            encoder
        )
        for size in (1, 16)
    )
    (measure,) = one.measures
    assert (measure.name, measure.of, measure.better, measure.test) == ("masked LM loss", "de", "lower", "de")
    assert measure.signature.startswith("data:c0de|documents:5|hidden:")
    assert measure.value == one.scores["de"]["value"] == pytest.approx(many.measures[0].value, rel=1e-5)
    assert sum(item.score for item in one.items) / sum(item.weight for item in one.items) == pytest.approx(
        measure.value
    )
    assert [item.item for item in one.items] == [str(n) for n in range(4) if any(i.item == str(n) for i in one.items)]
    for a, b in zip(one.items, many.items, strict=True):
        assert (a.item, a.weight) == (b.item, b.weight)
        assert a.score == pytest.approx(b.score, rel=1e-4)
    assert all(value.equal(before[name]) for name, value in encoder.state_dict().items())

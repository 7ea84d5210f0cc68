"""Every task gives on a GPU what it gives on the CPU, up to rounding. Skipped where there is none."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prealign.dictionary.dictionary import Dictionary
from prealign.evaluation.bits_per_byte import BitsPerByteTask
from prealign.evaluation.sentence_retrieval import SentenceRetrievalTask, SentenceTest
from prealign.evaluation.task import Task
from prealign.evaluation.word_retrieval import WordRetrievalTask, WordTest

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture
def tasks(stream_of) -> list[Task]:
    """Twenty words with their translations, and sentences of them."""
    words = [f"{letter}{i}" for letter in "wv" for i in range(20)]
    core = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(["<unk>", ",", "</s>", *words])}, unk_token="<unk>")
    )
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    dictionary = Dictionary.from_pairs([(f"w{i}", f"v{i}") for i in range(20)], "en", "de")
    pairs = [(f"w{i} w{(7 * i + 3) % 20}", f"v{(7 * i + 3) % 20} v{i}") for i in range(20)]
    return [
        BitsPerByteTask({"en": stream_of([list(range(3, 40)), [5], [9, 8, 7] * 5])}, {"en": ""}, 8, 4),
        WordRetrievalTask({"en--de": {"held_out": WordTest.of("en--de held_out", dictionary, tokenizer, 99)}}, 4),
        SentenceRetrievalTask({"t en--de": SentenceTest.of("t en--de", pairs, tokenizer, 8)}, 32),
    ]


def test_gpu_and_cpu_agree(tasks, tiny_model):
    on_cpu, on_gpu = tiny_model(), tiny_model().to("cuda")
    for task in tasks:
        expected, found = task.run(on_cpu), task.run(on_gpu)
        for a, b in zip(expected.measures, found.measures, strict=True):
            assert (a.name, a.of, a.signature) == (b.name, b.of, b.signature)
            # Rounding may turn a near tie of one word around, which is a twentieth of a layer's score.
            assert a.value == pytest.approx(b.value, rel=1e-3, abs=0.02), a.name
        assert [item.item for item in expected.items] == [item.item for item in found.items]
    assert next(on_gpu.parameters()).device.type == "cuda"

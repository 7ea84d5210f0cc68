"""How fast the word-alignment loss is and what memory it takes, beside plain ways and sentence-transformers.

    python bench/alignment_loss.py [--pairs 256 2048] [--preset tiny] [--turns 3]

Words are pairs of a published dictionary, drawn by lot, cut by a tokenizer trained on the dictionary. One training
pass is forward and backward, float32, on one thread. Every case runs in a process of its own; time is the CPU time of
the fastest pass, memory the peak of resident memory above what the process held before its first pass.

At all layers: `plain` pads words to the longest, keeps everything for the backward pass and builds similarity matrices
[layers, words, words]. At the last block only, since that is what they do: MultipleNegativesRankingLoss of
sentence-transformers (MNRL) and its cached form with all four directions. They compute the same similarities, but sum
them for a pair where ours sums them for a word, so their loss is another number; left out where the package is not
installed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel

from prealign.config.init import ModelSettings
from prealign.config.settings import TokenizerSettings
from prealign.dictionary.dictionary import Dictionary
from prealign.evaluation.word_forms import encode_words
from prealign.model.build import build_model
from prealign.objectives.word_alignment import WordAlignment
from prealign.objectives.word_pairs import Pairs, Relations, anchors
from prealign.objectives.word_states import word_batch
from prealign.tokenizer.train import train_tokenizer

TEMPERATURE, IN_PARTS = 0.1, 256
DICTIONARY = Path(__file__).parents[1] / "alignment_dicts" / "en-de"

WordPairs = list[tuple[list[int], list[int]]]
Case = Callable[[PreTrainedModel, WordPairs], Callable[[], Tensor]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, nargs="+", default=[256, 2048], help="translation pairs in a batch")
    arguments.add_argument("--preset", default="tiny", help="model shape")
    arguments.add_argument("--turns", type=int, default=3, help="passes per case")
    arguments.add_argument("--only", nargs="+", help="names of cases, see the table")
    given = arguments.parse_args()
    words, vocab_size = encoded_pairs()
    context = multiprocessing.get_context("forkserver")  # imports once, and forks a clean process for every case
    context.set_forkserver_preload(["transformers.models.llama.modeling_llama", "sentence_transformers"])
    print(f"{'':34}{'pairs':>8}{'words/s':>10}{'MB':>8}{'loss':>9}")
    for pairs in given.pairs:
        for name in CASES:
            if given.only and name not in given.only:
                continue
            with context.Pool(1) as process:
                found = process.apply(measure, (name, words[:pairs], vocab_size, given.preset, given.turns))
            if found is not None:
                print(f"{name:34}{pairs:8,}{found['speed']:10,.0f}{found['mb']:8,.0f}{found['loss']:9.4f}", flush=True)


def encoded_pairs() -> tuple[WordPairs, int]:
    """Pairs of the dictionary as token ids, in a drawn order, and the size of the vocabulary."""
    entries = Dictionary.read(DICTIONARY).entries
    with tempfile.TemporaryDirectory() as folder:
        texts = [f"{entry.source} {entry.target}" for entry in entries for _ in range(min(entry.count, 20))]
        train_tokenizer(texts, TokenizerSettings(vocab_size=8192), Path(folder))
        tokenizer = AutoTokenizer.from_pretrained(folder)
    random.Random(1).shuffle(entries)
    ids = encode_words(tokenizer, [word for entry in entries for word in (entry.source, entry.target)])
    return list(zip(ids[::2], ids[1::2], strict=True)), len(tokenizer)


def measure(name: str, pairs: WordPairs, vocab_size: int, preset: str, turns: int) -> dict[str, float] | None:
    """Words per second, megabytes and loss of one case; None where its package is missing."""
    torch.set_num_threads(1)
    special = {"bos": 1, "eos": 2, "pad": 0}
    settings = ModelSettings.model_validate({"preset": preset})
    model = build_model(settings, vocab_size=vocab_size, special=special, max_positions=64, seed=1)
    for parameter in model.parameters():  # so that the peak holds what a pass takes
        parameter.grad = torch.zeros_like(parameter)
    try:
        one_pass = CASES[name](model, pairs)
    except ImportError:
        return None
    before, times = resident("VmRSS"), []
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    for _ in range(turns):
        began = time.process_time()
        loss = one_pass()
        loss.backward()
        times.append(time.process_time() - began)
    return {"speed": 2 * len(pairs) / min(times), "mb": resident("VmHWM") - before, "loss": loss.item()}


def resident(what: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM), in MB; Linux."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def ours(layers: str | list[int], words_per_forward: int) -> Case:
    def case(model: PreTrainedModel, pairs: WordPairs) -> Callable[[], Tensor]:
        chosen = [model.config.num_hidden_layers] if layers == "last" else layers
        objective = WordAlignment(TEMPERATURE, chosen, words_per_forward=words_per_forward)
        batch = word_batch(pairs, range(len(pairs)), pad_id=0)
        count = objective.count(batch)
        return lambda: objective.loss_sum(model, batch) / count

    return case


def plain(model: PreTrainedModel, pairs: WordPairs) -> Callable[[], Tensor]:
    """The loss as one would write it first: padding, full matrices, autograd."""
    batch = word_batch(pairs, range(len(pairs)), pad_id=0)
    groups, forms = batch["groups"], batch["forms"]
    padded = padding([word for pair in pairs for word in pair])
    ids, mask = padded["input_ids"], padded["attention_mask"]
    pairs_of_words = Pairs.of(Relations.of(groups, forms), torch.arange(len(groups)))
    counted, anchor = ~pairs_of_words.left_out, anchors(groups, forms)
    positive = torch.zeros_like(counted)
    positive[pairs_of_words.anchor, pairs_of_words.word] = True

    def one_pass() -> Tensor:
        outputs = model.base_model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        rows = F.embedding(ids, model.get_output_embeddings().weight)
        layers = torch.stack([model.get_input_embeddings()(ids), *outputs.hidden_states[1:], rows])
        states = (layers * mask[:, :, None]).sum(dim=2) / mask.sum(dim=1, keepdim=True)  # [layers, words, width]
        unit = F.normalize(states, dim=-1)
        z = unit @ unit.mT / TEMPERATURE  # [layers, words, words]
        everyone = z.masked_fill(~counted, -torch.inf).logsumexp(dim=-1)
        pull = z.masked_fill(~positive, -torch.inf).logsumexp(dim=-1)
        return (everyone - pull)[:, anchor].mean()

    return one_pass


def padding(words: list[list[int]]) -> dict[str, Tensor]:
    longest = max(map(len, words))
    return {
        "input_ids": torch.tensor([word + [0] * (longest - len(word)) for word in words]),
        "attention_mask": torch.tensor([[1] * len(word) + [0] * (longest - len(word)) for word in words]),
    }


def sentence_transformers(cached: bool) -> Case:
    def case(model: PreTrainedModel, pairs: WordPairs) -> Callable[[], Tensor]:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.losses import (
            CachedMultipleNegativesRankingLoss,
            MultipleNegativesRankingLoss,
        )

        class MeanState(nn.Module):
            """The mean of the last block's states over a word's tokens."""

            def __init__(self) -> None:
                super().__init__()
                self.model = model.base_model

            def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
                mask = features["attention_mask"].unsqueeze(2)
                states = self.model(
                    input_ids=features["input_ids"], attention_mask=features["attention_mask"], use_cache=False
                ).last_hidden_state
                return {**features, "sentence_embedding": (states * mask).sum(dim=1) / mask.sum(dim=1)}

        directions = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
        options: dict[str, Any] = {"scale": 1 / TEMPERATURE, "directions": directions}
        encoder = SentenceTransformer(modules=[MeanState()], device="cpu")
        if cached:
            loss = CachedMultipleNegativesRankingLoss(encoder, mini_batch_size=IN_PARTS, **options)
        else:
            loss = MultipleNegativesRankingLoss(encoder, **options)
        columns = [padding([pair[side] for pair in pairs]) for side in (0, 1)]
        return lambda: loss([dict(column) for column in columns], torch.arange(len(pairs)))

    return case


CASES: dict[str, Case] = {
    "all layers: plain": plain,
    "all layers: ours": ours("all", 0),
    "all layers: ours, in parts": ours("all", IN_PARTS),
    "last block: ours": ours("last", 0),
    "last block: ours, in parts": ours("last", IN_PARTS),
    "last block: MNRL": sentence_transformers(cached=False),
    "last block: cached MNRL": sentence_transformers(cached=True),
}

if __name__ == "__main__":
    main()

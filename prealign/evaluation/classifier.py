"""A text classifier on a language model: fine-tuned in a fixed number of steps, then asked for probabilities.

The classifier is a copy of the model's body and a linear head on the state of one token: the last one in causal LMs,
which has seen the whole text, the first one in encoders. Transformers' own classes for sequence classification find
the last token by looking for the padding id, which goes wrong where a text ends with it, and put another head on every
kind of encoder; here the place is known from the length and the head is the same. On a Llama the two agree (tests).

A row is read as texts are in pretraining: after an end of document, or after the classification token of encoders
that have one, with another end of document behind each of its texts. The head starts at zero, so that the first loss
is ln(classes) and nothing but the order of the examples is random; the order and dropout are keyed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from prealign import draws
from prealign.corpora.text_tokenizer import text_tokenizer
from prealign.evaluation.bits_per_byte import like_length
from prealign.evaluation.states import evaluating
from prealign.log import progress
from prealign.objectives.packing import first_position, reads_both_ways

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01
MAX_GRAD_NORM = 1.0
POOL = 16
"""Batches drawn together and sorted by length among themselves, so that rows of a batch are of like length."""

Row = Sequence[int]
"""Token ids of one example, with those that mark its texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """How a classifier is trained."""

    max_steps: int
    batch_size: int
    learning_rate: float
    """At its peak after a tenth of the steps; from there it falls to zero in a straight line."""
    key: int
    """Of the order of the examples and of dropout."""
    autocast: torch.dtype | None = None
    """bfloat16, or None for the model's own precision."""


def row_encoder(tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> Callable[[Sequence[tuple[str, ...]]], Encoded]:
    """What turns examples of one or two texts into rows of at most `max_tokens` tokens."""
    core = text_tokenizer(tokenizer)
    end = int(tokenizer.eos_token_id)
    first = end if tokenizer.cls_token_id is None else int(tokenizer.cls_token_id)

    def encode(examples: Sequence[tuple[str, ...]]) -> Encoded:
        fields = [core.encode_batch(list(texts), add_special_tokens=False) for texts in zip(*examples)]
        rows: list[list[int]] = []
        n_cut = 0
        for encodings in zip(*fields):
            texts = [encoding.ids for encoding in encodings]
            kept = shortened([len(ids) for ids in texts], max_tokens - 1 - len(texts))
            n_cut += sum(kept) < sum(map(len, texts))
            rows.append([first] + [token for ids, n in zip(texts, kept) for token in (*ids[:n], end)])
        return Encoded(rows, n_cut)

    return encode


@dataclass(frozen=True, slots=True)
class Encoded:
    """Examples as rows of token ids."""

    rows: list[list[int]]
    n_cut: int
    """Examples that were longer than a row may be."""


def shortened(lengths: Sequence[int], room: int) -> list[int]:
    """How many tokens of one or two texts stay so that all fit into `room`: the longer text gives first."""
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    kept = min(first, max(room - second, room - room // 2))
    return [kept, min(second, room - kept)]


class Classifier(nn.Module):
    """A copy of a language model's body with a linear head; the model itself stays as it is."""

    def __init__(self, model: PreTrainedModel, n_classes: int) -> None:
        super().__init__()
        self._reads_both_ways = reads_both_ways(model)
        self._first_position = first_position(model)
        self._pad_id = model.config.pad_token_id or 0
        self.body = copy.deepcopy(model.base_model).float().requires_grad_(True)
        self.head = nn.Linear(model.config.hidden_size, n_classes, device="meta").to_empty(device=model.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Sequence[Row]) -> torch.Tensor:
        """Scores of the classes before the softmax, [rows, classes], float32."""
        device = self.head.weight.device
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.full((len(rows), int(lengths.max())), self._pad_id)  # [rows, longest]
        for line, row in zip(ids, rows):
            line[: len(row)] = torch.tensor(row)
        if self._reads_both_ways:
            place, positions = torch.zeros_like(lengths), torch.arange(ids.shape[1])
            states = self.body(
                input_ids=ids.to(device),
                attention_mask=(positions < lengths.unsqueeze(1)).long().to(device),
                position_ids=(positions + self._first_position).expand_as(ids).to(device),
            ).last_hidden_state
        else:  # padding at the right changes nothing of what stands before it
            place = lengths - 1
            states = self.body(input_ids=ids.to(device), use_cache=False).last_hidden_state
        chosen = states[torch.arange(len(rows), device=device), place.to(device)]  # [rows, width]
        with torch.autocast(device.type, enabled=False):
            scores: torch.Tensor = self.head(chosen.float())
        return scores


def fine_tune(
    model: PreTrainedModel, rows: Sequence[Row], labels: Sequence[int], n_classes: int, settings: FineTuning, name: str
) -> tuple[Classifier, list[float]]:
    """Train a classifier on labelled rows.

    On a CPU the result is the same to the last bit for the same number of threads.

    Args:
        labels: of each row its class, 0 to n_classes - 1.
        name: what the bar shows.
    Returns:
        The classifier, in evaluation mode, and the mean loss of each step's batch in nats.
    """
    classifier = Classifier(model, n_classes).train()
    device = model.device
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=settings.learning_rate, weight_decay=WEIGHT_DECAY)
    losses = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(settings.key)  # dropout
        batches = like_length_batches([len(row) for row in rows], settings)
        for step, batch in enumerate(progress(batches, name, total=settings.max_steps)):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * course(step, settings.max_steps)
            wanted = torch.tensor([labels[i] for i in batch], device=device)
            with torch.autocast(device.type, dtype=settings.autocast, enabled=settings.autocast is not None):
                scores = classifier([rows[i] for i in batch])
            loss = F.cross_entropy(scores, wanted)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
    return classifier.eval(), torch.stack(losses).tolist()


def course(step: int, max_steps: int) -> float:
    """Share of the peak learning rate at `step`, from 0: up in a straight line, then down to zero in another."""
    warm = max(1, round(WARMUP_SHARE * max_steps))
    return (step + 1) / warm if step < warm else (max_steps - step) / (max_steps - warm)


def like_length_batches(lengths: Sequence[int], settings: FineTuning) -> Iterator[list[int]]:
    """The rows of each step.

    Rows come in a keyed order, all of them before one comes again. `POOL` batches' worth of them is sorted by length,
    cut into batches, and the batches shuffled.
    """
    n_rows, size = len(lengths), settings.batch_size
    for begin in range(0, settings.max_steps, POOL):
        n_batches = min(POOL, settings.max_steps - begin)
        places = np.arange(begin * size, (begin + n_batches) * size)
        pool = np.empty_like(places)
        for epoch in np.unique(places // n_rows):
            here = places // n_rows == epoch
            order = draws.Permutation(n_rows, draws.key(settings.key, "epoch", int(epoch)))
            pool[here] = order(places[here] % n_rows)
        batches = sorted(pool.tolist(), key=lengths.__getitem__)
        for number in draws.Permutation(n_batches, draws.key(settings.key, "pool", begin))(np.arange(n_batches)):
            yield batches[number * size : (number + 1) * size]


@torch.no_grad()
def probabilities(classifier: Classifier, rows: Sequence[Row], max_batch_tokens: int) -> NDArray[np.float32]:
    """Probabilities of the classes, [rows, classes]; rows of like length go together."""
    found = np.empty((len(rows), classifier.head.out_features), dtype=np.float32)
    with evaluating(classifier):
        for batch in like_length(np.array([len(row) for row in rows]), max_batch_tokens):
            found[batch] = classifier([rows[i] for i in batch]).softmax(dim=1).cpu().numpy()
    return found

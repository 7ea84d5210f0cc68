"""Translations of sentences get similar representations: XLCo of InfoXLM, and contrast inside the batch (AFP).

With q_i the representation of a sentence, k_i that of its translation, t the temperature and N the negatives,

    L_i = -log( exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_{n in N} exp(q_i . n / t)) )

A representation is the state of a sentence at one layer: of its first token, of its last, or the mean over its tokens;
as it is (InfoXLM's published code) or scaled to length one, which makes the product the cosine.

with a queue      (Chi et al. 2021, InfoXLM, section 3.3; the form of MoCo) k_i comes from a slow copy of the encoder,
                  and N are the keys of earlier steps in the queue. At every step the copy first follows the encoder,
                  then losses are computed, then the step's keys enter the queue. It is filled before the first step.
without           (Li et al. 2023, AFP, arXiv 2311.08089, section 3.1) k_i comes from the encoder itself, with
                  gradient, and N are the other translations in the batch over all ranks; both directions count.

Two pairs that have a sentence in common are no negatives of each other, wherever the sentence stands: then both sides
say the same, and with a queue as long as a corpus every sentence would meet itself again. Of 169,101 English and German
pairs of Tatoeba 41 % share a sentence with another.

A batch of sentence pairs is a dictionary:

    input_ids, position_ids, words              sentences in rows as `word_states.pack` lays them; "words" numbers them
    key_input_ids, key_position_ids, key_words  their translations, in the same order
    names                                       [pairs, 2]: of the sentence and of its translation; equal numbers mark
                                                sentences that are written alike, on every rank
    step, is_first, is_last                     of the batches of this objective in a step, on this rank
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prealign import draws, ranks
from prealign.errors import PrealignError
from prealign.objectives.momentum import KeyQueue, SlowCopy
from prealign.objectives.objective import Parts
from prealign.objectives.packing import OncePerModel, packed_inputs, refuse_leaks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SentencePooling = Literal["first", "mean", "last"]
Similarity = Literal["dot", "cosine"]


def sentence_states(
    model: PreTrainedModel, encoder: nn.Module, batch: Mapping[str, Any], prefix: str, layer: int, pooling: str
) -> Tensor:
    """Representations of the sentences of a batch, [sentences, width], float32.

    Args:
        model: tells how packed rows are kept apart.
        encoder: what reads them: the model's base model, or its slow copy.
        prefix: "" for the sentences, "key_" for their translations.
        layer: 0 is the input embeddings as the blocks read them, L the last block's output.
    """
    ids, positions, words = (batch[prefix + name] for name in ("input_ids", "position_ids", "words"))
    inputs = packed_inputs(model, ids, positions)
    layers = encoder(**inputs, output_hidden_states=True, return_dict=True).hidden_states
    if not 0 <= layer < len(layers):
        raise PrealignError(f"sentence alignment at layer {layer}: this model has layers 0 to {len(layers) - 1}.")
    with torch.autocast(ids.device.type, enabled=False):
        states = layers[layer].flatten(0, 1)
        states = states.to(torch.promote_types(states.dtype, torch.float32))  # [tokens, width]
        token = (words.flatten() >= 0).nonzero().squeeze(1)
        sentence = words.flatten()[token]
        n_sentences = int(sentence[-1]) + 1
        if pooling == "mean":
            tokens = torch.bincount(sentence, minlength=n_sentences).unsqueeze(1)
            sums: Tensor = states.new_zeros((n_sentences, states.shape[1])).index_add_(0, sentence, states[token])
            return sums / tokens
        reduce = "amin" if pooling == "first" else "amax"
        place = token.new_zeros(n_sentences).scatter_reduce_(0, sentence, token, reduce, include_self=False)
        chosen: Tensor = states[place]
        return chosen


class InBatchContrast:
    """Sentence contrast without a queue; see the top of this file. Sentences and translations are each other's
    candidates over all ranks, so its sum runs over twice as many anchors as there are pairs."""

    name = "sentence_alignment"
    trains_everything = False
    parts: Parts | None = None

    def __init__(
        self,
        *,
        layer: int,
        pooling: SentencePooling = "mean",
        similarity: Similarity = "cosine",
        temperature: float = 0.05,
    ) -> None:
        self.layer, self.pooling, self.similarity, self.temperature = layer, pooling, similarity, temperature
        self._separate = OncePerModel(refuse_leaks)

    def count(self, batch: Mapping[str, Any]) -> int:
        """Anchors: the sentences and their translations."""
        return 2 * len(batch["names"])

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Sum of L_i over this rank's sentences, asked for their translations, and the other way round."""
        self._separate(model)
        of_model = (model, model.base_model, batch)
        queries, keys = (
            _scaled(sentence_states(*of_model, prefix, self.layer, self.pooling), self.similarity)
            for prefix in ("", "key_")
        )
        before = sum(ranks.gather_sizes(queries)[: ranks.rank()])
        own = before + torch.arange(len(queries), device=queries.device)
        same = have_in_common(batch["names"], ranks.gather(batch["names"]))  # [own, all]
        same[torch.arange(len(own), device=own.device), own] = False
        loss = queries.new_zeros(())
        with torch.autocast(queries.device.type, enabled=False):
            for one, other in ((queries, keys), (keys, queries)):
                logits = one @ ranks.gather_with_gradient(other).T / self.temperature
                loss = loss + F.cross_entropy(logits.masked_fill(same, -torch.inf), own, reduction="sum")
        return loss


class MomentumContrast(nn.Module):
    """XLCo: keys from a slow copy of the encoder, negatives from a queue; see the top of this file.

    Args:
        model: the start, which the slow copy is made from.
        queue_size: keys that the queue holds; 131,072 in the paper.
        momentum: m at each step, from 0 (`momentum.momentum_at`).
        first_keys: this rank's batches that fill the queue before the first step, those of a step together; asked once.
        projected: representations go through a learnt linear map and tanh, which the slow copy has as well.
        seed: key of that map's first weights.
    """

    name = "sentence_alignment"
    trains_everything = False
    parts: Parts | None = None
    without_gradient = ("key_input_ids",)
    """Rows of a batch that are read forwards only."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        layer: int,
        queue_size: int,
        momentum: Callable[[int], float],
        first_keys: Callable[[], Iterable[Sequence[Mapping[str, Any]]]],
        pooling: SentencePooling = "first",
        similarity: Similarity = "dot",
        temperature: float = 0.25,
        projected: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        width = model.config.hidden_size
        self.layer, self.pooling, self.similarity, self.temperature = layer, pooling, similarity, temperature
        self.projection: nn.Module = nn.Identity()
        if projected:
            with torch.random.fork_rng([]):
                torch.manual_seed(draws.key(seed, "projection"))
                self.projection = nn.Sequential(nn.Linear(width, width), nn.Tanh())
        self.slow, self.slow_projection = SlowCopy(model.base_model), SlowCopy(self.projection)
        self.queue = KeyQueue(queue_size, width)
        self._momentum, self._first_keys = momentum, first_keys
        self._separate = OncePerModel(refuse_leaks)
        self._new: list[tuple[Tensor, Tensor]] = []  # keys of the step at work

    def count(self, batch: Mapping[str, Any]) -> int:
        """Sentences whose translation is looked for."""
        return len(batch["names"])

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Sum of L_i over this rank's sentences; the step's last batch puts the keys into the queue.

        Batches must come in the order of their steps, and every rank must bring equally many.
        """
        self._separate(model)
        if batch["is_first"]:
            self._new = []
            if batch["step"] == 0:
                self._fill(model)
            else:
                momentum = self._momentum(batch["step"])
                self.slow.follow(model.base_model, momentum)
                self.slow_projection.follow(self.projection, momentum)
        queries = self.projection(sentence_states(model, model.base_model, batch, "", self.layer, self.pooling))
        keys, names = self._keys(model, batch), batch["names"]
        with torch.autocast(queries.device.type, enabled=False):
            queries = _scaled(queries.float(), self.similarity)
            negatives, of_negatives = self.queue.content()
            if batch["is_last"]:  # the backward pass comes when this step's keys are in the queue already
                negatives = negatives.clone()
            right = (queries * keys).sum(dim=1, keepdim=True)
            wrong = (queries @ negatives.T).masked_fill(have_in_common(names, of_negatives), -torch.inf)
            logits = torch.cat([right, wrong], dim=1) / self.temperature
            loss: Tensor = (logits.logsumexp(dim=1) - logits[:, 0]).sum()
        self._new.append((keys, names))
        if batch["is_last"]:
            self.queue.add(*map(torch.cat, zip(*self._new, strict=True)))
            self._new = []
        return loss

    @torch.no_grad()
    def _keys(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        states = sentence_states(model, self.slow.encoder, batch, "key_", self.layer, self.pooling)
        return _scaled(self.slow_projection.encoder(states).float(), self.similarity)

    def _fill(self, model: PreTrainedModel) -> None:
        """Fill the queue with keys, before the first step of a training that begins."""
        device = self.queue.keys.device
        for batches in self._first_keys():
            found = []
            for batch in batches:
                there = {name: value.to(device) for name, value in batch.items() if isinstance(value, Tensor)}
                found.append((self._keys(model, there), there["names"]))
            self.queue.add(*map(torch.cat, zip(*found, strict=True)))
            if self.queue.is_full:
                break


def have_in_common(names: Tensor, others: Tensor) -> Tensor:
    """Which pairs have a sentence in common, [pairs, others]; names [pairs, 2] and [others, 2]."""
    one, two = names[:, :1], names[:, 1:]  # [pairs, 1]
    return (one == others[:, 0]) | (one == others[:, 1]) | (two == others[:, 0]) | (two == others[:, 1])


def _scaled(states: Tensor, similarity: Similarity) -> Tensor:
    return F.normalize(states, dim=-1) if similarity == "cosine" else states

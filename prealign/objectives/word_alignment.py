"""Stage 1 of PreAlign: translations get similar states at every layer, other words different ones (docs/method.md).

Words are read alone, each as a short sequence of sub-words. The state of word w at layer l is the mean over its
sub-words:

    layer 0            the input embeddings
    layers 1 .. L      the output of every block (the last one after the final norm, as the model's head sees it)
    layer L + 1        the word's rows of the output embeddings: what the model predicts for it

With s_ik = cos(h_i, h_k), temperature t, P(i) the translations of word i and A(i) all words that i is compared with:

    log_sum:  L_l = sum_i -log( sum_{p in P(i)} exp(s_ip / t) / sum_{k in A(i)} exp(s_ik / t) )
    sum_log:  L_l = sum_i mean_{p in P(i)} -log( exp(s_ip / t) / sum_{k in A(i)} exp(s_ik / t) )

and the loss is the mean of L_l over layers. Every word of every language is an anchor i, so both directions are
trained. Words come in groups (a source word and its translations). The rules for A(i) and P(i), where the usual
mistakes are:

    the word itself                    never in A(i): masked with -inf (a zero would put exp(0) back into the sum)
    another word of the group          in P(i) and in A(i), unless it is written like i (cosine 1: nothing to learn, and
                                       it would take the pull away from the other translations)
    a word of another group            a negative, unless some word of i's group is written the same
    a word with no one in P(i)         no anchor, still a negative for others

Under several ranks the negatives come from all of them and gradients flow back to where a word was encoded, so that
two ranks with half a batch each compute what one rank with all of it does. A group of a batch is whole on one rank.

    batch = word_batch([[[17], [905, 31]], [[44, 8], [72]]], numbers=[0, 1], pad_id=3)
    states = word_states(model, batch["input_ids"], batch["attention_mask"])            # [layers, words, width]
    loss = word_alignment_loss(states, batch["groups"], temperature=0.1, forms=batch["forms"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from prealign import draws, ranks
from prealign.errors import PrealignError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Positives = Literal["log_sum", "sum_log"]


def word_batch(groups: Sequence[Sequence[Sequence[int]]], numbers: Sequence[int], pad_id: int) -> dict[str, Tensor]:
    """Lay the words of some groups under each other.

    Args:
        groups: per group its words (a source word, then its translations), each as token ids without special tokens.
        numbers: per group a number that is the same on every rank, such as its place in the dictionary.
        pad_id: fills the rows of shorter words, on the right.
    Returns:
        input_ids and attention_mask [words, longest]; groups [words], the group's number; forms [words], equal
        exactly for words with equal token ids (a hash, so that it means the same on every rank). All int64.
    """
    words = [list(word) for group in groups for word in group]
    longest = max(map(len, words))
    return {
        "input_ids": torch.tensor([word + [pad_id] * (longest - len(word)) for word in words]),
        "attention_mask": torch.tensor([[1] * len(word) + [0] * (longest - len(word)) for word in words]),
        "groups": torch.tensor([number for number, group in zip(numbers, groups, strict=True) for _ in group]),
        "forms": torch.tensor([draws.key(*word) >> 1 for word in words]),
    }


def word_states(model: PreTrainedModel, input_ids: Tensor, mask: Tensor) -> Tensor:
    """States of words at every layer, each the mean over the word's sub-words.

    Args:
        model: a Hugging Face model with an output embedding.
        input_ids: [words, longest], padded on the right; positions start anew for each word.
        mask: [words, longest], 1 on sub-words and 0 on padding.
    Returns:
        [layers, words, width] in float32: input embeddings, each block's output, output embedding rows.
    """
    share = mask.to(torch.float32)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=1)  # [words, longest]

    def pooled(states: Tensor) -> Tensor:  # [words, longest, width] -> [words, width]
        return torch.einsum("wl,wld->wd", share, states.float())

    output_rows = F.embedding(input_ids, model.get_output_embeddings().weight)
    outputs = model.base_model(
        input_ids=input_ids, attention_mask=mask, output_hidden_states=True, use_cache=False, return_dict=True
    )
    layers = [model.get_input_embeddings()(input_ids), *outputs.hidden_states[1:], output_rows]
    with torch.autocast(input_ids.device.type, enabled=False):
        return torch.stack([pooled(layer) for layer in layers])


def anchors(groups: Tensor, forms: Tensor) -> Tensor:
    """Which words have a translation in the batch that is written differently: bool, [words]."""
    return ((groups[:, None] == groups) & (forms[:, None] != forms)).any(dim=1)


def compared(groups: Tensor, forms: Tensor, all_groups: Tensor, all_forms: Tensor) -> tuple[Tensor, Tensor]:
    """Who is a positive for whom and who is in the denominator; the rules at the top of this file.

    Args:
        groups, forms: [anchors], rows; all_groups, all_forms: [words], columns, the anchors among them.
    Returns:
        positive and counted (positives and negatives), both bool, [anchors, words].
    """
    positive = (groups[:, None] == all_groups) & (forms[:, None] != all_forms)
    _, group_of = torch.unique(all_groups, return_inverse=True)
    _, form_of = torch.unique(all_forms, return_inverse=True)
    occurs = positive.new_zeros((int(group_of.max()) + 1, int(form_of.max()) + 1))  # is this form in this group?
    occurs[group_of, form_of] = True
    # A row for each anchor: the number of its group among all groups is found at any word of that group.
    first = (groups[:, None] == all_groups).int().argmax(dim=1)
    related = occurs[group_of[first]][:, form_of]  # the column's word is written like someone of the row's group
    return positive, positive | ~related


def word_alignment_loss(
    states: Tensor,
    groups: Tensor,
    temperature: float = 0.1,
    *,
    forms: Tensor | None = None,
    positives: Positives = "log_sum",
    collapse_weight: float = 0.0,
) -> Tensor:
    """Pull translations together, push the other words of all ranks apart; formula and rules at the top of this file.

    The similarities of one layer exist at a time; the backward pass makes them once more.

    Args:
        states: word states of this rank, [layers, words, width], any float type; compared in float32.
        groups: [words]; equal numbers mark translations of each other, on every rank.
        temperature: t > 0; 0.1 in the paper.
        forms: [words]; equal numbers mark words written the same. None: all words are written differently.
        positives: log of the sum over translations, or mean of the logs (as SupCon does).
        collapse_weight: weight of max(0, mean cosine over all pairs of the batch), counted once per anchor.
    Returns:
        Scalar: the sum over this rank's anchors; divide by the number of `anchors` over all ranks.
    """
    if forms is None:
        sizes = ranks.gather_sizes(groups)
        forms = torch.arange(groups.shape[0], device=groups.device) + sum(sizes[: ranks.rank()])
    with torch.autocast(states.device.type, enabled=False):
        unit = F.normalize(states.float(), dim=-1)
        everyone = ranks.gather_with_gradient(unit, dim=1)  # [layers, words of all ranks, width]
        anchor = anchors(groups, forms)
        positive, counted = compared(groups[anchor], forms[anchor], ranks.gather(groups), ranks.gather(forms))
        total = states.new_zeros((), dtype=torch.float32)
        for own, others in zip(unit[:, anchor], everyone, strict=True):
            arguments = (own, others, positive, counted, temperature, positives)
            total = total + checkpoint(_one_layer, *arguments, use_reentrant=False, preserve_rng_state=False)
            if collapse_weight:
                total = total + collapse_weight * own.shape[0] * F.relu(mean_cosine(others))
    return total / states.shape[0]


def _one_layer(
    own: Tensor, others: Tensor, positive: Tensor, counted: Tensor, temperature: float, positives: Positives
) -> Tensor:
    """L_l of one layer; own [anchors, width] and others [words, width] have length one."""
    similarity = (own @ others.T) / temperature  # [anchors, words]
    everyone = similarity.masked_fill(~counted, -torch.inf).logsumexp(dim=1)
    if positives == "log_sum":
        translations = similarity.masked_fill(~positive, -torch.inf).logsumexp(dim=1)
    else:
        translations = similarity.masked_fill(~positive, 0.0).sum(dim=1) / positive.sum(dim=1)
    return (everyone - translations).sum()


def mean_cosine(unit: Tensor) -> Tensor:
    """Mean cosine over all pairs of different rows of unit vectors [words, width]; 1 when all have collapsed."""
    words = unit.shape[0]
    together = unit.sum(dim=0)
    return ((together * together).sum() - words) / max(1, words * (words - 1))


class WordAlignment:
    """The objective over batches made by `word_batch`; its sum is divided by the number of anchors."""

    name = "alignment"
    trains_everything = False

    def __init__(
        self,
        temperature: float = 0.1,
        layers: Literal["all"] | Sequence[int] = "all",
        positives: Positives = "log_sum",
        collapse_weight: float = 0.0,
    ) -> None:
        self.temperature = temperature
        self.layers = layers
        self.positives: Positives = positives
        self.collapse_weight = collapse_weight

    def count(self, batch: Mapping[str, Any]) -> int:
        """Words of this rank's batch that have a translation beside them."""
        return int(anchors(batch["groups"], batch["forms"]).sum())

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Sum of the loss over this rank's anchors."""
        states = self.chosen(word_states(model, batch["input_ids"], batch["attention_mask"]))
        return word_alignment_loss(
            states,
            batch["groups"],
            self.temperature,
            forms=batch["forms"],
            positives=self.positives,
            collapse_weight=self.collapse_weight,
        )

    def chosen(self, states: Tensor) -> Tensor:
        """The layers that are aligned; a number outside the model's layers is a mistake in the settings."""
        if self.layers == "all":
            return states
        last = states.shape[0] - 1
        wrong = [layer for layer in self.layers if not 0 <= layer <= last]
        if wrong or not self.layers:
            raise PrealignError(
                f"init.layers names {wrong or 'no layer'}; this model has layers 0 (embeddings) to {last} "
                "(output rows)."
            )
        return states[list(self.layers)]

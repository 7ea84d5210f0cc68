"""Stage 1 of PreAlign: translations get similar states at every layer, other words different ones (docs/method.md).

With h_i the state of word i at a layer (word_states.py), s_ik = cos(h_i, h_k), temperature t, P(i) the translations of
word i and A(i) those together with its negatives (word_pairs.py has the rules):

    log_sum:  L_i = -log( sum_{p in P(i)} exp(s_ip / t) / sum_{k in A(i)} exp(s_ik / t) )
    sum_log:  L_i = mean_{p in P(i)} -log( exp(s_ip / t) / sum_{k in A(i)} exp(s_ik / t) )

The loss is the sum over anchors i of the weighted mean of L_i over layers. Every word of every language that has a
translation in the batch is an anchor, so both directions are trained. The word itself is never in A(i): it is masked
with -inf (a zero would put exp(0) into the sum). sum_log is the form of SupCon (Khosla et al. 2020, equation 2).

The matrix of similarities exists for some anchors and one layer at a time. Its gradient is known in closed form and is
made in the same sweep, so that nothing is kept and nothing is computed twice: with z = s / t,

    dL_i/dz_ik = softmax_{A(i)}(z_i)_k - q_ik        q_i: softmax over P(i) for log_sum, 1 / |P(i)| for sum_log

Under several ranks the negatives come from all of them and gradients flow back to where a word was encoded, so that
two ranks with half a batch each compute what one rank with all of it does. A group of a batch is whole on one rank.

    batch = word_batch([[[17], [905, 31]], [[44, 8], [72]]], numbers=[0, 1], pad_id=3)
    states = word_states(model, batch)                                                  # [layers, words, width]
    loss = word_alignment_loss(states, batch["groups"], temperature=0.1, forms=batch["forms"])
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prealign import ranks
from prealign.config.init import LEARNT_TEMPERATURES
from prealign.errors import PrealignError
from prealign.objectives.chunks import rows_at_once
from prealign.objectives.objective import Parts
from prealign.objectives.packing import OncePerModel, refuse_leaks
from prealign.objectives.word_pairs import Counts, Pairs, Relations, anchors, sources
from prealign.objectives.word_states import Layers, Pooling, check_layers, word_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Positives = Literal["log_sum", "sum_log"]
Compatibility = Literal["none", "reference"]


def word_alignment_loss(
    states: Tensor,
    groups: Tensor,
    temperature: float | Tensor = 0.1,
    *,
    forms: Tensor | None = None,
    positives: Positives = "log_sum",
    layer_weights: Sequence[float] | None = None,
    collapse_weight: float = 0.0,
    compatibility: Compatibility = "none",
    chunk: int | None = None,
) -> Tensor:
    """Pull translations together, push the other words of all ranks apart; formula and rules at the top of this file.

    Args:
        states: word states of this rank, [layers, words, width]; compared in float32 (float64 if they are float64).
        groups: [words]; equal numbers mark translations of each other, on every rank.
        temperature: t > 0; 0.1 in the paper. A tensor of one element may ask for a gradient.
        forms: [words]; equal numbers mark words written the same. None: all words are written differently.
        positives: log of the sum over translations, or mean of the logs.
        layer_weights: [layers], not negative; their size does not matter. None weighs all layers alike.
        collapse_weight: weight of max(0, mean cosine over all pairs of the batch), counted once per anchor.
        compatibility: "reference" compares as the paper's published code does, see `_Similarities`.
        chunk: anchors at a time; None takes as many as objectives/chunks.py gives.
    Returns:
        Scalar: the sum over this rank's anchors; divide by the number of `anchors` over all ranks.
    """
    return _losses(
        states,
        groups,
        temperature,
        forms=forms,
        positives=positives,
        layer_weights=layer_weights,
        collapse_weight=collapse_weight,
        compatibility=compatibility,
        chunk=chunk,
    )[0]


def _losses(
    states: Tensor,
    groups: Tensor,
    temperature: float | Tensor,
    *,
    forms: Tensor | None,
    positives: Positives,
    layer_weights: Sequence[float] | None,
    collapse_weight: float,
    compatibility: Compatibility,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor, int]:
    """That loss; the plain sum of L_i at each layer, [layers], 0 where its weight is, without the collapse term and
    without a gradient; and the number of this rank's anchors."""
    sizes = ranks.gather_sizes(groups)
    before = sum(sizes[: ranks.rank()])
    if forms is None:
        forms = torch.arange(groups.shape[0], device=groups.device) + before
    layers = states.shape[0]
    weights = torch.tensor([1.0] * layers if layer_weights is None else list(layer_weights), dtype=torch.float64)
    with torch.autocast(states.device.type, enabled=False):
        unit = F.normalize(states.to(torch.promote_types(states.dtype, torch.float32)), dim=-1)
        everyone = ranks.gather_with_gradient(unit, dim=1)  # [layers, words of all ranks, width]
        reference = compatibility == "reference"
        anchor = anchors(groups, forms, alike=reference)
        places = anchor.nonzero().squeeze(1)
        relations = Relations.of(ranks.gather(groups), ranks.gather(forms))
        t = torch.as_tensor(temperature, dtype=unit.dtype, device=unit.device).reshape(())
        chunk = chunk or rows_at_once(everyone.shape[1], unit.device)
        shares = (weights / weights.sum()).tolist()
        arguments = (unit[:, places], everyone, t, relations, places + before, shares, positives, reference, chunk)
        total, of_layers = _Similarities.apply(*arguments)  # type: ignore[no-untyped-call]
        if collapse_weight:
            price = sum(share * F.relu(mean_cosine(layer)) for share, layer in zip(shares, everyone, strict=True))
            total = total + collapse_weight * len(places) * price
    return total, of_layers, len(places)


@torch.no_grad()
def loss_of_layers(states: Tensor, groups: Tensor, forms: Tensor, temperature: float = 0.1) -> list[float]:
    """Mean of L_i (log_sum) over the anchors at each layer, for measurements: only the words of this rank count.

    Args:
        states, groups, forms: as in `word_alignment_loss`.
    """
    unit = F.normalize(states.to(torch.promote_types(states.dtype, torch.float32)), dim=-1)
    places = anchors(groups, forms).nonzero().squeeze(1)
    chunk = rows_at_once(states.shape[1], states.device)
    t, shares = torch.tensor(temperature, dtype=unit.dtype, device=unit.device), [1.0] * len(unit)
    arguments = (unit[:, places], unit, t, Relations.of(groups, forms), places, shares, "log_sum", False, chunk)
    _, sums = _Similarities.apply(*arguments)  # type: ignore[no-untyped-call]
    means: list[float] = (sums / max(1, len(places))).tolist()
    return means


class _Similarities(torch.autograd.Function):
    """Sum of L_i over anchors and layers with its gradients; see the top of this file.

    In `reference` mode, for comparison with the paper's published code only: the logit of the word with itself is
    multiplied by 0, so exp(0) stands in its sum, and words written alike are compared like any others.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,  # [layers, anchors, width], of length one
        everyone: Tensor,  # [layers, words, width], of length one
        temperature: Tensor,
        relations: Relations,
        places: Tensor,  # [anchors], where the anchors stand among all words
        shares: list[float],  # [layers]
        positives: Positives,
        reference: bool,
        chunk: int,
    ) -> tuple[Tensor, Tensor]:
        wanted = any(ctx.needs_input_grad[:3])
        grad_own, grad_everyone, grad_t = (
            torch.zeros_like(x) if wanted else None for x in (own, everyone, temperature)
        )
        total, of_layers = own.new_zeros((), dtype=torch.float64), own.new_zeros(len(shares), dtype=torch.float64)
        for begin in range(0, len(places), chunk):
            some = slice(begin, begin + chunk)
            pairs = Pairs.of(relations, places[some], alike=reference)
            for layer, share in enumerate(shares):
                if not share:
                    continue
                h, words = own[layer, some], everyone[layer]
                z = torch.mm(h, words.T).div_(temperature)  # [anchors, words]
                if reference:
                    z[pairs.itself] = 0.0
                pull, q = _pull(z[pairs.anchor, pairs.word], pairs.anchor, len(h), positives)
                z.masked_fill_(pairs.left_out, -torch.inf)
                highest = z.amax(dim=1)
                softmax = torch.softmax(z, dim=1, out=z)
                # The highest logit has softmax 1 / sum_k exp(z_k - highest), which never underflows.
                loss = (highest - softmax.amax(dim=1).log() - pull).sum()
                total += share * loss
                of_layers[layer] += loss
                if grad_own is None or grad_everyone is None or grad_t is None:
                    continue
                softmax.index_put_((pairs.anchor, pairs.word), -q, accumulate=True)
                if reference:
                    softmax[pairs.itself] = 0.0
                grad_h = torch.mm(softmax, words)
                grad_t -= (share / temperature**2) * (h * grad_h).sum()
                grad_own[layer, some] = grad_h.mul_(share / temperature)
                grad_everyone[layer].addmm_(softmax.T, h * (share / temperature))
        ctx.gradients = grad_own, grad_everyone, grad_t
        ctx.mark_non_differentiable(of_layers)
        return total.to(own.dtype), of_layers

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [gradient.mul_(grad_loss) for gradient in ctx.gradients]
        ctx.gradients = ()  # a second backward pass through the same graph would scale twice
        return (*scaled, None, None, None, None, None, None)


def _pull(z: Tensor, anchor: Tensor, n_anchors: int, positives: Positives) -> tuple[Tensor, Tensor]:
    """What the positives put against the sum over all, for each anchor, and its derivative q for each positive.

    Args:
        z: [positives], similarity over temperature; anchor: [positives], whose positive it is.
    """

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(n_anchors).index_add_(0, anchor, values)

    if positives == "sum_log":
        q = torch.ones_like(z) / summed(torch.ones_like(z))[anchor]
        return summed(q * z), q
    highest = z.new_full((n_anchors,), -torch.inf).scatter_reduce_(0, anchor, z, "amax")
    weight = torch.exp(z - highest[anchor])
    together = summed(weight)
    return highest + together.log(), weight / together[anchor]


def mean_cosine(unit: Tensor) -> Tensor:
    """Mean cosine over all pairs of different rows of unit vectors [words, width]; 1 when all have collapsed."""
    words = unit.shape[0]
    together = unit.sum(dim=0)
    return ((together * together).sum() - words) / max(1, words * (words - 1))


def negatives_per_anchor(batch: Mapping[str, Any], compatibility: Compatibility = "none") -> float:
    """Mean number of negatives of an anchor, in a batch that is spread over all ranks; every rank must call it."""
    counts = Counts.of(ranks.gather(batch["groups"]), ranks.gather(batch["forms"]), alike=compatibility == "reference")
    return counts.negatives / max(1, counts.anchors)


class WordAlignment(nn.Module):
    """The objective over batches of words (word_states.py); its sum is divided by the number of anchors.

    With `learn_temperature` it has one parameter, the logarithm of the temperature, which starts at `temperature`, is
    kept within LEARNT_TEMPERATURES and takes no weight decay (training gets it through `stateful`).
    """

    trains_everything = False

    def __init__(
        self,
        temperature: float = 0.1,
        layers: Layers = "all",
        positives: Positives = "log_sum",
        collapse_weight: float = 0.0,
        *,
        pooling: Pooling = "mean",
        layer_weights: Sequence[float] | None = None,
        learn_temperature: bool = False,
        words_per_forward: int = 0,
        compatibility: Compatibility = "none",
        name: str = "alignment",
    ) -> None:
        super().__init__()
        self.name = name
        if layer_weights is not None and (min(layer_weights, default=0) < 0 or sum(layer_weights) <= 0):
            raise PrealignError(
                f"init.layer_weights is {list(layer_weights)}; weights are 0 or more, and some are more than 0."
            )
        low, high = LEARNT_TEMPERATURES
        if learn_temperature and not low <= temperature <= high:
            raise PrealignError(
                f"init.temperature is {temperature}; one that is learnt starts and stays between {low} and {high}."
            )
        self.fixed_temperature, self.layers, self.layer_weights = temperature, layers, layer_weights
        self.positives: Positives = positives
        self.pooling: Pooling = pooling
        self.collapse_weight, self.words_per_forward = collapse_weight, words_per_forward
        self.compatibility: Compatibility = compatibility
        if learn_temperature:
            # One element, not a scalar, so that it can be sharded like any parameter.
            self.log_temperature = nn.Parameter(torch.tensor([math.log(temperature)]))
        self.parts: Parts | None = None
        self._separate = OncePerModel(refuse_leaks)

    def count(self, batch: Mapping[str, Any]) -> int:
        """Words of this rank's batch that have a translation beside them."""
        return int(anchors(batch["groups"], batch["forms"], alike=self.compatibility == "reference").sum())

    def check(self, model: PreTrainedModel) -> None:
        """Refuse a model that the chosen layers and their weights do not fit, before anything is trained.

        Raises:
            PrealignError: a layer that the model does not have, too few or many weights.
        """
        self._check_weights(check_layers(model, self.layers))

    def _check_weights(self, n_layers: int) -> None:
        if self.layer_weights is not None and len(self.layer_weights) != n_layers:
            raise PrealignError(
                f"init.layer_weights has {len(self.layer_weights)} numbers for {n_layers} layers; "
                "give one for each layer that init.layers names."
            )

    def loss_sum(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Sum of the loss over this rank's anchors."""
        self._separate(model)
        if self.compatibility == "reference":
            batch = _cut_like_their_source(batch)
        states = word_states(
            model, batch, layers=self.layers, pooling=self.pooling, words_per_forward=self.words_per_forward
        )
        self._check_weights(len(states))
        loss, of_layers, n_anchors = _losses(
            states,
            batch["groups"],
            self.temperature(),
            forms=batch["forms"],
            positives=self.positives,
            layer_weights=self.layer_weights,
            collapse_weight=self.collapse_weight,
            compatibility=self.compatibility,
        )
        weighed = of_layers.new_tensor([float(weight > 0) for weight in self.layer_weights or [1.0] * len(states)])
        self.parts = Parts("layer", (), of_layers, n_anchors * weighed)
        return loss

    def temperature(self) -> float | Tensor:
        """The temperature of this moment; a tensor with a gradient where it is learnt."""
        if not hasattr(self, "log_temperature"):
            return self.fixed_temperature
        low, high = map(math.log, LEARNT_TEMPERATURES)
        with torch.no_grad():  # the parameter itself, not its value alone: outside the range it would get no gradient
            self.log_temperature.clamp_(low, high)
        return self.log_temperature.exp()


def _cut_like_their_source(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch with translations cut to their source word's number of sub-words.

    The reference pools translations with the source's padding mask. Where the source is longer, it takes in states of
    pads, which packed rows do not have; there the whole translation is pooled.
    """
    words, inside = batch["words"], batch["words"] >= 0
    lengths = torch.bincount(words[inside])
    first = sources(batch["groups"])
    limit = lengths[first][first.cumsum(dim=0) - 1]  # [words], sub-words of each word's source
    kept = inside & (batch["position_ids"] < limit[words.clamp(min=0)])
    return {**batch, "words": torch.where(kept, words, -1)}

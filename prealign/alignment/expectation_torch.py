"""The E-step of the built-in aligner in torch, for a GPU: the same sums as `expectation.CompiledEStep`.

Sentence pairs of like length are padded to one size and worked on together. The forward-backward algorithm goes along
the sentences in steps, each one product of matrices for a whole batch. The pair of every cell is looked up once and
stays on the device, 4 bytes a cell. The M-step (`lexicon`) stays on the host.

Padding needs no special cases: it points to a word, a word type and a pair of types that do not exist and stand last in
all arrays. The pair's mass is 0, and the word is always made by none. Sums are float32, and a GPU adds them in no fixed
order, so there masses differ by rounding from run to run, and with them now and then a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prealign.alignment import posteriors
from prealign.alignment.bitext import Side
from prealign.alignment.cooccurrence import PairTable
from prealign.alignment.expectation import LEAST_MASS, NOTEWORTHY, RARE, THRESHOLD, Expected, Parameters
from prealign.alignment.posteriors import DISTANCES, HMM, MAX_JUMP, P_NONE
from prealign.errors import PrealignError

CELLS_PER_BATCH = 2_000_000
"""Cells worked on together, padding included, about 80 bytes each."""
MADE_FIRST = (2, 0, 1), (1, 0, 2)
"""For each direction: from [pairs, source words, target words] to [made words, pairs, makers]."""
PAIRS_FIRST = (1, 2, 0), (1, 0, 2)
"""The way back."""


def e_step_on(device: Literal["cpu", "cuda"]) -> Callable[[Side, Side, PairTable], TorchEStep]:
    """What `StatisticalAligner` needs to compute on a device.

    Raises:
        PrealignError: torch has no such device here.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise PrealignError("`aligner_device` is cuda, but torch sees no CUDA device here. Set it to cpu.")
    return partial(TorchEStep, device=torch.device(device))


class _Batch(NamedTuple):
    """Sentence pairs of like length, padded. Two values are for source and target."""

    places: tuple[Tensor, Tensor]
    """[pairs, words] places of the words in the corpus"""
    lengths: tuple[Tensor, Tensor]
    """[pairs] words that are no padding"""
    pairs: Tensor
    """[pairs, source words, target words] pair of types of every cell"""


class _Values(NamedTuple):
    """The parameters on the device, with the values of padding at the end. Two values are for source and target."""

    masses: Tensor
    """[pairs + 1, 2]"""
    totals: list[Tensor]
    """[types + 1]"""
    none: list[Tensor]
    """[types + 1] probability of being made by none, and then as this type"""
    jump_weights: Tensor
    """[2, jumps], float64"""


class TorchEStep:
    """On a device of torch. The public methods are those of `expectation.EStep`."""

    def __init__(self, source: Side, target: Side, table: PairTable, *, device: torch.device) -> None:
        self._device = device
        self._sides = source, target
        self._words = [self._tensor(np.append(side.words, np.int32(side.n_types))) for side in self._sides]
        sources = np.repeat(np.arange(source.n_types), np.diff(table.row_offsets))
        keys = self._tensor(sources * target.n_types + table.targets)  # ascending
        self._batches = [self._batch(chosen, keys) for chosen in _of_like_length(source, target)]
        no_links = self._tensor(np.empty(0, dtype=np.int64)), self._tensor(np.empty(0, dtype=np.float32))
        self._own_links = [no_links] * len(self._batches)

    @torch.inference_mode()
    def collect(self, parameters: Parameters, counts: NDArray[np.float32]) -> Expected:
        """See `expectation.EStep`."""
        values = self._values(parameters)
        sums, jumps = torch.zeros_like(values.masses), torch.zeros_like(values.jump_weights)
        by_none = [torch.zeros_like(none, dtype=torch.float64) for none in values.none]
        for number, batch in enumerate(self._batches):
            cells, none_of_words = self._expect(number, values, parameters.model, jumps, agree=parameters.agree)
            flat_cells, flat_pairs = cells.reshape(-1, 2), batch.pairs.flatten()
            sums.index_add_(0, flat_pairs, flat_cells)
            for side, none in enumerate(none_of_words):
                by_none[side].index_add_(0, self._words[side][batch.places[side]].flatten(), none.flatten().double())
            if parameters.agree:
                own = torch.nonzero(flat_cells[:, 0] > NOTEWORTHY)[:, 0]
                own = own[values.masses[flat_pairs[own], 0] < RARE]
                self._own_links[number] = own, flat_cells[own, 0]
        counts += sums[:-1].cpu().numpy()
        of_source, of_target = (
            none[:-1].cpu().numpy() + _without_partner(side, other)
            for none, side, other in zip(by_none, self._sides, self._sides[::-1])
        )
        return Expected((of_target, of_source), jumps.cpu().numpy())

    @torch.inference_mode()
    def directions(self, parameters: Parameters) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """See `expectation.EStep`."""
        values = self._values(parameters)
        jumps = torch.zeros_like(values.jump_weights)
        partners = [torch.full_like(words, -1) for words in self._words]
        for number, batch in enumerate(self._batches):
            cells, _ = self._expect(number, values, parameters.model, jumps, agree=True)
            for side in (0, 1):
                best, partner = cells[..., 0].max(dim=2 - side)
                partners[side][batch.places[side]] = torch.where(best > THRESHOLD, partner, -1).int()
        backward, forward = (of_side[:-1].cpu().numpy() for of_side in partners)
        return forward, backward

    def _expect(
        self, number: int, values: _Values, model: int, jumps: Tensor, *, agree: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Posteriors of a batch [pairs, source words, target words, 2], and those of its source and target words being
        made by none [pairs, words]. With the HMM expected jumps are added to `jumps` [2, jumps].
        """
        batch = self._batches[number]
        types = [words[places] for words, places in zip(self._words, batch.places)]
        cells = values.masses[batch.pairs]
        cells[..., 0] /= values.totals[0][types[0]][:, :, None]
        cells[..., 1] /= values.totals[1][types[1]][:, None, :]
        own, links = self._own_links[number]
        flat, masses = cells.view(-1, 2), values.masses[batch.pairs.flatten()[own]]
        left = (masses - links[:, None]).clamp(min=float(LEAST_MASS))
        flat[own] = left / (masses / flat[own] - links[:, None])
        by_none = [types[0].float(), types[1].float()]
        for direction, (maker, made) in enumerate(((0, 1), (1, 0))):
            emission = cells[..., direction].permute(MADE_FIRST[direction]).contiguous()
            none = values.none[made][types[made]].T
            if model == HMM:
                weights = values.jump_weights[direction]
                found, none = _hmm(emission, none, weights, batch.lengths[maker], jumps[direction])
            else:
                prior = self._tensor(posteriors.PRIORS[model])
                found, none = _by_distance(emission, none, prior, batch.lengths[maker], batch.lengths[made])
            cells[..., direction] = found.permute(PAIRS_FIRST[direction])
            by_none[made] = none.T
        if agree:
            cells = cells.prod(dim=3, keepdim=True).expand(cells.shape)
        return cells, (by_none[0], by_none[1])

    def _values(self, parameters: Parameters) -> _Values:
        lexicon = parameters.lexicon
        totals = [self._tensor(np.append(t, np.float32(1.0))) for t in (lexicon.source_totals, lexicon.target_totals)]
        none = [self._tensor(np.append(P_NONE * p, 1.0).astype(np.float32)) for p in parameters.made_by_none[::-1]]
        masses = self._tensor(np.append(lexicon.masses, np.zeros((1, 2), dtype=np.float32), axis=0))
        return _Values(masses, totals, none, self._tensor(parameters.jump_weights))

    def _batch(self, sentences: NDArray[np.int64], keys: Tensor) -> _Batch:
        places, lengths, types = [], [], []
        for side, words in zip(self._sides, self._words):
            starts, n_words = side.offsets[sentences, None], np.diff(side.offsets)[sentences]
            columns = np.arange(n_words.max())
            padded = np.where(columns < n_words[:, None], starts + columns, len(side.words))
            places.append(self._tensor(padded))
            lengths.append(self._tensor(n_words))
            types.append(words[places[-1]].long())
        query = types[0][:, :, None] * self._sides[1].n_types + types[1][:, None, :]
        found = torch.searchsorted(keys, query, out_int32=True)
        padding = (types[0] == self._sides[0].n_types)[:, :, None] | (types[1] == self._sides[1].n_types)[:, None, :]
        pairs = found.masked_fill_(padding, len(keys))
        return _Batch((places[0], places[1]), (lengths[0], lengths[1]), pairs)

    def _tensor(self, values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)


def _by_distance(
    emission: Tensor, none: Tensor, prior: Tensor, n_makers: Tensor, n_made: Tensor
) -> tuple[Tensor, Tensor]:
    """As `posteriors._by_distance`, for a batch.

    Args:
        emission: [made, pairs, makers] t(made | maker).
        none: [made, pairs] probability of being made by none.
        n_makers, n_made: [pairs] words that are no padding.
    Returns:
        Posteriors of the makers [made, pairs, makers] and of none [made, pairs].
    """
    made, maker = (torch.arange(1, size + 1, device=none.device) for size in (emission.shape[0], emission.shape[2]))
    gaps = (maker * n_made[:, None] - made[:, None, None] * n_makers[:, None]).abs()
    steps = gaps * DISTANCES // (n_makers * n_made)[:, None]
    weights = prior[steps.clamp(max=DISTANCES)] * (maker <= n_makers[:, None])
    by_maker = (1.0 - P_NONE) / weights.sum(2, keepdim=True) * weights * emission
    total = by_maker.sum(2) + none
    return by_maker / total[:, :, None], none / total


def _hmm(
    emission: Tensor, none: Tensor, jump_weights: Tensor, n_makers: Tensor, jumps: Tensor
) -> tuple[Tensor, Tensor]:
    """As `posteriors._hmm`, for a batch; arguments and result as in `_by_distance`.

    Expected jumps are added to `jumps` [jumps].
    """
    n_made, n_pairs, width = emission.shape
    state, maker = torch.arange(width + 1, device=none.device)[:, None], torch.arange(width, device=none.device)
    jump = (maker + 1 - state).clamp(-MAX_JUMP, MAX_JUMP) + MAX_JUMP  # [states, makers]
    weights = jump_weights[jump]
    shares = ((1.0 - P_NONE) / weights.cumsum(1)[:, n_makers - 1].T).float()  # [pairs, states]
    moves = weights.float()
    reached = emission.new_zeros(n_made + 1, n_pairs, width + 1)
    reached[0, :, 0] = 1.0
    by_maker, ahead, scale = torch.empty_like(emission), torch.empty_like(emission), torch.empty_like(none)
    for t in range(n_made):
        row = (reached[t] * shares) @ moves * emission[t]
        stay = none[t, :, None] * reached[t]
        scale[t] = 1.0 / (row.sum(1) + stay.sum(1))
        by_maker[t] = row * scale[t, :, None]
        reached[t + 1] = stay * scale[t, :, None]
        reached[t + 1, :, 1:] += by_maker[t]
    to_come = torch.ones_like(reached[0])
    for t in range(n_made - 1, -1, -1):
        ahead[t] = emission[t] * to_come[:, 1:] * scale[t, :, None]
        by_maker[t] *= to_come[:, 1:]
        to_come = ahead[t] @ moves.T * shares + (none[t] * scale[t])[:, None] * to_come
    moved = torch.einsum("tbs,tbm->sm", reached[:-1] * shares, ahead) * moves
    jumps.index_add_(0, jump.flatten(), moved.flatten().double())
    return by_maker, (1.0 - by_maker.sum(2)).clamp(min=0.0)


def _of_like_length(source: Side, target: Side) -> Iterator[NDArray[np.int64]]:
    """The sentence pairs with words on both sides, in batches of about CELLS_PER_BATCH cells."""
    lengths = np.diff(source.offsets), np.diff(target.offsets)
    order = np.lexsort((lengths[1], -(-lengths[0] // 4)))  # source lengths by fours, so that targets differ little too
    order = order[(lengths[0][order] > 0) & (lengths[1][order] > 0)]
    first, widest = 0, [0, 0]
    for place, sizes in enumerate(zip(*(of_side[order].tolist() for of_side in lengths))):
        wider = [max(pair) for pair in zip(widest, sizes)]
        if place > first and (place + 1 - first) * wider[0] * wider[1] > CELLS_PER_BATCH:
            yield order[first:place]
            first, wider = place, list(sizes)
        widest = wider
    if first < len(order):
        yield order[first:]


def _without_partner(side: Side, other: Side) -> NDArray[np.float64]:
    """[types] words whose sentence pair has no words on the other side; nothing but none can make them."""
    alone = np.repeat(np.diff(other.offsets) == 0, np.diff(side.offsets))
    return np.bincount(side.words[alone], minlength=side.n_types).astype(np.float64)

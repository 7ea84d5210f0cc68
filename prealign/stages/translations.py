"""Batches of translation pairs: step number in, rows for translation language modelling and for sentence contrast out.

Three streams make up a step of InfoXLM-style training, each with its own number of rows: running text (`running_text`),
pairs to fill gaps in (TLM: Conneau and Lample 2019, section 3.3), and pairs to contrast. Which pairs a step reads is
computed (train/batches.py), and every draw is keyed by the pair's place in its stream: what is hidden, which side comes
first, which pairs are joined. Languages are sampled by the number of their pairs to the power of `sampling_alpha`.

A pair for TLM is one sequence, <s> x </s> y </s> or the other way round; in the arm that is its control, the two
sentences are a sequence each. A pair for contrast is two, <s> x </s> asking for <s> y </s> or the other way round. With
mixup two pairs, of any languages, are joined on either side, in an order of its own, after a draw for each pair which
of its sides stands where (Chi et al. 2021, InfoXLM, section 3.3): <s> x1 </s> y2 </s> asks for <s> x2 </s> y1 </s>.
Sequences are packed into rows as words and documents are, so no lengths need to be brought together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws, ranks
from prealign.config.translations import TranslationSettings
from prealign.corpora.pair_store import PairStore
from prealign.errors import PrealignError
from prealign.objectives.causal_lm import IGNORED
from prealign.objectives.masked_lm import Masking, mask_tokens
from prealign.objectives.word_states import pack
from prealign.train.batches import Mixture, Sample, micro_batches_of, rows_of_step, shares_by_size

Ids = list[int]
USES = ("tlm", "contrast", "partner", "queue")
"""What pairs are read for, each use in an order of its own: partners are joined with the pairs that are contrasted, and
those for the queue are read for their keys only."""


class Marks(NamedTuple):
    """The special tokens around sentences: one behind each, as in InfoXLM's published code and in the rows of the
    transfer tests. XLM-R's own tokenizer puts two between the texts of a pair, which it was not pretrained with."""

    begin: int | None
    """Before a sequence: <s> or [CLS]; None where the tokenizer has neither."""
    end: int
    """Behind every sentence: </s> or [SEP]."""
    pad: int

    def around(self, *sentences: Ids) -> Ids:
        """<s> x </s> or <s> x </s> y </s>."""
        first = [] if self.begin is None else [self.begin]
        return first + [token for sentence in sentences for token in [*sentence, self.end]]

    def room(self, block: int, sentences: int) -> int:
        """Tokens that each of so many sentences may have for all to fit into a block."""
        return (block - (self.begin is not None) - sentences) // sentences


class Translations:
    """The translation pairs of a run, by step.

    Args:
        block: longest sequence in tokens; a sentence keeps at most its share of it (`n_cut_sentences` counts those
            that are cut).
        masking: what is hidden; None for causal models, whose rows are read as they are.
        per_device: pairs in one forward pass, each at most a `block` long; where keys are those of the batch, all pairs
            of the rank, since they are each other's negatives.
    Raises:
        PrealignError: no pair can be used, or not every rank gets as many.
    """

    def __init__(
        self,
        store: PairStore,
        settings: TranslationSettings,
        *,
        block: int,
        marks: Marks,
        masking: Masking | None,
        per_device: int,
        seed: int,
    ) -> None:
        self.settings, self.block, self.marks, self.masking = settings, block, marks, masking
        self.per_device, self.seed = per_device, seed
        self._streams = {"--".join(pair): stream for pair, stream in store.streams.items()}
        sizes = {name: len(stream) for name, stream in self._streams.items()}
        if empty := [name for name, size in sizes.items() if not size]:
            raise PrealignError(f"translations: {', '.join(empty)} has no sentence pair that can be used.")
        shares = shares_by_size(sizes, settings.sampling_alpha)
        for name, per_step in (
            ("tlm_pairs_per_step", settings.tlm_pairs_per_step),
            ("contrast.pairs_per_step", settings.contrast.pairs_per_step),
        ):
            if per_step % ranks.world_size():
                raise PrealignError(
                    f"translations.{name} is {per_step} for {ranks.world_size()} ranks; take a multiple, so that all "
                    "of them have equally many."
                )
        self._mixtures = {use: Mixture(sizes, shares, draws.key(seed, use)) for use in USES}

    def repeats(self, pairs: int) -> dict[str, float]:
        """How often the pairs of each language pair are read through among so many."""
        return self._mixtures["tlm"].repeats(pairs)

    def beyond(self, longest: int) -> dict[str, float]:
        """Share of the sentences of each language pair that are longer than so many tokens."""
        starts = {name: (stream.source_starts, stream.target_starts) for name, stream in self._streams.items()}
        return {name: float((np.diff(sides) > longest).mean()) for name, sides in starts.items()}

    def tlm(self, step: int, apart: bool = False) -> list[dict[str, Any]]:
        """This rank's micro-batches of pairs to predict tokens of: input_ids, labels, position_ids [rows, length].

        Args:
            apart: the two sentences of a pair are sequences of their own, that do not see each other.
        """
        samples = self._samples("tlm", step, self.settings.tlm_pairs_per_step)
        return [self._tlm_batch(part, apart) for part in samples]

    def contrast(self, step: int, mixup: bool) -> list[dict[str, Any]]:
        """This rank's micro-batches of pairs to contrast, as objectives/sentence_alignment.py describes them."""
        batches = self._contrast_batches("contrast", step, mixup)
        last = len(batches) - 1
        return [
            batch | {"step": step, "is_first": place == 0, "is_last": place == last}
            for place, batch in enumerate(batches)
        ]

    def first_keys(self, mixup: bool) -> Iterator[list[dict[str, Any]]]:
        """This rank's batches that fill the queue of keys before the first step, a step's at a time, without end; they
        are read for their keys only."""
        for step in itertools.count():
            yield self._contrast_batches("queue", step, mixup)

    def _samples(self, use: str, step: int, per_step: int) -> list[list[Sample]]:
        """This rank's samples of a step, by micro-batch."""
        mine = rows_of_step(step, per_step, ranks.rank(), ranks.world_size())
        together = use != "tlm" and self.settings.contrast.keys == "in_batch"
        return [
            self._mixtures[use](part) for part in micro_batches_of(mine, len(mine) if together else self.per_device)
        ]

    def _sides(self, sample: Sample, longest: int) -> tuple[list[Ids], int]:
        """Both sentences of a pair, each cut at `longest` tokens, and how many were cut."""
        both = self._streams[sample.stream].sentences(sample.row)
        return [side[:longest].tolist() for side in both], sum(len(side) > longest for side in both)

    def _tlm_batch(self, samples: Sequence[Sample], apart: bool) -> dict[str, Any]:
        sequences, labels, n_cut = [], [], 0
        for sample in samples:
            a_key = draws.key(self.seed, "tlm", *sample)
            sides, cut = self._sides(sample, self.marks.room(self.block, 2))
            ordered = sides if draws.uniform(a_key, "order") < 0.5 else sides[::-1]
            for place, sentences in enumerate([[side] for side in ordered] if apart else [ordered]):
                hidden, wanted = self._hidden(self.marks.around(*sentences), draws.key(a_key, place))
                sequences.append(hidden)
                labels.append(wanted)
            n_cut += cut
        packed = pack(sequences, self.marks.pad, row_tokens=self.block)
        return {
            "input_ids": packed["input_ids"],
            "position_ids": packed["position_ids"],
            "labels": pack_like(labels, packed["words"]),
            "examples": list(samples),
            "n_pairs_read": len(samples),
            "n_pair_tokens": sum(map(len, sequences)),
            "n_cut_sentences": n_cut,
        }

    def _contrast_batches(self, use: str, step: int, mixup: bool) -> list[dict[str, Any]]:
        contrast = self.settings.contrast
        samples, partners = (self._samples(name, step, contrast.pairs_per_step) for name in (use, "partner"))
        share = contrast.mixup if mixup else 0.0
        return [self._contrast_batch(*both, share) for both in zip(samples, partners, strict=True)]

    def _contrast_batch(self, samples: Sequence[Sample], partners: Sequence[Sample], mixup: float) -> dict[str, Any]:
        queries, keys, names, n_cut = [], [], [], 0
        for sample, partner in zip(samples, partners, strict=True):
            a_key = draws.key(self.seed, "contrast", *sample)
            joined = draws.uniform(a_key, "mixup") < mixup
            pairs = [sample, partner] if joined else [sample]
            left, right = [], []
            for place, pair in enumerate(pairs):
                (x, y), cut = self._sides(pair, self.marks.room(self.block, len(pairs)))
                swapped = draws.uniform(a_key, "swapped", place) < 0.5
                left.append(y if swapped else x)
                right.append(x if swapped else y)
                n_cut += cut
            if joined and draws.uniform(a_key, "order") < 0.5:
                right.reverse()
            both = [self.marks.around(*side) for side in (left, right)]
            names.append([draws.key(*ids) >> 1 for ids in both])
            if self.settings.contrast.masked:
                both = [self._hidden(ids, draws.key(a_key, of))[0] for ids, of in zip(both, ("query", "key"))]
            queries.append(both[0])
            keys.append(both[1])
        packed = {
            prefix + name: tensor
            for prefix, rows in (("", queries), ("key_", keys))
            for name, tensor in pack(rows, self.marks.pad, row_tokens=self.block).items()
        }
        return {
            **packed,
            "names": torch.tensor(names),
            "examples": list(samples),
            "n_contrast_pairs": len(samples),
            "n_contrast_tokens": sum(map(len, [*queries, *keys])),
            "n_cut_sentences": n_cut,
        }

    def _hidden(self, ids: Ids, a_key: int) -> tuple[Ids, Ids]:
        """The sequence with tokens hidden and the labels of these; for causal models itself, and its tokens but the
        first, before which stands the end of a sequence that it has nothing to do with."""
        if self.masking is None:
            return ids, [IGNORED, *ids[1:]]
        hidden, labels = mask_tokens(np.array([ids], dtype=np.int64), [a_key], self.masking)
        return hidden[0].tolist(), labels[0].tolist()


def pack_like(sequences: Sequence[Ids], words: torch.Tensor) -> torch.Tensor:
    """Values of sequences laid out as `pack` laid out their tokens; -100 for pads, [rows, length]."""
    inside: NDArray[np.bool_] = (words >= 0).numpy()
    labels = np.full(inside.shape, IGNORED, dtype=np.int64)
    labels[inside] = [value for sequence in sequences for value in sequence]  # in the order of rows, as packed
    return torch.from_numpy(labels)

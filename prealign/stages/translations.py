"""Batches of translation pairs: step number in, rows for translation language modelling and for sentence contrast out.

Three streams make up a step of InfoXLM-style training, each with its own number of rows: running text (`running_text`),
pairs to fill gaps in (TLM: Conneau and Lample 2019, section 3.3), and pairs to contrast. Which pairs a step reads is
computed (train/batches.py), and every draw is keyed by the pair's place in its stream: what is hidden, which side comes
first, which pairs are joined. Languages are sampled by the number of their pairs to the power of `sampling_alpha`.

A pair for TLM is one sequence, <s> x </s> y </s> or the other way round; in the arm that is its control, the two
sentences are a sequence each. A pair for contrast is two, <s> x </s> asking
for <s> y </s> or the other way round. With mixup two pairs are joined on either side, in an order of its own, after a
draw for each pair which of its sides stands where (Chi et al. 2021, InfoXLM, section 3.3): <s> x1 y2 </s> asks for
<s> x2 y1 </s>. Sequences are packed into rows as words and documents are, so no lengths need to be brought together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from prealign import draws, ranks
from prealign.config.translations import ContrastSettings, TranslationSettings
from prealign.corpora.pair_store import PairStore
from prealign.errors import PrealignError
from prealign.objectives.causal_lm import IGNORED
from prealign.objectives.masked_lm import Masking, mask_tokens
from prealign.objectives.word_states import pack
from prealign.train.batches import Mixture, Sample, micro_batches_of, rows_of_step, shares_by_size

Ids = list[int]


class Marks(NamedTuple):
    """The special tokens around sentences."""

    begin: int | None
    """Before a sequence: <s> or [CLS]; None where the tokenizer has neither."""
    end: int
    """Behind every sentence: </s> or [SEP]."""
    pad: int

    def around(self, *sentences: Ids) -> Ids:
        """<s> x </s> or <s> x </s> y </s>."""
        first = [] if self.begin is None else [self.begin]
        return first + [token for sentence in sentences for token in [*sentence, self.end]]

    @property
    def most(self) -> int:
        """Special tokens around two sentences."""
        return 2 + (self.begin is not None)


class Translations:
    """The translation pairs of a run, by step.

    Args:
        block: longest sequence in tokens; a sentence keeps at most its share of it (`n_cut` counts those cut short).
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
        self._mixtures = {use: Mixture(sizes, shares, draws.key(seed, use)) for use in ("tlm", "contrast", "queue")}

    def repeats(self, pairs: int) -> dict[str, float]:
        """How often the pairs of each language pair are read through among so many."""
        return self._mixtures["tlm"].repeats(pairs)

    def tlm(self, step: int, apart: bool = False) -> list[dict[str, Any]]:
        """This rank's micro-batches of pairs to predict tokens of: input_ids, labels, position_ids [rows, length].

        Args:
            apart: the two sentences of a pair are sequences of their own, that do not see each other.
        """
        samples = self._samples("tlm", step, self.settings.tlm_pairs_per_step)
        return [self._tlm_batch(part, apart) for part in samples]

    def contrast(self, step: int, mixup: bool) -> list[dict[str, Any]]:
        """This rank's micro-batches of pairs to contrast, as objectives/sentence_alignment.py describes them."""
        contrast = self.settings.contrast
        samples = self._samples("contrast", step, contrast.pairs_per_step)
        last = len(samples) - 1
        return [
            self._contrast_batch(part, contrast, mixup)
            | {"step": step, "is_first": place == 0, "is_last": place == last}
            for place, part in enumerate(samples)
        ]

    def first_keys(self, mixup: bool) -> Iterator[list[dict[str, Any]]]:
        """This rank's batches that fill the queue of keys before the first step, a step's at a time, without end; they
        are read for their keys only."""
        contrast, step = self.settings.contrast, 0
        while True:
            samples = self._samples("queue", step, contrast.pairs_per_step)
            yield [self._contrast_batch(part, contrast, mixup) for part in samples]
            step += 1

    def _samples(self, use: str, step: int, per_step: int) -> list[list[Sample]]:
        """This rank's samples of a step, by micro-batch."""
        mine = rows_of_step(step, per_step, ranks.rank(), ranks.world_size())
        together = use == "contrast" and self.settings.contrast.keys == "in_batch"
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
            sides, cut = self._sides(sample, (self.block - self.marks.most) // 2)
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

    def _contrast_batch(self, samples: Sequence[Sample], contrast: ContrastSettings, mixup: bool) -> dict[str, Any]:
        queries, keys, names, n_cut = [], [], [], 0
        for sample in samples:
            a_key = draws.key(self.seed, "contrast", *sample)
            joined = mixup and draws.uniform(a_key, "mixup") < contrast.mixup
            pairs = [sample, self._partner(sample, a_key)] if joined else [sample]
            longest = (self.block - self.marks.most + 1) // len(pairs)
            left, right = [], []
            for place, pair in enumerate(pairs):
                (x, y), cut = self._sides(pair, longest)
                swapped = draws.uniform(a_key, "swapped", place) < 0.5
                left.append(y if swapped else x)
                right.append(x if swapped else y)
                n_cut += cut
            if joined and draws.uniform(a_key, "order") < 0.5:
                right.reverse()
            query, key = (self.marks.around([token for ids in side for token in ids]) for side in (left, right))
            names.append(draws.key(*key) >> 1)
            queries.append(self._hidden(query, draws.key(a_key, "query"))[0] if contrast.masked else query)
            keys.append(self._hidden(key, draws.key(a_key, "key"))[0] if contrast.masked else key)
        packed = {
            prefix + name: tensor
            for prefix, rows in (("", queries), ("key_", keys))
            for name, tensor in pack(rows, self.marks.pad, row_tokens=self.block).items()
        }
        return {
            **packed,
            "key_names": torch.tensor(names),
            "examples": list(samples),
            "n_contrast_pairs": len(samples),
            "n_contrast_tokens": sum(map(len, [*queries, *keys])),
            "n_cut_sentences": n_cut,
        }

    def _partner(self, sample: Sample, a_key: int) -> Sample:
        """The pair that one is joined with: any other of its languages."""
        rows = len(self._streams[sample.stream])
        other = int(draws.uniform(a_key, "partner") * max(1, rows - 1))
        return sample._replace(row=(sample.row + 1 + other) % rows)

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

"""Word links from the hidden states of a multilingual encoder: no training, no corpus needed, one pass per sentence.

The words of both sentences are encoded, tokens are compared by their states at one layer, `matching` decides, and a
link of two tokens links their words. The encoder is a Hugging Face model in a local folder or named on the hub. This
module and none other of the room loads torch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoModel, AutoTokenizer

from prealign.alignment import matching
from prealign.alignment.links import Symmetrisation, symmetrise
from prealign.alignment.parallel_words import Links, ParallelWords, WordPair, gather_links
from prealign.corpora.drops import Drops
from prealign.errors import PrealignError

log = logging.getLogger(__name__)

Method = Literal["argmax", "itermax", "softmax"]
PAIRS_PER_BUCKET = 4_096
"""Sentence pairs that are sorted by length together."""
TOKENS_PER_BATCH = {"cpu": 512, "cuda": 8_192}
"""Tokens of one side that go through the encoder together, padding included. On a CPU core small batches pad less and
stay in its cache: 120 sentence pairs through BERT-base took 25, 28, 31 seconds with 512, 1,024 and 2,048."""
TOO_LONG = "sentence pairs too long for the encoder"
NO_LINKS = np.empty((0, 2), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """One sentence as the encoder reads it."""

    ids: list[int]
    """[positions] with the special tokens"""
    places: NDArray[np.int64]
    """[tokens] positions of the tokens that belong to a word"""
    words: NDArray[np.int32]
    """[tokens] position of that word in the sentence"""


class NeuralAligner:
    """Links by the states of one layer of an encoder."""

    name = "neural"
    cased = True

    def __init__(self, encoder: str, layer: int, method: Method) -> None:
        """Load the encoder, onto the GPU if there is one.

        Args:
            encoder: folder, or name on the hub.
            layer: whose states are compared: 0 is the embeddings, then the blocks.
        """
        try:
            config = AutoConfig.from_pretrained(encoder)
            self._tokenizer = AutoTokenizer.from_pretrained(encoder)
        except (OSError, ValueError) as error:
            raise unreadable(encoder, error) from None
        check_layer(encoder, layer, config)
        if not self._tokenizer.is_fast:
            raise PrealignError(
                f"The tokenizer of {encoder} cannot tell which word a token belongs to; it needs a tokenizer.json."
            )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = _fast_dtype(self._device)
        try:
            model = AutoModel.from_pretrained(encoder, dtype=self._dtype)
        except (OSError, ValueError) as error:
            raise unreadable(encoder, error) from None
        self._model = model.to(self._device).eval()
        self._longest = _longest(self._tokenizer, config)
        self._encoder, self._layer, self._method = encoder, layer, method

    def signature(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "encoder": Path(self._encoder).name if Path(self._encoder).exists() else self._encoder,
            "layer": self._layer,
            "method": self._method,
            "precision": str(self._dtype).removeprefix("torch."),
        }

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation, drops: Drops) -> Links:
        """See `aligners.Aligner.links`. A pair whose side has more tokens than the encoder takes gets no links."""
        found: list[NDArray[np.int32]] = [NO_LINKS] * len(text)
        pairs = enumerate(text)
        while bucket := list(islice(pairs, PAIRS_PER_BUCKET)):
            tokens = self._tokenize([pair for _, pair in bucket])
            kept = []
            for (place, pair), sides in zip(bucket, tokens, strict=True):
                if max(len(side.ids) for side in sides) > self._longest:
                    drops.add(TOO_LONG, json.dumps([" ".join(side)[:80] for side in pair], ensure_ascii=False))
                elif all(len(side.places) for side in sides):
                    kept.append((place, sides))
            for batch in _batches(kept, TOKENS_PER_BATCH[self._device.type]):
                for (place, (source, target)), states in zip(batch, self._states(batch), strict=True):
                    linked = self._decide(*states, symmetrisation)
                    found[place] = matching.linked_words(linked, source.words, target.words)
        return gather_links(found)

    def _tokenize(self, pairs: list[WordPair]) -> list[tuple[_Tokens, _Tokens]]:
        sides = []
        for side in (0, 1):
            sentences = [pair[side] for pair in pairs]
            coded = self._tokenizer(sentences, is_split_into_words=True, add_special_tokens=True, verbose=False)
            sides.append([_tokens(ids, coded.word_ids(number)) for number, ids in enumerate(coded["input_ids"])])
        return list(zip(*sides, strict=True))

    def _states(
        self, batch: list[tuple[int, tuple[_Tokens, _Tokens]]]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """For each pair of a batch the states [tokens, width] of the tokens of both sides."""
        encoded = [self._encode([sides[side] for _, sides in batch]) for side in (0, 1)]
        for number, (_, sides) in enumerate(batch):
            source, target = (of_side[number, tokens.places] for of_side, tokens in zip(encoded, sides, strict=True))
            yield source, target

    @torch.inference_mode()
    def _encode(self, sentences: list[_Tokens]) -> NDArray[np.float32]:
        """States of one layer [sentences, positions, width]; padding stands at the end."""
        longest = max(len(sentence.ids) for sentence in sentences)
        ids = torch.full((len(sentences), longest), self._tokenizer.pad_token_id or 0)
        mask = torch.zeros((len(sentences), longest), dtype=torch.long)
        for row, sentence in enumerate(sentences):
            ids[row, : len(sentence.ids)] = torch.tensor(sentence.ids)
            mask[row, : len(sentence.ids)] = 1
        output = self._model(
            input_ids=ids.to(self._device), attention_mask=mask.to(self._device), output_hidden_states=True
        )
        states: torch.Tensor = output.hidden_states[self._layer].float()
        if self._method != "softmax":  # cosines for SimAlign's methods, plain products for awesome-align's
            states = normalize(states, dim=-1)
        array: NDArray[np.float32] = states.cpu().numpy()
        return array

    def _decide(
        self, source: NDArray[np.float32], target: NDArray[np.float32], symmetrisation: Symmetrisation
    ) -> NDArray[np.integer]:
        """Links [links, 2] between the tokens of two sentences with these states."""
        products = source @ target.T
        if self._method == "softmax":
            return np.argwhere(matching.softmax(products))
        similarity = (products + 1.0) / 2.0
        if self._method == "itermax":
            return np.argwhere(matching.itermax(similarity))
        forward, backward = (similarity.argmax(axis=axis).astype(np.int32) for axis in (0, 1))
        sources, targets = (np.array([0, length]) for length in similarity.shape)
        return symmetrise(forward, backward, sources, targets, symmetrisation)[1]


def _tokens(ids: list[int], word_ids: list[int | None]) -> _Tokens:
    places = [place for place, word in enumerate(word_ids) if word is not None]
    words = [word for word in word_ids if word is not None]
    return _Tokens(ids, np.array(places, dtype=np.int64), np.array(words, dtype=np.int32))


def _batches(
    pairs: list[tuple[int, tuple[_Tokens, _Tokens]]], tokens_per_batch: int
) -> Iterator[list[tuple[int, tuple[_Tokens, _Tokens]]]]:
    """Pairs of like length together, as many as the number of tokens allows."""

    def length(pair: tuple[int, tuple[_Tokens, _Tokens]]) -> int:
        return max(len(side.ids) for side in pair[1])

    batch: list[tuple[int, tuple[_Tokens, _Tokens]]] = []
    for pair in sorted(pairs, key=length):  # ascending: the newest pair is the longest of its batch
        if batch and (len(batch) + 1) * length(pair) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _longest(tokenizer: Any, config: Any) -> int:
    """Most tokens of a sentence, special tokens included."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return int(tokenizer.model_max_length)
    if "roberta" in config.model_type:  # counts positions from 2
        positions -= 2
    return min(int(positions), int(tokenizer.model_max_length))


def _fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it is fast: GPUs that have it, CPUs with AMX or AVX512-BF16; on others it is ten times slower."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def check_layer(encoder: str, layer: int, config: Any) -> None:
    """Refuse a layer that the encoder does not have."""
    blocks = getattr(config, "num_hidden_layers", layer)
    if layer > blocks:
        raise PrealignError(
            f"encoder_layer is {layer}, but {encoder} has {blocks} layers. Choose one of 0 to {blocks}."
        )


def unreadable(encoder: str, error: Exception) -> PrealignError:
    """The error for an encoder that does not load."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return PrealignError(
        f"`encoder` {encoder} cannot be loaded ({first}). Give the folder of a Hugging Face encoder with its tokenizer."
    )

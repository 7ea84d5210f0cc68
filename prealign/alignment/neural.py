"""Word links from the hidden states of a multilingual encoder: no training, no corpus needed, one pass per sentence.

The words of both sentences are encoded, tokens are compared by their states at one layer, `matching` decides, and a
link of two tokens links their words. Sentences longer than the encoder takes are read in windows. The encoder is a
Hugging Face model in a local folder or named on the hub. Torch is loaded here, and in this room otherwise only for the
built-in aligner on a GPU (`expectation_torch`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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
from prealign.errors import PrealignError
from prealign.hub import refuse_unreachable

log = logging.getLogger(__name__)

Method = Literal["argmax", "itermax", "softmax"]
PAIRS_PER_BUCKET = 4_096
"""Sentence pairs that are sorted by length together."""
TOKENS_PER_BATCH = {"cpu": 512, "cuda": 8_192}
"""Tokens of one side that go through the encoder together, padding included. On a CPU core small batches pad less and
stay in its cache: 120 sentence pairs through BERT-base took 25, 28, 31 seconds with 512, 1,024 and 2,048."""
NO_LINKS = np.empty((0, 2), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """A sentence, or a window of one, as the encoder reads it."""

    ids: list[int]
    """[positions] with the special tokens"""
    places: NDArray[np.int64]
    """[tokens] positions of the tokens whose states are taken; all belong to a word"""
    words: NDArray[np.int32]
    """[tokens] position of that word in the sentence"""


_Windows = list[_Tokens]
"""One sentence; more than one window if it is longer than the encoder takes. Their tokens together are its tokens."""
_Sides = tuple[_Windows, _Windows]
"""A sentence pair."""


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
        config, self._tokenizer = read_encoder(encoder, layer)
        if not self._tokenizer.is_fast:
            raise PrealignError(
                f"The tokenizer of {encoder} cannot tell which word a token belongs to; it needs a tokenizer.json."
            )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = _fast_dtype(self._device)
        with told_as_unreadable(encoder):
            model = AutoModel.from_pretrained(encoder, config=config, dtype=self._dtype, trust_remote_code=False)
        self._model = model.to(self._device).eval()
        self._longest = _longest(self._tokenizer, self._model)
        self._encoder, self._layer, self._method = encoder, layer, method
        self.windowed = 0
        """Sentence pairs so far with a side that did not fit into the encoder as a whole."""

    def signature(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "encoder": Path(self._encoder).name if Path(self._encoder).exists() else self._encoder,
            "layer": self._layer,
            "method": self._method,
            "precision": str(self._dtype).removeprefix("torch."),
        }

    def links(self, text: ParallelWords, symmetrisation: Symmetrisation) -> Links:
        """See `aligners.Aligner.links`. Every pair is taken: a long sentence is read in overlapping windows."""
        found: list[NDArray[np.int32]] = [NO_LINKS] * len(text)
        windowed_before = self.windowed
        pairs = enumerate(text)
        while bucket := list(islice(pairs, PAIRS_PER_BUCKET)):
            tokens = self._tokenize([pair for _, pair in bucket])
            self.windowed += sum(any(len(side) > 1 for side in sides) for sides in tokens)
            kept = [
                (place, sides)
                for (place, _), sides in zip(bucket, tokens, strict=True)
                if all(len(side[0].places) for side in sides)
            ]
            for batch in _batches(kept, self._tokens_per_batch()):
                sources, targets = (self._states([sides[side] for _, sides in batch]) for side in (0, 1))
                for (place, sides), source, target in zip(batch, sources, targets, strict=True):
                    linked = self._decide(source, target, symmetrisation)
                    words = [np.concatenate([window.words for window in side]) for side in sides]
                    found[place] = matching.linked_words(linked, *words)
        if windowed := self.windowed - windowed_before:
            log.info("%d sentence pairs with more than %d tokens on a side: read in windows", windowed, self._longest)
        return gather_links(found)

    def _tokenize(self, pairs: list[WordPair]) -> list[_Sides]:
        sides = []
        for side in (0, 1):
            sentences = [pair[side] for pair in pairs]
            coded = self._tokenizer(sentences, is_split_into_words=True, add_special_tokens=True, verbose=False)
            tokens = (_tokens(ids, coded.word_ids(number)) for number, ids in enumerate(coded["input_ids"]))
            sides.append([_windows(sentence, self._longest) for sentence in tokens])
        return list(zip(*sides, strict=True))

    def _states(self, sentences: list[_Windows]) -> list[NDArray[np.float32]]:
        """For each sentence the states [tokens, width] of its tokens."""
        windows = [window for sentence in sentences for window in sentence]
        at_once = max(1, self._tokens_per_batch() // max(len(window.ids) for window in windows))
        states = []
        for first in range(0, len(windows), at_once):
            batch = windows[first : first + at_once]
            states += [of_row[window.places] for of_row, window in zip(self._encode(batch), batch, strict=True)]
        of_windows = iter(states)
        return [np.concatenate([next(of_windows) for _ in sentence]) for sentence in sentences]

    def _tokens_per_batch(self) -> int:
        return TOKENS_PER_BATCH[self._device.type]

    @torch.inference_mode()
    def _encode(self, sentences: list[_Tokens]) -> NDArray[np.float32]:
        """States of one layer [sentences or windows, positions, width]; padding stands at the end."""
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


def _windows(sentence: _Tokens, longest: int) -> _Windows:
    """Cut a sentence into windows of `longest` positions that overlap by half or more, each with the special tokens.

    A token's states are taken from the window in whose middle it stands nearest: there it sees most of what is around
    it on both sides.
    """
    if len(sentence.ids) <= longest or not len(sentence.places):
        return [sentence]
    start, end = int(sentence.places[0]), int(sentence.places[-1]) + 1
    before, inside, after = sentence.ids[:start], sentence.ids[start:end], sentence.ids[end:]
    size = longest - len(before) - len(after)
    last = len(inside) - size
    firsts = np.linspace(0, last, -(-last // max(1, size // 2)) + 1).astype(int).tolist()
    tokens = sentence.places - start
    middles = np.array(firsts) + (size - 1) / 2
    nearest = np.abs(tokens[:, None] - middles).argmin(axis=1)
    return [
        _Tokens(
            [*before, *inside[first : first + size], *after],
            tokens[nearest == window] - first + len(before),
            sentence.words[nearest == window],
        )
        for window, first in enumerate(firsts)
    ]


def _batches(pairs: list[tuple[int, _Sides]], tokens_per_batch: int) -> Iterator[list[tuple[int, _Sides]]]:
    """Pairs of like length together, as many as the number of tokens allows."""

    def length(pair: tuple[int, _Sides]) -> int:
        return max(sum(len(window.ids) for window in side) for side in pair[1])

    batch: list[tuple[int, _Sides]] = []
    for pair in sorted(pairs, key=length):  # ascending: the newest pair is the longest of its batch
        if batch and (len(batch) + 1) * length(pair) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _longest(tokenizer: Any, model: Any) -> int:
    """Most tokens of a sentence, special tokens included."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None:
        return int(tokenizer.model_max_length)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    if padding is not None:  # RoBERTa and its kin: the position of padding, those before it hold no token
        positions -= padding + 1
    return min(int(positions), int(tokenizer.model_max_length))


def _fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it is fast: GPUs that have it, CPUs with AMX or AVX512-BF16; on others it is ten times slower."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def read_encoder(encoder: str, layer: int) -> tuple[Any, Any]:
    """Configuration and tokenizer of an encoder that has this layer; no code that comes with it is run.

    Raises:
        PrealignError: it cannot be loaded, wants code of its own, has a decoder too, or no such layer.
    """
    refuse_unreachable(encoder)
    with told_as_unreadable(encoder):
        config = AutoConfig.from_pretrained(encoder, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(encoder, trust_remote_code=False)
    if config.is_encoder_decoder:
        raise PrealignError(
            f"`encoder` {encoder} is a model of the type {config.model_type}, an encoder with a decoder, which wants "
            "the translation beside the sentence. Give an encoder alone, such as a multilingual BERT."
        )
    blocks = getattr(config, "num_hidden_layers", layer)
    if layer > blocks:
        raise PrealignError(
            f"encoder_layer is {layer}, but {encoder} has {blocks} layers. Choose one of 0 to {blocks}."
        )
    return config, tokenizer


@contextmanager
def told_as_unreadable(encoder: str) -> Iterator[None]:
    """What goes wrong while an encoder is loaded, as a sentence."""
    try:
        yield
    except Exception as error:  # transformers, tokenizers, safetensors and torch each have kinds of their own
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise PrealignError(
            f"`encoder` {encoder} cannot be loaded ({first}). Give the folder of a Hugging Face encoder with its "
            "tokenizer."
        ) from None
